#!/usr/bin/env python3
"""Measures what compression costs: the whole curve, for several networks, three ways to make modules, and three seeds.

Needs the release build, the data sets as .npz files, and matplotlib, which scripts/setup.sh does not install:
scripts/quality.py --mnist MNIST.npz --fmnist FMNIST.npz --cmnist26 CMNIST26.npz
Finished runs are kept in build/quality/, by what they were made from: stopped, the script goes on where it was, and another selection
of methods or targets runs only what is new. They are told apart by the program's --version, not its bytes: delete the folder after a
change to the program. Nothing but the measuring sees test data. Writes docs/quality.json, docs/quality-SUBJECT.png and, in
docs/quality.md, a section on the subjects chosen and those measured before.
"""

import argparse
from typing import Any

import charts
import results
import runs
import subjects
from batch import Record
from results import page, several
from runs import DEFAULTS, FINETUNE, PAPER, Spec

METHODS = {method.name: method for method in (PAPER, DEFAULTS, FINETUNE)}
TARGETS = ["2", "3", "5", "8", "10", "15", "20"]
BRIEF = ("load", "analysis", "clustering")  # stages without a column of their own
KEEPS = ["0.8", "0.6", "0.4", "0.3", "0.2", "0.1"]


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    subjects.add_arguments(parser)
    runs.add_arguments(parser)
    parser.add_argument("--methods", nargs="+", choices=[*METHODS], default=[*METHODS], metavar="NAME", help=f"of {', '.join(METHODS)}")
    parser.add_argument("--targets", nargs="+", default=TARGETS, metavar="TIMES", help="compression of modules, but for the paper's")
    parser.add_argument("--finetune-targets", nargs="+", metavar="TIMES", help="compression of fine-tuned modules (default: --targets)")
    parser.add_argument("--keeps", nargs="+", default=KEEPS, metavar="SHARE", help="what the paper's modules keep")
    parser.add_argument("--bar", type=float, default=1.0, metavar="POINTS", help="loss to mark in charts of accuracy (default: 1)")
    return parser


def sizes(method: str, args: argparse.Namespace) -> list[tuple[str, str]]:
    if method == PAPER.name:
        return [("--keep", keep) for keep in args.keeps]
    targets = args.finetune_targets if method == FINETUNE.name and args.finetune_targets else args.targets
    return [("--target-compression", target) for target in targets]


def curve(subject: subjects.Subject, args: argparse.Namespace, found: dict[Spec, Record]) -> dict[str, Any]:
    points = []
    for method in args.methods:
        for size in sizes(method, args):
            specs = [Spec(subject, METHODS[method], seed, size) for seed in args.seeds]
            if records := runs.of_all(found, specs):
                points.append({"method": method, "size": " ".join(size), **results.point(records)})
    one = next(iter(record for spec, record in found.items() if spec.subject == subject))
    return {
        "title": subject.title,
        "kind": one["kind"],
        "original": one["original"],
        "parameters": one["original_parameters"],
        "fit": None if subject.regression else args.fit,
        "options": " ".join(subject.kind.options),
        "points": sorted(points, key=lambda point: (args.methods.index(point["method"]), point["compression"][0])),
    }


def main() -> None:
    args, runner, chosen = runs.parse(arguments())
    specs = [
        Spec(subject, METHODS[method], seed, size)
        for subject in chosen
        for seed in args.seeds
        for method in args.methods
        for size in sizes(method, args)
    ]
    found = runner.results(specs)
    measured = [subject for subject in chosen if any(spec.subject == subject for spec in found)]
    curves = {subject.name: curve(subject, args, found) for subject in measured}
    part = results.update("curves", args, curves)
    for name, one in curves.items():
        charts.draw(one, args.bar, page.DOCS / f"quality-{name}.png")
    page.write_section("Compression and what it costs", section(part), page.QUALITY)


def section(part: dict[str, Any]) -> list[str]:
    lines = [
        f"`scripts/quality.py`, {results.conditions(part)}. Every method has its own scores, one scoring run for each seed, on as many "
        "samples as the choice at the method's default size needs. Seeds are those of clusters, samples and heads; the networks stay the same. "
        "Change: combined accuracy against the original's, in points, or mean absolute error against the original's, on test data that "
        "nothing was chosen by. ±: sample standard deviation over seeds. All modules: their parameters together, against the original's. "
        "Seconds are means by stage; in all: with those of loading, analysis and clustering, and the shared scoring run.",
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
    kind = one["kind"]
    stages = [stage for stage in one["points"][-1]["seconds"] if stage not in BRIEF]
    lines = [
        f"| method | size | compression | {results.unit(kind)} | overlap, % | all modules | {' | '.join(stages)} | in all |",
        "|---|---|--:|--:|--:|--:|--:|" + "--:|" * len(stages),
    ]
    for point in one["points"]:
        seconds = [f"{point['seconds'].get(stage, 0):.1f} s" for stage in stages]
        together = sum(point["parameters"]) / len(point["parameters"]) / one["parameters"]
        lines.append(
            f"| {point['method']} | `{point['size']}` | {several(point['compression'])}x | {results.change_of(kind, point)} "
            f"| {several([100 * overlap for overlap in point['overlap']], '.1f')} | {together:.2f}x "
            f"| {' | '.join(seconds)} | {several(point['total'], '.1f')} s |"
        )
    return lines


if __name__ == "__main__":
    main()
