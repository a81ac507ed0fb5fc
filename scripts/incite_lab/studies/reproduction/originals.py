"""The originals of the paper's subjects, trained side by side, once for each recipe and data. Missing data is fetched."""

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from incite_lab.models.data import NoData
from incite_lab.models.paper import sources
from incite_lab.models.paper.subjects import ORIGINALS
from incite_lab.models.recipes import DenseRecipe, ImageRecipe
from incite_lab.paths import BUILD
from incite_lab.run.batch import side_by_side
from incite_lab.run.program import run
from incite_lab.run.store import Record, Store, content, hash_of

CACHE = BUILD / "reproduce"  # of data and originals
SEED = 1
Recipe = ImageRecipe | DenseRecipe


@dataclass(frozen=True)
class Trained:
    folder: Path  # has model.pt, train.npz, test.npz
    data: str | None  # title
    stand_in: str | None  # a sentence on it
    record: Record  # what `incite-lab train paper` prints


@dataclass(frozen=True)
class Training:
    name: str
    recipe: Recipe
    data: sources.Obtained | None
    key: str
    folder: Path
    threads: int

    def __str__(self) -> str:
        return self.name


def train(
    recipes: Mapping[str, Recipe], data_dir: Path | None, jobs: int, threads: int, fresh: bool, cache: Path = CACHE
) -> tuple[dict[str, Trained], int]:
    """By name, what could be trained, and how many failed. Subjects without data are left out with a line."""
    store = Store(cache / "trained")
    wanted = []
    for name, recipe in recipes.items():
        try:
            wanted.append(planned(name, recipe, data_dir, cache, threads))
        except NoData as error:
            print(f"{name}: left out: {error}", file=sys.stderr, flush=True)
    stored = {} if fresh else {one: record for one in wanted if (record := store.load(one.key)) and (one.folder / "model.pt").exists()}

    def make(training: Training) -> Record:
        record = {"key": training.key, **run_training(training)}
        store.save(training.key, record)
        return record

    print(f"{len(wanted)} originals, {len(stored)} of them in {cache}", file=sys.stderr, flush=True)
    trained, failed = side_by_side("originals", [one for one in wanted if one not in stored], make, summary, jobs, sys.stderr)
    done = stored | trained
    return {one.name: with_data(one, done[one]) for one in wanted if one in done}, len(failed)


def planned(name: str, recipe: Recipe, data_dir: Path | None, cache: Path, threads: int) -> Training:
    wanted = ORIGINALS[name].data
    data = None if wanted is None else sources.obtain(wanted, data_dir, cache / "data")
    key = hash_of([name, asdict(recipe), None if data is None else content(data.file), SEED, threads, version("torch")])
    return Training(name, recipe, data, key, cache / "originals" / f"{name}-{key[:8]}", threads)


def run_training(training: Training) -> Record:
    log = training.folder / "train.log"
    training.folder.mkdir(parents=True, exist_ok=True)
    print(f"{training}: training; its epochs are in {log}", file=sys.stderr, flush=True)
    data = [] if training.data is None else ["--data", str(training.data.file)]
    recipe = training.recipe
    options = ["--epochs", str(recipe.epochs), "--seed", str(SEED), "--threads", str(training.threads)]
    if isinstance(recipe, ImageRecipe):
        amounts = {"--images": recipe.images, "--given": recipe.given}
        options += [word for option, count in amounts.items() if count is not None for word in (option, str(count))]
    command = [sys.executable, "-m", "incite_lab", "train", "paper", training.name, *data, "--out", str(training.folder), *options]
    return run(command, log).document


def with_data(training: Training, record: Record) -> Trained:
    data = training.data
    if data is None:
        return Trained(training.folder, None, None, record)
    stand_in = data.stand_in
    wanted = ORIGINALS[training.name].data
    assert wanted is not None
    title = sources.DATA_SETS[wanted].title if stand_in is None else stand_in.title
    return Trained(training.folder, title, None if stand_in is None else stand_in.note, record)


def summary(record: Record) -> str:
    return f"{record['epochs']} epochs on {record['samples']:,} samples, {record['seconds']:.0f} s, score {record['score']:.4g}"
