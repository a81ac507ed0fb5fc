#!/usr/bin/env python3
"""Compares what --max-loss and --target-compression promise with what is measured on test data.

Needs the release build and MNIST as an .npz file: scripts/promises.py --mnist MNIST.npz
Finished runs are shared with quality.py, in build/quality/. Writes docs/quality.json and a section of docs/quality.md.
"""

import argparse
from typing import Any

import results
import runs
import subjects
from batch import Record
from results import page, several
from runs import DEFAULTS, Spec

LOSS, TARGET = "--max-loss", "--target-compression"
POINTS = ["0.1", "0.25", "0.5", "1", "2"]
SHARES = ["1", "5", "10", "25", "50"]
TARGETS = ["2", "4", "6", "10", "20"]


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    subjects.add_arguments(parser, ("lenet5-mnist", "sin-cos-sqrt"))
    runs.add_arguments(parser)
    parser.add_argument("--points", nargs="+", default=POINTS, metavar="POINTS", help="--max-loss of classifiers")
    parser.add_argument("--shares", nargs="+", default=SHARES, metavar="PER_CENT", help="--max-loss of regressors, in per cent of the error")
    parser.add_argument("--targets", nargs="+", default=TARGETS, metavar="TIMES", help="--target-compression")
    return parser


def promises(subject: subjects.Subject, args: argparse.Namespace) -> list[tuple[str, str]]:
    losses = args.shares if subject.regression else args.points
    return [(LOSS, x) for x in losses] + [(TARGET, x) for x in args.targets]


def measured(subject: subjects.Subject, args: argparse.Namespace, found: dict[Spec, Record]) -> dict[str, Any]:
    rows = []
    for option, promised in promises(subject, args):
        specs = [Spec(subject, DEFAULTS, seed, (option, promised)) for seed in args.seeds]
        if records := runs.of_all(found, specs):
            rows.append({"option": option, "promised": promised, **results.point(records)})
    kind = next(record["kind"] for spec, record in found.items() if spec.subject == subject)
    return {"title": subject.title, "kind": kind, "rows": rows}


def main() -> None:
    args, runner, chosen = runs.parse(arguments())
    found = runner.results(
        Spec(subject, DEFAULTS, seed, size) for subject in chosen for size in promises(subject, args) for seed in args.seeds
    )
    done = [subject for subject in chosen if any(spec.subject == subject for spec in found)]
    part = results.update("promises", args, {subject.name: measured(subject, args, found) for subject in done})
    page.write_section("Promised and measured", section(part), page.QUALITY)


def section(part: dict[str, Any]) -> list[str]:
    lines = [
        f"`scripts/promises.py`, {results.conditions(part)}. `{LOSS}`: points of combined accuracy, or per cent of the mean absolute error, "
        "decided on training samples that were set apart; measured on test data, which played no part. Worst: of the seeds. "
        f"Held: seeds for which the measured loss is at most what was promised, or the mean compression at least (`{TARGET}`). ±: sample "
        "standard deviation over seeds. The search keeps to the 95 % confidence bound of what it measures, so that one run in twenty may "
        "lose more; where no size keeps to it the modules are the largest, and the run says so (MNIST, 0.1).",
        "",
        "| network | promised | measured | worst | held | compression |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for one in part["subjects"].values():
        title = one["title"]
        for row in one["rows"]:
            told = " | ".join(outcome(row, one["kind"]))
            lines.append(f"| {title} | `{row['option']} {row['promised']}` | {told} | {several(row['compression'])}x |")
            title = ""
    return lines


def outcome(row: dict[str, Any], kind: str) -> list[str]:
    """Measured, worst, held."""
    promised = float(row["promised"])
    if row["option"] == TARGET:
        values, form, unit, worst = row["compression"], ".2f", "x", min(row["compression"])
        held = [x >= promised for x in values]
    else:
        values, worst = row["loss"], max(row["loss"])
        form, unit = ("+.2f", " points") if kind == "accuracy" else ("+.1f", " %")
        held = [x <= promised for x in values]
    return [f"{several(values, form)}{unit}", f"{worst:{form}}{unit}", f"{sum(held)} of {len(held)}"]


if __name__ == "__main__":
    main()
