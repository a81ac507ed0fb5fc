"""Compares modules for some of a network's classes with the original and with networks trained for these classes.

Needs the release build and the data sets as .npz files: incite-lab reuse --mnist MNIST.npz --fmnist FMNIST.npz
Reuse as in R. Pan and H. Rajan, On Decomposing a Deep Neural Network into Modules (ESEC/FSE 2020): the new problem has some of the
original's classes and no others. Test data is used only to measure. Writes docs/quality.json and a section of docs/quality.md.
"""

import argparse
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from statistics import mean
from typing import Any

import numpy as np

from incite_lab.pages.sections import QUALITY, write_section
from incite_lab.pages.tables import markdown
from incite_lab.run.batch import side_by_side
from incite_lab.run.record import spread
from incite_lab.run.store import Record, content, hash_of
from incite_lab.studies.quality import results, specs, subjects
from incite_lab.studies.quality.specs import DEFAULTS, Method, Runs, Spec
from incite_lab.studies.quality.subjects import KINDS, Subject

SUBJECTS = ("lenet5-mnist", "lenet5-fmnist")
OUTPUTS = 10
COUNTS = tuple(range(2, OUTPUTS))
TARGET = "5"
SIZE = ("--target-compression", TARGET)
TEN, APART, SET, SCRATCH = "ten", "apart", "set", "scratch"
WAYS = {TEN: "modules of ten", APART: "modules for these", SET: "one module", SCRATCH: "from scratch"}  # with the table's words


@dataclass(frozen=True)
class Problem:
    """Some classes of a subject."""

    subject: Subject
    count: int
    seed: int

    def __str__(self) -> str:
        return f"{self.subject.name}, {self.count} classes, seed {self.seed}"

    @property
    def classes(self) -> tuple[int, ...]:
        return classes_of(self.count, self.seed)

    def spec(self, way: str) -> Spec:
        names = ",".join(map(str, self.classes))
        options = ("--outputs", names) if way == APART else ("--modules", f"set={names}")
        return Spec(self.subject, Method(f"{way} {names}", options=options), self.seed, SIZE)


def classes_of(count: int, seed: int) -> tuple[int, ...]:
    """The first `count` of a permutation, ascending: a larger problem has all classes of a smaller one."""
    return tuple(sorted(np.random.default_rng(seed).permutation(OUTPUTS)[:count].tolist()))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    specs.add_arguments(parser, SUBJECTS)
    parser.add_argument("--counts", nargs="+", type=int, choices=COUNTS, default=[*COUNTS], metavar="COUNT", help="classes (default: 2 to 9)")
    parser.add_argument("--steps", type=int, help="of training from scratch (default: as many as the original had)")


def main(args: argparse.Namespace) -> None:
    from incite_lab.studies.reuse.alternatives import STEPS

    if unknown := set(args.subjects) - set(SUBJECTS):
        args.error(f"--subjects {' '.join(sorted(unknown))}: expected some of {', '.join(SUBJECTS)}")
    args.steps = args.steps or STEPS
    chosen, runs = subjects.chosen(args), Runs(args)
    problems = [Problem(subject, count, seed) for subject in chosen for seed in args.seeds for count in args.counts]
    made = runs.results(problem.spec(way) for problem in problems for way in (APART, SET))
    found: dict[tuple[str, Problem], Record] = {
        (way, problem): with_sum(made[problem.spec(way)]) for problem in problems for way in (APART, SET) if problem.spec(way) in made
    }
    found |= {(TEN, problem): record for problem, record in composed(runs, problems).items()}
    found |= {(SCRATCH, problem): record for problem, record in trained(runs, problems, args).items()}
    measures = {}
    for subject in chosen:
        rows = [row(count, [Problem(subject, count, seed) for seed in args.seeds], found) for count in args.counts]
        measures[subject.name] = {"title": subject.title, "steps": args.steps, "of": STEPS, "rows": [one for one in rows if one]}
    part = results.update("reuse", runs.runner, measures)
    write_section("Reuse for fewer classes", section(part), QUALITY)


def with_sum(record: Record) -> Record:
    return {**record, "parameters": sum(record["parameters"])}


def composed(runs: Runs, problems: list[Problem]) -> dict[Problem, Record]:
    """By problem: its modules, taken from a decomposition into modules for all classes, and composed."""
    from incite_lab.studies.reuse.alternatives import compositions

    runner = runs.runner
    whole = {problem: Spec(problem.subject, DEFAULTS, problem.seed, SIZE) for problem in problems}
    sets = {spec: sorted({problem.classes for problem in problems if whole[problem] == spec}, key=len) for spec in whole.values()}
    keys = {spec: hash_of(["reuse, composed", runner.key(runs.job(spec)), of_spec]) for spec, of_spec in sets.items()}

    def run(spec: Spec) -> Record:
        record = {names(classes): asdict(one) for classes, one in compositions(runner.binary, spec, sets[spec], runner.threads).items()}
        runner.store.save(keys[spec], record)
        return record

    stored = {spec: record for spec, key in keys.items() if (record := runner.store.load(key))}
    done, _ = side_by_side("compositions", [spec for spec in sets if spec not in stored], run, summary, runner.jobs, sys.stderr)
    found = stored | done
    return {problem: found[spec][names(problem.classes)] for problem, spec in whole.items() if spec in found}


def names(classes: tuple[int, ...]) -> str:
    return ",".join(map(str, classes))


def summary(records: Record) -> str:
    return ", ".join(f"{100 * record['combined']:.2f} %" for record in records.values())


def trained(runs: Runs, problems: list[Problem], args: argparse.Namespace) -> dict[Problem, Record]:
    """By problem: a network of the original's architecture, trained from scratch."""
    from incite_lab.studies.reuse import alternatives

    store, threads, jobs = runs.runner.store, runs.runner.threads, runs.runner.jobs
    archives = {subject: getattr(args, str(KINDS[subject.name].archive)) for subject in {problem.subject for problem in problems}}
    keys = {
        problem: hash_of(["reuse, trained", content(archives[problem.subject]), problem.classes, problem.seed, args.steps, threads])
        for problem in problems
    }

    def train(problem: Problem) -> Record:
        task = (archives[problem.subject], problem.classes, args.steps, problem.seed, threads)
        record = asdict(pool.submit(alternatives.trained, *task).result())
        store.save(keys[problem], record)
        return record

    stored = {problem: record for problem, key in keys.items() if (record := store.load(key))}
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        rest = [problem for problem in problems if problem not in stored]
        done, _ = side_by_side("trained", rest, train, lambda record: f"{100 * record['combined']:.2f} %", jobs, sys.stderr)
    return stored | done


def row(count: int, problems: list[Problem], found: dict[tuple[str, Problem], Record]) -> dict[str, Any] | None:
    """None if something failed: means over other seeds can't be compared. Losses are in points of accuracy, against the original's."""
    if not all((way, problem) in found for way in WAYS for problem in problems):
        return None
    originals = [found[APART, problem]["original"] for problem in problems]
    return {
        "count": count,
        "classes": [problem.classes for problem in problems],
        "original": [round(each, 6) for each in originals],
        "original_parameters": found[APART, problems[0]]["original_parameters"],
        "loss": {
            way: [round(100 * (own - found[way, problem]["combined"]), 4) for own, problem in zip(originals, problems, strict=True)] for way in WAYS
        },
        "parameters": {way: [found[way, problem]["parameters"] for problem in problems] for way in WAYS},
    }


def section(part: dict[str, Any]) -> list[str]:
    text = (
        f"`incite-lab reuse`, {results.conditions(part)}; data as above. A new problem has some of the original's classes and no others, as in "
        "R. Pan and H. Rajan, *On Decomposing a Deep Neural Network into Modules* (ESEC/FSE 2020): the first ones of a permutation of the ten "
        "classes, a new one for each seed. original: accuracy on the test samples of these classes, where the largest of their outputs "
        f"decides. Other columns: change against it, in points. modules of ten: `--target-compression {TARGET}` for all classes, then "
        "`incite compose` with the modules of these classes. modules for these: `--outputs`, so that heads are fitted for the new problem. "
        "one module: `--modules set=…`. from scratch: a LeNet-5 with so many outputs, on the original's training images of these classes, "
        "for the number of steps below. ±: sample standard deviation over seeds."
    )
    header = ["network", "classes", "original", *WAYS.values(), *(f"{word}: parameters" for word in WAYS.values())]
    lines = []
    for one in part["subjects"].values():
        title = one["title"]
        for each in one["rows"]:
            changes = [spread([-lost for lost in each["loss"][way]], "+.2f") for way in WAYS]
            sizes = [f"{mean(each['parameters'][way]):,.0f}" for way in WAYS]
            lines.append([title, str(each["count"]), f"{100 * mean(each['original']):.2f} %", *changes, *sizes])
            title = ""
    return [text, "", *markdown(header, lines, "lr"), "", *findings(part)]


def steps_of(one: dict[str, Any]) -> str:
    steps, of = one["steps"], one["of"]
    return f"{of:,} steps, as many as the original's" if steps == of else f"{steps:,} steps, too few for a fair comparison; the original had {of:,}"


def findings(part: dict[str, Any]) -> list[str]:
    """An item for each network."""
    lines = []
    for one in part["subjects"].values():
        means = {way: mean(-lost for each in one["rows"] for lost in each["loss"][way]) for way in WAYS}
        whole = one["rows"][0]["original_parameters"]
        share = {way: [mean(each["parameters"][way]) / whole for each in one["rows"]] for way in WAYS}
        parts = ", ".join(f"{WAYS[way]} {value:+.2f}" for way, value in means.items())
        smaller = [str(each["count"]) for each, size in zip(one["rows"], share[TEN], strict=True) if size < 1]
        lines.append(
            f"- {one['title']}, mean change over all problems: {parts} points. One module has {mean(share[SET]):.2f} of the original's "
            f"parameters; the modules of ten together have fewer than the original for {', '.join(smaller) or 'no number of'} classes. "
            f"From scratch: {steps_of(one)}."
        )
    return lines
