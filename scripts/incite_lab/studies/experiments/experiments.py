"""Runs `incite decompose` for every combination of models and options in a TOML file, and writes one table.

docs/experiments.md describes the file. An example: incite-lab experiments scripts/experiments.example.toml
The file is checked before the first run. Finished runs are kept: after a stop the same command continues, and a longer file runs only
what is new.
"""

import argparse
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from incite_lab.pages import tables
from incite_lab.paths import BUILD
from incite_lab.run import runner
from incite_lab.run.batch import interruptible
from incite_lab.run.program import Failed
from incite_lab.run.record import loss, seconds
from incite_lab.run.runner import Runner
from incite_lab.run.store import Record
from incite_lab.studies.experiments import checks
from incite_lab.studies.experiments.files import LOSSES, SECONDS, SHARES, STAGES, Experiment, Mistake, Origin, read

Row = dict[str, Any]  # by column


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE.toml")
    runner.add_arguments(parser)
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="folder for tables and charts (default: build/experiments/FILE)")
    parser.add_argument("--plot", action="store_true", help="also draw loss against compression, one PNG for each model; needs matplotlib")


def main(args: argparse.Namespace) -> int:
    return interruptible(lambda: experiments(args))


def experiments(args: argparse.Namespace) -> int:
    out = args.out or BUILD / "experiments" / args.file.stem
    charts = plotting() if args.plot else None
    runs = Runner(args)
    try:
        experiment = read(args.file)
        checks.check(experiment.jobs, [*filter(runs.finished, experiment.jobs)], runs.binary, runs.jobs)
    except Mistake as mistake:
        raise SystemExit(f"{args.file}: {mistake}") from None
    found, failed = runs.results(experiment.jobs)
    rows = [cells(origin, found.get(job) or failed[job]) for job, origin in experiment.jobs.items()]
    out.mkdir(parents=True, exist_ok=True)
    write_tables(experiment, rows, out)
    written = [out / "table.csv", out / "table.md"]
    if charts:
        written += charts.draw(rows, experiment.options, out)
    files = ", ".join(map(str, written))
    print(f"{files}: {len(found)} runs" + f", {len(failed)} failed" * bool(failed), file=sys.stderr)
    return 1 if failed else 0


def plotting() -> ModuleType:
    """The module that draws. It needs matplotlib, which is looked for before anything is run."""
    try:
        from incite_lab.studies.experiments import charts
    except ModuleNotFoundError as error:
        raise SystemExit(f"--plot: {error.name} is not installed; run {sys.executable} -m pip install matplotlib") from None
    return charts


def cells(origin: Origin, found: Record | Failed) -> Row:
    row: Row = {"model": origin.model, "seed": origin.seed, **origin.options}
    if isinstance(found, Failed):
        return row | {"status": str(found)}
    row |= quality(found)
    row |= {"compression_ratio": found["compression"], "scored_samples": found["scored"]}
    row["overlap_percent"] = percent(found["overlap"])
    row |= {SECONDS[stage]: found["timing"].get(stage, 0.0) for stage in STAGES}
    return row | {SECONDS["total"]: seconds(found), "status": "done"}


def quality(found: Record) -> Row:
    """A loss above 0 is worse. None of one module alone, or against an error of 0."""
    kind, original, combined = found["kind"], found["original"], found["combined"]
    lost = loss(found) if combined is not None and (kind in SHARES or original > 0) else None
    if kind in SHARES:
        return {
            f"original_{kind}_percent": percent(original),
            f"combined_{kind}_percent": percent(combined),
            f"{kind}_loss_points": lost,
        }
    return {"original_mae": original, "combined_mae": combined, "mae_loss_percent": lost}


def percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def exact(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def brief(column: str, value: Any) -> str:
    """As read by a person."""
    if not isinstance(value, float):
        return exact(value)
    if column.endswith("_mae"):
        return f"{value:.4g}"
    if column in LOSSES:
        return f"{value:+.2f}"
    return f"{value:.1f}" if column in SECONDS.values() else f"{value:.2f}"


def write_tables(experiment: Experiment, rows: list[Row], out: Path) -> None:
    columns = experiment.columns
    tables.write_csv(out / "table.csv", columns, [[exact(row.get(column)) for column in columns] for row in rows])
    filled = [column for column in columns if any(row.get(column) is not None for row in rows)]
    sides = "".join("l" if any(isinstance(row.get(column), (str, bool)) for row in rows) else "r" for column in filled)
    shown = [[exact(row.get(c)) if c in experiment.options else brief(c, row.get(c)) for c in filled] for row in rows]
    (out / "table.md").write_text("\n".join(tables.markdown(filled, shown, sides)) + "\n")
