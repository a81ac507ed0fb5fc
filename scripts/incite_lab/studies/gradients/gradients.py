"""Compares scores estimated from gradients with those of mutants that run: what modules keep, and what they lose.

Needs the release build and the data sets as .npz files:
incite-lab gradients --mnist MNIST.npz --fmnist FMNIST.npz --cmnist26 CMNIST26.npz
Finished runs are kept in build/runs/, and the section is written after each network. After a stop the command continues. Test data is used
only to measure. Writes docs/quality.json and a section of docs/quality.md.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from statistics import mean
from typing import Any

from incite_lab.models.placed_digits import CLASSES, PLACES
from incite_lab.pages.sections import QUALITY, write_section
from incite_lab.run import runner
from incite_lab.run.runner import Job, Runner
from incite_lab.run.store import Record
from incite_lab.studies.gradients import agreement, page
from incite_lab.studies.quality import results, subjects
from incite_lab.studies.quality.subjects import Subject

SAMPLES = 2_000  # to score; the same ones for both ways
WAYS = {"exact": "mutation", "gradient": "gradient"}  # values of --scoring


@dataclass(frozen=True)
class Plan:
    """What is run for a network. Both targets' modules come from the scores of the first one's run."""

    fit: int = 4_000  # training samples: with more, modules lose less, but the study takes hours
    targets: tuple[str, str] = ("5", "10")
    options: tuple[str, ...] = ()


# The smallest first. A transformer's modules keep what its blocks add up to, so 10x can't be had.
PLANS = {
    "sin-cos-sqrt": Plan(),
    "lenet5-mnist": Plan(),
    "lenet5-fmnist": Plan(),
    "lstm-mnist": Plan(),
    "transformer-fmnist": Plan(targets=("3", "5")),
    "lenet5-cmnist26": Plan(),
    "resnet26-fmnist": Plan(),
    "resnet-fmnist": Plan(),
    # A module for each place: 360 modules would take hours.
    "lenet5-places": Plan(7_200, options=("--modules", *(f"p{at}={CLASSES * at}-{CLASSES * at + CLASSES - 1}" for at in range(PLACES**2)))),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    subjects.add_subjects(parser, tuple(PLANS), tuple(PLANS))
    subjects.add_archives(parser)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="SEED")
    parser.add_argument("--fit", type=int, help="training samples to use, drawn at random; 0: all (default: 4,000; 7,200 for 360 outputs)")
    runner.add_arguments(parser)


def main(args: argparse.Namespace) -> None:
    runs = Runner(args, resume=False)  # a part of a run has no seconds to compare
    chosen = {subjects.subject(name, args, PLANS[name].fit if args.fit is None else args.fit): PLANS[name] for name in PLANS if name in args.subjects}
    for subject, plan in chosen.items():
        jobs = {(way, seed, target): job(subject, plan, way, seed, target) for way in WAYS for seed in args.seeds for target in plan.targets}
        found, failed = runs.results(jobs.values())
        if failed:
            continue  # the log says why; means over other seeds can't be compared
        records = {key: found[each] for key, each in jobs.items()}
        first = {key[:2]: each for key, each in jobs.items() if key[2] == plan.targets[0]}
        scores = {key: agreement.contributions(runs.scores_file(each)) for key, each in first.items()}
        measures = measured(subject.title, plan, args.seeds, records, scores)
        write_section("Scores from gradients", page.section(results.update("gradients", runs, {subject.name: measures})), QUALITY)


def job(subject: Subject, plan: Plan, way: str, seed: int, target: str) -> Job:
    first = None if target == plan.targets[0] else job(subject, plan, way, seed, plan.targets[0])
    options = (*subject.data_options, *plan.options, "--scoring", WAYS[way], "--samples", str(SAMPLES), "--target-compression", target)
    name = f"{subject.name}, {way}, seed {seed}, {target}x"
    return Job(name, subject.model, subject.train, subject.test, options, seed, scores=first, keep_scores=first is None, details=True)


def measured(
    title: str, plan: Plan, seeds: list[int], records: Mapping[tuple[str, int, str], Record], scores: Mapping[tuple[str, int], Mapping[str, Any]]
) -> dict[str, Any]:
    """records: by way, seed and target; scores: contributions by way and seed."""
    first = plan.targets[0]
    one, contributed = records["exact", seeds[0], first], scores["exact", seeds[0]]

    def kept(way: str, seed: int) -> list[dict[str, list[int]]]:
        return records[way, seed, first]["kept"]

    def overlap(layer: str, ways: tuple[str, str], of: tuple[int, int]) -> float:
        return round(agreement.mean_jaccard(kept(ways[0], of[0]), kept(ways[1], of[1]), layer), 4)

    return {
        "title": title,
        "kind": one["kind"],
        "original": one["original"],
        "parameters": one["original_parameters"],
        "outputs": next(iter(contributed.values())).shape[1],
        "modules": len(one["parameters"]),
        "fit": one["fit"],
        "scored": one["scored"],
        "groups": [
            {
                "layer": layer,
                "clusters": len(clusters),
                "rho": [round(agreement.mean_spearman(scores["exact", seed][layer], scores["gradient", seed][layer]), 4) for seed in seeds],
                "jaccard": [overlap(layer, ("exact", "gradient"), (seed, seed)) for seed in seeds],
                "jaccard_of_seeds": [overlap(layer, ("exact", "exact"), pair) for pair in pairwise(seeds)],
            }
            for layer, clusters in contributed.items()
        ],
        "cost": {
            way: {
                "multiply_adds": mean(records[way, seed, first]["multiply_adds"] for seed in seeds),
                "cpu_seconds": round(mean(records[way, seed, first]["cpu_seconds"] for seed in seeds), 2),
            }
            for way in WAYS
        },
        "rows": [
            {"target": target} | {way: results.point([records[way, seed, target] for seed in seeds]) for way in WAYS} for target in plan.targets
        ],
    }
