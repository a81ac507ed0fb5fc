"""Runs of `incite decompose` side by side and never twice: results are kept in a folder, by what they were made from."""

import argparse
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import batch
import subjects
from batch import Record, Store, hash_of
from decomposing import RELEASE, ROOT, Failed, command, run, version
from measures import add_scoring, compact, summary
from subjects import Subject


@dataclass(frozen=True)
class Method:
    """How modules are made, but for their size."""

    name: str
    scoring: tuple[str, ...] = ()  # options that scores depend on: runs with the same share them
    options: tuple[str, ...] = ()  # the others
    scored: bool = True  # otherwise no mutants are run


DEFAULTS = Method("defaults")
FINETUNE = Method("finetune", options=("--finetune", "3"))
PAPER = Method("paper", ("--preset", "paper"))
RANDOM = Method("random", ("--metric", "random"), scored=False)
MAGNITUDE = Method("magnitude", ("--metric", "magnitude"), scored=False)


@dataclass(frozen=True)
class Spec:
    subject: Subject
    method: Method
    seed: int
    size: tuple[str, ...]  # --keep SHARE, --target-compression TIMES or --max-loss LOSS

    def __str__(self) -> str:
        return f"{self.subject.name}, {self.method.name}, seed {self.seed}, {' '.join(self.size)}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="SEED")
    parser.add_argument("--binary", type=Path, default=RELEASE, help="incite (default: the release build)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs side by side (default: one for each core)")
    parser.add_argument("--threads", type=int, default=1, help="of each run (default: %(default)s)")
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "quality", help="folder of finished runs (default: build/quality)")
    parser.add_argument("--score-each", action="store_true", help="score in each run, not once for each subject and seed")


class Runner:
    """Makes specs into records, with progress on stdout."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.binary, self.jobs, self.threads, self.cache = args.binary.resolve(), args.jobs, args.threads, args.cache
        self.score_each: bool = args.score_each
        self.version = version(self.binary)
        self.store = Store(self.cache / "results")
        (self.cache / "scores").mkdir(exist_ok=True)

    def results(self, specs: Iterable[Spec]) -> dict[Spec, Record]:
        """Of each spec that can be done; those that fail are reported and left out."""
        specs = list(dict.fromkeys(specs))
        found = {spec: record for spec in specs if (record := self.store.load(self.key(spec)))}
        wanted = [spec for spec in specs if spec not in found]
        print(f"{len(specs)} runs, {len(found)} of them in {self.cache}", flush=True)
        if not self.score_each:
            shared = {self.scores_key(spec): spec for spec in wanted if spec.method.scored}
            missing = [spec for key, spec in shared.items() if not self.scores_file(key).exists()]
            batch.side_by_side("scores", missing, self.score, lambda _: "scored", self.jobs)
        found |= batch.side_by_side("runs", wanted, self.make, summary, self.jobs)[0]
        if not found:
            raise SystemExit("no run was finished; nothing is written")
        return found

    def score(self, spec: Spec) -> Record:
        """Leaves scores in the cache. One module is made, as cheaply as can be."""
        key = self.scores_key(spec)
        cheap = ("--outputs", "0", "--repair", "none", "--head", "original", "--keep-scores")
        with tempfile.TemporaryDirectory(dir=self.cache) as name:
            out = Path(name) / "out"
            record = {"timing": self.run(spec, (*spec.method.scoring, *cheap), out)["timing"]}
            self.store.save(key, record)
            (out / "scores.npz").rename(self.scores_file(key))
        return record

    def make(self, spec: Spec) -> Record:
        method = spec.method
        options = (*method.scoring, *method.options, *spec.size)
        shared = method.scored and not self.score_each
        scores = self.scores_key(spec)
        if shared:
            if not self.scores_file(scores).exists():
                raise Failed("no scores")
            options += ("--scores", str(self.scores_file(scores)))
        with tempfile.TemporaryDirectory(dir=self.cache) as name:
            record = compact(self.run(spec, options, Path(name) / "out"))
        if shared:
            scored = self.store.load(scores)
            assert scored is not None
            add_scoring(record, scored)
        self.store.save(self.key(spec), record)
        return record

    def run(self, spec: Spec, options: tuple[str, ...], out: Path) -> dict[str, Any]:
        subject = spec.subject
        given = [*subject.kind.options, *options, "--seed", str(spec.seed), "--threads", str(self.threads)]
        return run(command(self.binary, subject.model, subject.data, given, out)).document

    def made_from(self, spec: Spec) -> list[Any]:
        return [self.version, spec.subject.made_from, spec.subject.kind.options, self.threads, spec.seed, spec.method.scoring]

    def scores_key(self, spec: Spec) -> str:
        return hash_of(self.made_from(spec))

    def key(self, spec: Spec) -> str:
        return hash_of([*self.made_from(spec), spec.method.options, spec.size, self.score_each])

    def scores_file(self, key: str) -> Path:
        return self.cache / "scores" / f"{key}.npz"


def of_all(found: Mapping[Spec, Record], specs: Sequence[Spec]) -> list[Record]:
    """The records of these specs; none if one of them failed, since means over other seeds can't be compared."""
    return [found[spec] for spec in specs] if all(spec in found for spec in specs) else []


def parse(parser: argparse.ArgumentParser) -> tuple[argparse.Namespace, Runner, list[Subject]]:
    args = parser.parse_args()
    return args, Runner(args), subjects.chosen(args, args.cache / "data")
