#!/usr/bin/env python3
"""Runs `incite decompose` for every combination of models and options that a TOML file lists, and writes one table.

docs/experiments.md has the file's format; scripts/experiments.example.toml is one: scripts/experiments.py scripts/experiments.example.toml
Finished runs are kept: stopped, the script goes on where it was, and a longer file runs only what is new.
"""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import tables
from batch import Record, exit_status
from decomposing import ROOT, Failed
from decompositions import Decompositions, Job, add_arguments
from experiment_files import STAGES, WORDS, Experiment, Mistake, Shown, read
from measures import loss, seconds


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, metavar="FILE.toml")
    add_arguments(parser)
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="for tables and finished runs (default: build/experiments/FILE)")
    return parser


def cells(shown: Shown, found: Record | Failed) -> dict[str, Any]:
    """By column."""
    row: dict[str, Any] = asdict(shown)
    if isinstance(found, Failed):
        return row | {"status": str(found)}
    row |= {name: found[name] for name in ("original", "combined", "compression", "overlap", "scored")}
    defined = found["combined"] is not None and (found["kind"] == "accuracy" or found["original"] > 0)
    row["loss"] = loss(found) if defined else None
    return row | {stage: found["timing"].get(stage, 0.0) for stage in STAGES} | {"total": seconds(found), "status": "done"}


def exact(value: Any) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def brief(column: str, value: Any) -> str:
    """As read by a person."""
    if not isinstance(value, float):
        return f"`{value}`" if column == "options" and value else exact(value)
    form = {"compression": ".2f", "loss": ".2f", "overlap": ".3f"}.get(column, ".1f" if column in (*STAGES, "total") else ".4g")
    return format(value, form)


def write_tables(experiment: Experiment, rows: list[dict[str, Any]], out: Path) -> None:
    columns = experiment.columns
    tables.write_csv(out / "table.csv", columns, [[exact(row.get(column)) for column in columns] for row in rows])
    header = [f"{column}, s" if column in (*STAGES, "total") else column for column in columns]
    words = [column in WORDS for column in columns]
    lines = tables.markdown(header, [[brief(column, row.get(column)) for column in columns] for row in rows], words)
    (out / "table.md").write_text("\n".join(lines) + "\n")


def main() -> int:
    args = arguments().parse_args()
    try:
        experiment = read(args.file)
    except Mistake as mistake:
        raise SystemExit(f"{args.file}: {mistake}") from None
    out = args.out or ROOT / "build" / "experiments" / args.file.stem
    found, failed = Decompositions(args, out).results([*experiment.jobs])
    write_tables(experiment, [cells(shown, found.get(job) or failed[job]) for job, shown in experiment.jobs.items()], out)
    print(f"{out / 'table.csv'}, {out / 'table.md'}: {len(found)} runs" + f", {len(failed)} failed" * bool(failed), file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(exit_status(main))
