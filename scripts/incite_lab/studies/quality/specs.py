"""Runs that the parts of docs/quality.md are made from: a subject, a method, a seed and a size."""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from incite_lab.run import runner
from incite_lab.run.runner import Job, Runner
from incite_lab.run.store import Record
from incite_lab.studies.quality import subjects
from incite_lab.studies.quality.subjects import Subject


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
# One module, as cheaply as possible: the run is for its scores.
SCORES_ALONE = ("--outputs", "0", "--repair", "none", "--head", "original")


@dataclass(frozen=True)
class Spec:
    subject: Subject
    method: Method
    seed: int
    size: tuple[str, ...]  # --keep SHARE, --target-compression TIMES or --max-loss LOSS

    def __str__(self) -> str:
        return f"{self.subject.name}, {self.method.name}, seed {self.seed}, {' '.join(self.size)}"


def add_arguments(parser: argparse.ArgumentParser, default: tuple[str, ...] = subjects.WITH_WIDTHS) -> None:
    subjects.add_arguments(parser, default)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="SEED")
    runner.add_arguments(parser)
    parser.add_argument("--score-each", action="store_true", help="score in each run, instead of once for each subject and seed")


class Runs:
    """Finds or makes the records of specs. Runs that were stopped start again, since their seconds count."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.runner, self.score_each = Runner(args, resume=False), args.score_each

    def results(self, specs: Iterable[Spec]) -> dict[Spec, Record]:
        """Of each spec that succeeds; those that fail are reported and left out."""
        jobs = {spec: self.job(spec) for spec in specs}
        found, _ = self.runner.results(jobs.values())
        if not found:
            raise SystemExit("no run was finished; nothing is written")
        return {spec: found[job] for spec, job in jobs.items() if job in found}

    def job(self, spec: Spec) -> Job:
        subject, method = spec.subject, spec.method
        files = (subject.model, subject.train, subject.test)
        common = (*subject.data_options, *subject.options, *method.scoring)
        scores = None
        if method.scored and not self.score_each:
            name = f"{subject.name}, {method.name}, seed {spec.seed}, scores"
            scores = Job(name, *files, (*common, *SCORES_ALONE), spec.seed, keep_scores=True)
        return Job(str(spec), *files, (*common, *method.options, *spec.size), spec.seed, scores)


def of_all(found: Mapping[Spec, Record], specs: Sequence[Spec]) -> list[Record]:
    """The records of these specs; none if one of them failed, since means over other seeds can't be compared."""
    return [found[spec] for spec in specs] if all(spec in found for spec in specs) else []


def with_results(chosen: Iterable[Subject], found: Mapping[Spec, Record]) -> dict[Subject, Record]:
    """The subjects that have a result, each with one of its records."""
    some = {spec.subject: record for spec, record in found.items()}
    return {subject: some[subject] for subject in chosen if subject in some}
