"""TOML files that list experiments: models with their data, and grids of options. docs/experiments.md has the format."""

import itertools
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from incite_lab.run.runner import Job

STAGES = ("load", "analysis", "clustering", "scoring", "modules", "evaluation")
SECONDS = {stage: f"{stage}_seconds" for stage in (*STAGES, "total")}
SHARES = {"accuracy": "accuracy", "mean_average_precision": "mean average precision", "mean_iou": "mean IoU"}  # kinds of record.KINDS
LOSSES = {f"{kind}_loss_points": f"points of {words}" for kind, words in SHARES.items()} | {"mae_loss_percent": "% of the mean absolute error"}
MEASURES = (
    *(column for kind in SHARES for column in (f"original_{kind}_percent", f"combined_{kind}_percent", f"{kind}_loss_points")),
    "original_mae", "combined_mae", "mae_loss_percent",
    "compression_ratio", "overlap_percent", "scored_samples", *SECONDS.values(),
)  # fmt: skip
OPTIONS = "options"  # in `columns`: a column for each option
OURS = (
    "data", "test", "out", "seed", "threads", "json", "quiet", "verbose", "force", "resume", "keep-scores", "help",
)  # fmt: skip # set in other ways


class Mistake(Exception):
    """In the file: one line."""


@dataclass(frozen=True)
class Origin:
    """What a run is of, and where the file says so."""

    where: str
    model: str
    options: dict[str, Any]  # the model's and the grid's
    seed: int


@dataclass(frozen=True)
class Experiment:
    jobs: dict[Job, Origin]  # in the order of the table
    options: tuple[str, ...]  # that any run sets
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Model:
    file: Path
    data: Path
    test: Path | None
    options: dict[str, Any]


def read(file: Path) -> Experiment:
    """Throws Mistake. File names in it are relative to its folder."""
    try:
        given = tomllib.loads(file.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise Mistake(getattr(error, "strerror", None) or error) from None
    except tomllib.TOMLDecodeError as error:
        raise Mistake(f"not TOML: {error}") from None
    check_keys("the file", given, ("columns", "model", "grid"))
    models = {name: read_model(name, table, file.parent) for name, table in expect(dict, "model", given.get("model", {})).items()}
    if not models:
        raise Mistake("no models: expected a table [model.NAME] with file and data")
    grids = expect(list, "grid", given.get("grid", [{}]))
    jobs = dict(job for i, grid in enumerate(grids, 1) for job in read_grid(f"grid {i}", expect(dict, f"grid {i}", grid), models))
    if not jobs:
        raise Mistake("no runs: a list of options, seeds or models is empty")
    options = tuple(dict.fromkeys(name for origin in jobs.values() for name in origin.options))
    return Experiment(jobs, options, read_columns(given.get("columns", ["model", OPTIONS, "seed", *MEASURES, "status"]), options))


def read_columns(given: Any, options: tuple[str, ...]) -> tuple[str, ...]:
    known = ("model", OPTIONS, *options, "seed", *MEASURES, "status")
    columns: list[str] = []
    for column in expect(list, "columns", given):
        if column not in known:
            raise Mistake(f"columns: {column!r}: expected some of {', '.join(known)}")
        columns += options if column == OPTIONS else [column]
    return tuple(dict.fromkeys(columns))


def read_model(name: str, table: Any, folder: Path) -> Model:
    where = f"model.{name}"
    check_keys(where, expect(dict, where, table), ("file", "data", "test", "options"))
    if missing := [key for key in ("file", "data") if key not in table]:
        raise Mistake(f"{where}: no {missing[0]}")
    files = {key: folder / expect(str, f"{where}.{key}", table[key]) for key in ("file", "data", "test") if key in table}
    if absent := [file for file in files.values() if not file.is_file()]:
        raise Mistake(f"{where}: {absent[0]}: no such file")
    options = checked_options(f"{where}.options", table.get("options", {}))
    if lists := [key for key, value in options.items() if isinstance(value, list)]:
        raise Mistake(f"{where}.options.{lists[0]}: a list; expected one value. Lists are for grids")
    return Model(files["file"], files["data"], files.get("test"), options)


def read_grid(where: str, grid: dict[str, Any], models: dict[str, Model]) -> Iterator[tuple[Job, Origin]]:
    """A job for each model, combination of options and seed."""
    check_keys(where, grid, ("models", "options", "seeds"))
    seeds = expect(list, f"{where}.seeds", grid.get("seeds", [0]))
    if any(isinstance(seed, bool) or not isinstance(seed, int) for seed in seeds):
        raise Mistake(f"{where}.seeds: expected whole numbers")
    options = checked_options(f"{where}.options", grid.get("options", {}))
    for name in expect(list, f"{where}.models", grid.get("models", [*models])):
        if name not in models:
            raise Mistake(f"{where}.models: {name!r}: expected some of {', '.join(models)}")
        model = models[name]
        choices = [value if isinstance(value, list) else [value] for value in options.values()]
        for values in itertools.product(*choices):
            chosen = dict(zip(options, values, strict=True))
            all_options = model.options | chosen
            title = " ".join((name, *as_arguments(chosen)))
            for seed in seeds:
                job = Job(f"{title}, seed {seed}", model.file, model.data, model.test, as_arguments(all_options), seed)
                yield job, Origin(where, name, all_options, seed)


def as_arguments(options: dict[str, Any]) -> tuple[str, ...]:
    """true is the option by itself, false none."""
    arguments: list[str] = []
    for key, value in options.items():
        if value is not False:
            arguments += [f"--{key}"] if value is True else [f"--{key}", str(value)]
    return tuple(arguments)


def checked_options(where: str, options: Any) -> dict[str, Any]:
    for key, value in expect(dict, where, options).items():
        if key in OURS:
            raise Mistake(f"{where}: {key} can't be set here")
        for one in value if isinstance(value, list) else [value]:
            if not isinstance(one, (str, int, float)):
                raise Mistake(f"{where}.{key}: {one!r}: expected a string, a number, or true or false")
    return options


def check_keys(where: str, table: dict[str, Any], known: tuple[str, ...]) -> None:
    if unknown := [key for key in table if key not in known]:
        raise Mistake(f"{where}: unknown {unknown[0]!r}; expected {', '.join(known)}")


def expect(kind: type, where: str, value: Any) -> Any:
    if not isinstance(value, kind):
        name = "a list" if kind is list else "a table" if kind is dict else "a string"
        raise Mistake(f"{where}: {value!r}: expected {name}")
    return value
