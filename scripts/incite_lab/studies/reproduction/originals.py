"""The originals of the paper's subjects, trained side by side and kept by recipe and data. Data is fetched where it is missing."""

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from batch import Record, Store, hash_of, side_by_side
from decomposing import ROOT, run
from decompositions import content

PAPER = ROOT / "models" / "paper"
sys.path += [str(PAPER.parent), str(PAPER)]

import sources  # noqa: E402 (they lie in other folders)
from data import NoData  # noqa: E402
from originals import ORIGINALS  # noqa: E402
from regressor import Recipe as Dense  # noqa: E402
from training import Recipe  # noqa: E402

SEED = 1


@dataclass(frozen=True)
class Trained:
    folder: Path  # has model.pt, train.npz, test.npz
    data: str | None  # title
    stand_in: str | None  # a sentence on it
    record: Record  # what train.py says


@dataclass(frozen=True)
class Training:
    name: str
    recipe: Recipe | Dense
    data: sources.Obtained | None
    key: str
    folder: Path
    threads: int

    def __str__(self) -> str:
        return self.name


def train(
    recipes: Mapping[str, Recipe | Dense], data_dir: Path | None, cache: Path, jobs: int, threads: int, fresh: bool
) -> tuple[dict[str, Trained], int]:
    """By name, what could be trained, and how many failed. Subjects without data are left out with a line."""
    store = Store(cache / "trained")
    wanted = []
    for name, recipe in recipes.items():
        try:
            wanted.append(planned(name, recipe, data_dir, cache, threads))
        except NoData as error:
            print(f"{name}: left out: {error}", file=sys.stderr, flush=True)
    kept = {} if fresh else {one: record for one in wanted if (record := store.load(one.key)) and (one.folder / "model.pt").exists()}

    def make(training: Training) -> Record:
        record = {"key": training.key, **trained(training)}
        store.save(training.key, record)
        return record

    print(f"{len(wanted)} originals, {len(kept)} of them in {cache}", file=sys.stderr, flush=True)
    made, failed = side_by_side("originals", [one for one in wanted if one not in kept], make, told, jobs, sys.stderr)
    done = kept | made
    return {one.name: with_data(one, done[one]) for one in wanted if one in done}, len(failed)


def planned(name: str, recipe: Recipe | Dense, data_dir: Path | None, cache: Path, threads: int) -> Training:
    wanted = ORIGINALS[name].data
    data = None if wanted is None else sources.obtain(wanted, data_dir, cache / "data")
    key = hash_of([name, asdict(recipe), None if data is None else content(data.file), SEED, threads, version("torch")])
    return Training(name, recipe, data, key, cache / "originals" / f"{name}-{key[:8]}", threads)


def trained(training: Training) -> Record:
    log = training.folder / "train.log"
    training.folder.mkdir(parents=True, exist_ok=True)
    print(f"{training}: training; {log} tells its epochs", file=sys.stderr, flush=True)
    data = [] if training.data is None else ["--data", str(training.data.file)]
    recipe = training.recipe
    options = ["--epochs", str(recipe.epochs), "--seed", str(SEED), "--threads", str(training.threads)]
    if isinstance(recipe, Recipe):
        amounts = {"--images": recipe.images, "--given": recipe.given}
        options += [word for option, count in amounts.items() if count is not None for word in (option, str(count))]
    return run([sys.executable, str(PAPER / "train.py"), training.name, *data, "--out", str(training.folder), *options], log).document


def with_data(training: Training, record: Record) -> Trained:
    data = training.data
    if data is None:
        return Trained(training.folder, None, None, record)
    stand_in = data.stand_in
    wanted = ORIGINALS[training.name].data
    assert wanted is not None
    title = sources.DATA_SETS[wanted].title if stand_in is None else stand_in.title
    return Trained(training.folder, title, None if stand_in is None else stand_in.note, record)


def told(record: Record) -> str:
    return f"{record['epochs']} epochs on {record['samples']:,} samples, {record['seconds']:.0f} s, score {record['score']:.4g}"
