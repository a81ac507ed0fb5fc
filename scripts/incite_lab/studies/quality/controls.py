"""Compares modules with alternatives of the same size: other choices of units, training from scratch, the paper's way.

Needs the release build and the data sets as .npz files:
incite-lab controls --mnist MNIST.npz --fmnist FMNIST.npz --cmnist26 CMNIST26.npz
Finished runs are shared with incite-lab quality, in build/runs/. Writes docs/quality.json and a section of docs/quality.md.
"""

import argparse
import multiprocessing
import sys
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from statistics import mean
from typing import Any

from incite_lab.pages.sections import QUALITY, write_section
from incite_lab.pages.tables import markdown
from incite_lab.run.batch import side_by_side
from incite_lab.run.record import deviation, seconds, spread, summary
from incite_lab.run.store import Record, hash_of
from incite_lab.studies.quality import results, specs, subjects
from incite_lab.studies.quality.specs import DEFAULTS, FINETUNE, MAGNITUDE, PAPER, RANDOM, Runs, Spec
from incite_lab.studies.quality.subjects import Subject

OURS = (DEFAULTS, FINETUNE)
CONTROLS = (RANDOM, MAGNITUDE, PAPER)
SCRATCH = "scratch"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    specs.add_arguments(parser)
    parser.add_argument("--targets", nargs="+", default=["3", "10"], metavar="TIMES", help="compression of modules (default: 3 10)")
    parser.add_argument("--times", nargs="+", default=["1"], metavar="TIMES", help="time for scratch, relative to decomposing (default: 1)")
    others = [SCRATCH, *(method.name for method in (FINETUNE, *CONTROLS))]
    parser.add_argument("--without", nargs="+", choices=others, default=[], metavar="NAME", help=f"methods to skip, of {', '.join(others)}")


def main(args: argparse.Namespace) -> None:
    methods = [method for method in (*OURS, *CONTROLS) if method.name not in args.without]
    chosen, runs = subjects.chosen(args), specs.Runs(args)
    found = runs.results(
        Spec(subject, method, seed, ("--target-compression", target))
        for subject in chosen
        for target in args.targets
        for seed in args.seeds
        for method in methods
    )
    times = [] if SCRATCH in args.without else args.times
    scratched = {SCRATCH if x == "1" else f"{SCRATCH}, {x}x the time": from_scratch(runs, found, x) for x in times}
    measures = {subject.name: compared(subject, one, args, found, scratched) for subject, one in specs.with_results(chosen, found).items()}
    part = results.update("controls", runs.runner, measures)
    write_section("Controls at equal size", section(part), QUALITY)


@dataclass(frozen=True)
class Training:
    """Networks of a run's widths, trained for a multiple of the time that the run took."""

    spec: Spec
    times: str

    def __str__(self) -> str:
        return str(self.spec)


def from_scratch(runs: Runs, found: Mapping[Spec, Record], times: str) -> dict[Spec, Record]:
    """By run with the defaults."""
    from incite_lab.studies.quality import scratch

    store, threads = runs.runner.store, runs.runner.threads
    ours = {Training(spec, times): record for spec, record in found.items() if spec.method == DEFAULTS}
    keys = {
        each: hash_of([SCRATCH, runs.runner.key(runs.job(each.spec)), record["widths"], seconds(record), times])
        for each, record in ours.items()
    }

    def train(each: Training) -> Record:
        record = ours[each]
        widths = [{layer: counts[i] for layer, counts in record["widths"].items()} for i in range(len(record["parameters"]))]
        duration = float(times) * seconds(record)
        trained = pool.submit(scratch.train_all, each.spec.subject, widths, duration, each.spec.seed, threads).result()
        original = record["original_parameters"]
        control = {
            **{field: record[field] for field in ("kind", "original", "original_parameters", "overlap")},
            "combined": trained.combined,
            "parameters": trained.parameters,
            "steps": trained.steps,
            "compression": mean(original / parameters for parameters in trained.parameters),
            "timing": {"training": duration},
        }
        store.save(keys[each], control)
        return control

    stored = {each: record for each, key in keys.items() if (record := store.load(key))}
    with ProcessPoolExecutor(runs.runner.jobs, multiprocessing.get_context("spawn")) as pool:
        wanted = [each for each in ours if each not in stored]
        trained, _ = side_by_side(SCRATCH, wanted, train, with_steps, runs.runner.jobs, sys.stderr)
    return {each.spec: record for each, record in (stored | trained).items()}


def with_steps(record: Record) -> str:
    return f"{summary(record)}, {record['steps']:,} steps"


def compared(
    subject: Subject, one: Record, args: argparse.Namespace, found: Mapping[Spec, Record], scratched: Mapping[str, Mapping[Spec, Record]]
) -> dict[str, Any]:
    ways = [(method.name, method, found) for method in (*OURS, *CONTROLS)]
    ways += [(name, DEFAULTS, records) for name, records in scratched.items()]
    rows = []
    for target in args.targets:
        for name, method, of in ways:
            if records := specs.of_all(of, [Spec(subject, method, seed, ("--target-compression", target)) for seed in args.seeds]):
                rows.append({"target": target, "method": name, **results.point(records)})
    return {"title": subject.title, "kind": one["kind"], "rows": rows}


def section(part: dict[str, Any]) -> list[str]:
    text = (
        f"`incite-lab controls`, {results.conditions(part)}; data and seeds as above. All methods have the same `--target-compression`. "
        "random, magnitude: units chosen at random, or by the size of their weights, with the defaults' repair and head. "
        "scratch: for each output, a new network with the same architecture and the default module's widths, trained in PyTorch "
        "(Adam, batches of 128, half of them samples of the class; regression: absolute error) for that output's share of the decomposition "
        "time, scoring included, on as many threads; the class is the largest log-odds. The paper's clusters of ten units are coarse, so its "
        "modules can be smaller than the target. ±: sample standard deviation over seeds. Ahead: better than the defaults by more than both "
        "deviations together."
    )
    header = ["network", "target", "method", "compression", "change", "overlap, %", "seconds", ""]
    return [text, "", *markdown(header, [line for one in part["subjects"].values() for line in rows_of(one)], "lrlrrrrl")]


def rows_of(one: dict[str, Any]) -> list[list[str]]:
    unit = "points" if one["kind"] == "accuracy" else "% of MAE"
    title, last, rows = one["title"], "", []
    for row in one["rows"]:
        ours = next((other for other in one["rows"] if (other["target"], other["method"]) == (row["target"], DEFAULTS.name)), None)
        rows.append([
            title, "" if row["target"] == last else f"{row['target']}x", row["method"], f"{spread(row['compression'])}x",
            f"{results.change_of(one['kind'], row)} {unit}", "" if row["method"].startswith(SCRATCH) else results.overlap_of(row),
            spread(row["total"], ".0f"), "ahead" if ours is not None and ahead(row, ours) else "",
        ])  # fmt: skip
        title, last = "", row["target"]
    return rows


def ahead(row: dict[str, Any], ours: dict[str, Any]) -> bool:
    return mean(row["loss"]) < mean(ours["loss"]) - deviation(row["loss"]) - deviation(ours["loss"])
