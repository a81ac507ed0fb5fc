"""Measures the loss against compression: the whole curve, for several networks, three methods to make modules, and three seeds.

Needs the release build, the data sets as .npz files, and matplotlib, which scripts/setup.sh does not install:
incite-lab quality --mnist MNIST.npz --fmnist FMNIST.npz --cmnist26 CMNIST26.npz
Finished runs are kept in build/runs/. After a stop the command continues, and with other methods or targets it runs only what is new.
Test data is used only to measure. Writes docs/quality.json, docs/quality-SUBJECT.png and a section of docs/quality.md, which keeps the
subjects measured before.
"""

import argparse
from typing import Any

from incite_lab.pages.sections import QUALITY, write_section
from incite_lab.pages.tables import markdown
from incite_lab.paths import DOCS
from incite_lab.run.record import spread
from incite_lab.run.store import Record
from incite_lab.studies.quality import results, specs, subjects
from incite_lab.studies.quality.specs import DEFAULTS, FINETUNE, PAPER, Spec
from incite_lab.studies.quality.subjects import Subject

METHODS = {method.name: method for method in (PAPER, DEFAULTS, FINETUNE)}
TARGETS = ["2", "3", "5", "8", "10", "15", "20"]
BRIEF = ("load", "analysis", "clustering")  # stages without a column of their own
KEEPS = ["0.8", "0.6", "0.4", "0.3", "0.2", "0.1"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    specs.add_arguments(parser)
    parser.add_argument("--methods", nargs="+", choices=[*METHODS], default=[*METHODS], metavar="NAME", help=f"some of {', '.join(METHODS)}")
    parser.add_argument("--targets", nargs="+", default=TARGETS, metavar="TIMES", help="compression of modules, for all methods but paper")
    parser.add_argument("--finetune-targets", nargs="+", metavar="TIMES", help="compression of fine-tuned modules (default: --targets)")
    parser.add_argument("--keeps", nargs="+", default=KEEPS, metavar="SHARE", help="share of channels to keep, for the method paper")
    parser.add_argument("--bar", type=float, default=1.0, metavar="POINTS", help="loss to mark in charts of accuracy (default: 1)")


def main(args: argparse.Namespace) -> None:
    from incite_lab.studies.quality import charts

    chosen, runs = subjects.chosen(args), specs.Runs(args)
    found = runs.results(
        Spec(subject, METHODS[method], seed, size)
        for subject in chosen
        for seed in args.seeds
        for method in args.methods
        for size in sizes(method, args)
    )
    curves = {subject.name: curve(subject, one, args, found) for subject, one in specs.with_results(chosen, found).items()}
    part = results.update("curves", runs.runner, curves)
    for name, one in curves.items():
        charts.draw(one, args.bar, DOCS / f"quality-{name}.png")
    write_section("Compression and what it costs", section(part), QUALITY)


def sizes(method: str, args: argparse.Namespace) -> list[tuple[str, str]]:
    if method == PAPER.name:
        return [("--keep", keep) for keep in args.keeps]
    targets = args.finetune_targets if method == FINETUNE.name and args.finetune_targets else args.targets
    return [("--target-compression", target) for target in targets]


def curve(subject: Subject, one: Record, args: argparse.Namespace, found: dict[Spec, Record]) -> dict[str, Any]:
    points = []
    for method in args.methods:
        for size in sizes(method, args):
            if records := specs.of_all(found, [Spec(subject, METHODS[method], seed, size) for seed in args.seeds]):
                points.append({"method": method, "size": " ".join(size), **results.point(records)})
    return {
        "title": subject.title,
        "kind": one["kind"],
        "original": one["original"],
        "parameters": one["original_parameters"],
        "fit": None if subject.regression else args.fit,
        "options": " ".join(subject.options),
        "points": sorted(points, key=lambda point: (args.methods.index(point["method"]), point["compression"][0])),
    }


def section(part: dict[str, Any]) -> list[str]:
    lines = [
        f"`incite-lab quality`, {results.conditions(part)}. Each method has its own scores: one scoring run for each seed, on as many samples as "
        "the choice needs at the method's default size. The seed changes clusters, samples and heads; the networks stay the same. Change: "
        "combined accuracy (or mean absolute error) against the original's, on test data that no choice used. ±: sample standard deviation "
        "over seeds. All modules: the sum of their parameters, relative to the original's. Seconds are means by stage. In all: also loading, "
        "analysis, clustering and the shared scoring run.",
    ]
    for name, one in part["subjects"].items():
        lines += ["", f"### {one['title']}", "", about(one), "", f"![{one['title']}: compression and what it costs](quality-{name}.png)", ""]
        lines += table(one)
    return lines


def about(one: dict[str, Any]) -> str:
    score = f"{100 * one['original']:.2f} %" if one["kind"] == "accuracy" else f"MAE {one['original']:.6f}"
    used = f"; {one['fit']:,} training samples" if one["fit"] else ""
    options = f"; `{one['options']}`" if one["options"] else ""
    return f"Original: {score}, {one['parameters']:,} parameters{used}{options}."


def table(one: dict[str, Any]) -> list[str]:
    stages = [stage for stage in one["points"][-1]["seconds"] if stage not in BRIEF]
    unit = "change, points" if one["kind"] == "accuracy" else "change of MAE, %"
    rows = [
        [
            point["method"],
            f"`{point['size']}`",
            f"{spread(point['compression'])}x",
            results.change_of(one["kind"], point),
            results.overlap_of(point),
            f"{sum(point['parameters']) / len(point['parameters']) / one['parameters']:.2f}x",
            *(f"{point['seconds'].get(stage, 0):.1f} s" for stage in stages),
            f"{spread(point['total'], '.1f')} s",
        ]
        for point in one["points"]
    ]
    return markdown(["method", "size", "compression", unit, "overlap, %", "all modules", *stages, "in all"], rows, "llr")
