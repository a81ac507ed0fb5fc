"""Compares the promises of --max-loss and --target-compression with measurements on test data.

Needs the release build and MNIST as an .npz file: incite-lab promises --mnist MNIST.npz
Finished runs are shared with incite-lab quality, in build/runs/. Writes docs/quality.json and a section of docs/quality.md.
"""

import argparse
from typing import Any

from incite_lab.pages.sections import QUALITY, write_section
from incite_lab.pages.tables import markdown
from incite_lab.run.record import spread
from incite_lab.run.store import Record
from incite_lab.studies.quality import results, specs, subjects
from incite_lab.studies.quality.specs import DEFAULTS, Spec
from incite_lab.studies.quality.subjects import Subject

LOSS, TARGET = "--max-loss", "--target-compression"
POINTS = ["0.1", "0.25", "0.5", "1", "2"]
SHARES = ["1", "5", "10", "25", "50"]
TARGETS = ["2", "4", "6", "10", "20"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    specs.add_arguments(parser, ("lenet5-mnist", "sin-cos-sqrt"))
    parser.add_argument("--points", nargs="+", default=POINTS, metavar="POINTS", help="values of --max-loss for classifiers")
    parser.add_argument("--shares", nargs="+", default=SHARES, metavar="PER_CENT", help="values of --max-loss for regressors, per cent of the error")
    parser.add_argument("--targets", nargs="+", default=TARGETS, metavar="TIMES", help="values of --target-compression")


def main(args: argparse.Namespace) -> None:
    chosen, runs = subjects.chosen(args), specs.Runs(args)
    found = runs.results(
        Spec(subject, DEFAULTS, seed, size) for subject in chosen for size in promises(subject, args) for seed in args.seeds
    )
    measures = {subject.name: measured(subject, one, args, found) for subject, one in specs.with_results(chosen, found).items()}
    part = results.update("promises", runs.runner, measures)
    write_section("Promised and measured", section(part), QUALITY)


def promises(subject: Subject, args: argparse.Namespace) -> list[tuple[str, str]]:
    losses = args.shares if subject.regression else args.points
    return [(LOSS, x) for x in losses] + [(TARGET, x) for x in args.targets]


def measured(subject: Subject, one: Record, args: argparse.Namespace, found: dict[Spec, Record]) -> dict[str, Any]:
    rows = []
    for option, promised in promises(subject, args):
        if records := specs.of_all(found, [Spec(subject, DEFAULTS, seed, (option, promised)) for seed in args.seeds]):
            rows.append({"option": option, "promised": promised, **results.point(records)})
    return {"title": subject.title, "kind": one["kind"], "rows": rows}


def section(part: dict[str, Any]) -> list[str]:
    text = (
        f"`incite-lab promises`, {results.conditions(part)}. `{LOSS}`: points of combined accuracy, or per cent of the mean absolute error, "
        "decided on training samples set apart, and measured on test data that no choice used. Worst: over the seeds. Held: seeds whose "
        f"measured loss is at most the promise, or whose mean compression is at least the promise (`{TARGET}`). ±: sample standard deviation "
        "over seeds. The search uses the 95 % confidence bound of its measurement, so one run in twenty may lose more. If no size stays "
        "within the bound, the modules are the largest, and the run says so (MNIST, 0.1)."
    )
    rows = [
        ["" if i else one["title"], f"`{row['option']} {row['promised']}`", *outcome(row, one["kind"]), f"{spread(row['compression'])}x"]
        for one in part["subjects"].values()
        for i, row in enumerate(one["rows"])
    ]
    return [text, "", *markdown(["network", "promised", "measured", "worst", "held", "compression"], rows, "llr")]


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
    return [f"{spread(values, form)}{unit}", f"{worst:{form}}{unit}", f"{sum(held)} of {len(held)}"]
