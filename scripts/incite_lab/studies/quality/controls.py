#!/usr/bin/env python3
"""Compares modules with what else one could do at the same size: other choices of units, training from scratch, the paper's way.

Needs the release build and the data sets as .npz files:
scripts/controls.py --mnist MNIST.npz --fmnist FMNIST.npz --cmnist26 CMNIST26.npz
Finished runs are shared with quality.py, in build/quality/. Writes docs/quality.json and a section of docs/quality.md.
"""

import argparse
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from typing import Any

import measures
import results
import runs
import scratch
import subjects
from batch import Record, hash_of
from results import page, several
from runs import DEFAULTS, FINETUNE, MAGNITUDE, PAPER, RANDOM, Runner, Spec
from subjects import Subject

OURS = (DEFAULTS, FINETUNE)
CONTROLS = (RANDOM, MAGNITUDE, PAPER)
SCRATCH = "scratch"


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    subjects.add_arguments(parser)
    runs.add_arguments(parser)
    parser.add_argument("--targets", nargs="+", default=["3", "10"], metavar="TIMES", help="compression of modules (default: 3 10)")
    parser.add_argument("--times", nargs="+", default=["1"], metavar="TIMES", help="what training from scratch takes, over decomposing (default: 1)")
    parser.add_argument("--without", nargs="+", choices=[SCRATCH, *(method.name for method in (FINETUNE, *CONTROLS))], default=[], metavar="NAME")
    return parser


def from_scratch(runner: Runner, found: dict[Spec, Record], times: str) -> dict[Spec, Record]:
    """For each run with the defaults, networks of its modules' widths, trained so many times as long as that run took."""
    made: dict[Spec, Record] = {}
    wanted = {}
    for spec, ours in found.items():
        if spec.method != DEFAULTS:
            continue
        key = hash_of([SCRATCH, runner.key(spec), ours["widths"], measures.seconds(ours), times])
        if record := runner.store.load(key):
            made[spec] = record
        else:
            wanted[spec] = key
    with ProcessPoolExecutor(runner.jobs, multiprocessing.get_context("spawn")) as pool:
        futures = {}
        for spec in wanted:
            ours = found[spec]
            widths = [{layer: counts[i] for layer, counts in ours["widths"].items()} for i in range(len(ours["parameters"]))]
            seconds = float(times) * measures.seconds(ours)
            futures[pool.submit(scratch.train_all, spec.subject, widths, seconds, spec.seed, runner.threads)] = spec
        for count, future in enumerate(as_completed(futures), 1):
            spec, trained = futures[future], future.result()
            made[spec] = record_of(found[spec], trained, float(times))
            runner.store.save(wanted[spec], made[spec])
            print(f"[{SCRATCH} {count}/{len(wanted)}] {spec}: {measures.summary(made[spec])}, {trained.steps:,} steps", flush=True)
    return made


def record_of(ours: Record, trained: scratch.Trained, times: float) -> Record:
    original = ours["original_parameters"]
    return {
        **{field: ours[field] for field in ("kind", "original", "original_parameters", "overlap")},
        **asdict(trained),
        "compression": results.mean([original / parameters for parameters in trained.parameters]),
        "timing": {"training": times * measures.seconds(ours)},
    }


def compared(subject: Subject, args: argparse.Namespace, found: dict[Spec, Record], scratched: dict[str, Any]) -> dict[str, Any]:
    ways = [(method.name, method, found) for method in (*OURS, *CONTROLS)]
    ways += [(name, DEFAULTS, records) for name, records in scratched.items()]
    rows = []
    for target in args.targets:
        for name, method, of in ways:
            specs = [Spec(subject, method, seed, ("--target-compression", target)) for seed in args.seeds]
            if records := runs.of_all(of, specs):
                rows.append({"target": target, "method": name, **results.point(records)})
    kind = next(record["kind"] for spec, record in found.items() if spec.subject == subject)
    return {"title": subject.title, "kind": kind, "rows": rows}


def main() -> None:
    args, runner, chosen = runs.parse(arguments())
    methods = [method for method in (*OURS, *CONTROLS) if method.name not in args.without]
    specs = [
        Spec(subject, method, seed, ("--target-compression", target))
        for subject in chosen
        for target in args.targets
        for seed in args.seeds
        for method in methods
    ]
    found = runner.results(specs)
    times = [] if SCRATCH in args.without else args.times
    scratched = {SCRATCH if x == "1" else f"{SCRATCH}, {x}x the time": from_scratch(runner, found, x) for x in times}
    measured = [subject for subject in chosen if any(spec.subject == subject for spec in found)]
    part = results.update("controls", args, {subject.name: compared(subject, args, found, scratched) for subject in measured})
    page.write_section("Controls at equal size", section(part), page.QUALITY)


def section(part: dict[str, Any]) -> list[str]:
    lines = [
        f"`scripts/controls.py`, {results.conditions(part)}; data and seeds as above. All ways are given the same `--target-compression`. "
        "random, magnitude: units chosen at random, or by the size of their weights, with the same repair and head as the defaults. "
        "scratch: for each output a network of the architecture and of the default module's widths, initialised anew and trained in PyTorch "
        "(Adam, batches of 128, half of them of the class; regression: absolute error) for the output's share of the seconds that "
        "decomposing took, scoring included, on as many threads; a class is the largest log-odds, as for modules. The paper's clusters of ten "
        "units are coarse steps: its modules can be smaller than asked. ±: sample standard deviation over seeds. Ahead: better than the "
        "defaults by more than both deviations together.",
        "",
        "| network | target | way | compression | change | overlap, % | seconds | |",
        "|---|--:|---|--:|--:|--:|--:|---|",
    ]
    for one in part["subjects"].values():
        unit = "points" if one["kind"] == "accuracy" else "% of MAE"
        title, last = one["title"], ""
        for row in one["rows"]:
            same = [other for other in one["rows"] if other["target"] == row["target"]]
            ours = next((other for other in same if other["method"] == DEFAULTS.name), None)
            overlap = "" if row["method"].startswith(SCRATCH) else several([100 * overlap for overlap in row["overlap"]], ".1f")
            lines.append(
                f"| {title} | {'' if row['target'] == last else row['target'] + 'x'} | {row['method']} | {several(row['compression'])}x "
                f"| {results.change_of(one['kind'], row)} {unit} | {overlap} | {several(row['total'], '.0f')} "
                f"| {'ahead' if ours is not None and ahead(row, ours) else ''} |"
            )
            title, last = "", row["target"]
    return lines


def ahead(row: dict[str, Any], ours: dict[str, Any]) -> bool:
    margin = results.deviation(row["loss"]) + results.deviation(ours["loss"])
    return results.mean(row["loss"]) < results.mean(ours["loss"]) - margin


if __name__ == "__main__":
    main()
