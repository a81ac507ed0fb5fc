"""Compares one module for all outputs (--modules all) with Torch-Pruning at the same size.

Needs the release build, torch-pruning (pip install --no-deps torch-pruning==1.6.1) and the data sets as .npz files:
incite-lab pruning --mnist MNIST.npz --fmnist FMNIST.npz
Both prune the same trained networks to the same numbers of parameters, with the same training samples; without training, and with three
epochs of fine-tuning. Test data is used only to measure. Writes docs/quality.json and a section of docs/quality.md.
"""

import argparse
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from statistics import mean
from typing import Any

from incite_lab.pages.sections import QUALITY, write_section
from incite_lab.pages.tables import markdown
from incite_lab.run.batch import side_by_side
from incite_lab.run.record import change, loss, spread
from incite_lab.run.store import Record, content, hash_of
from incite_lab.studies.quality import results, specs, subjects
from incite_lab.studies.quality.specs import Method, Spec
from incite_lab.studies.quality.subjects import Subject

EPOCHS = 3
SUBJECTS = ("lenet5-mnist", "lenet5-fmnist", "resnet-fmnist", "lstm-mnist", "sin-cos-sqrt")
WHOLE = ("--modules", "all")
OURS = {0: Method("incite", options=WHOLE), EPOCHS: Method("incite", options=(*WHOLE, "--finetune", str(EPOCHS)))}
IMPORTANCES = ("magnitude", "taylor")


@dataclass(frozen=True)
class Theirs:
    """A run of Torch-Pruning."""

    subject: Subject
    target: str
    importance: str
    epochs: int
    seed: int

    def __str__(self) -> str:
        return f"{self.subject.name}, {self.importance}, {self.epochs} epochs, seed {self.seed}, {self.target}x"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    specs.add_arguments(parser, SUBJECTS)
    parser.add_argument("--targets", nargs="+", default=["2", "3", "5", "10"], metavar="TIMES", help="compression (default: 2 3 5 10)")


def main(args: argparse.Namespace) -> None:
    chosen, runs = subjects.chosen(args), specs.Runs(args)
    found = runs.results(
        Spec(subject, OURS[epochs], seed, ("--target-compression", target))
        for subject in chosen
        for target in args.targets
        for seed in args.seeds
        for epochs in OURS
    )
    theirs = pruned(
        runs,
        [
            Theirs(subject, target, importance, epochs, seed)
            for subject in chosen
            for target in args.targets
            for importance in IMPORTANCES
            for epochs in OURS
            for seed in args.seeds
        ],
    )
    measures = {subject.name: compared(subject, one, args, found, theirs) for subject, one in specs.with_results(chosen, found).items()}
    part = results.update("pruning", runs.runner, measures)
    write_section("One module for all outputs, as a pruner", section(part), QUALITY)


def pruned(runs: specs.Runs, wanted: list[Theirs]) -> dict[Theirs, Record]:
    """Of each run that succeeds."""
    from incite_lab.studies.sets import pruners

    store, threads, jobs = runs.runner.store, runs.runner.threads, runs.runner.jobs
    keys = {
        each: hash_of(["torch-pruning", content(each.subject.model), content(each.subject.train), content(each.subject.test),
                       each.target, each.importance, each.epochs, each.seed, threads])
        for each in wanted
    }  # fmt: skip

    def run(each: Theirs) -> Record:
        future = pool.submit(pruners.prune, each.subject, float(each.target), each.importance, each.epochs, each.seed, threads)
        record = asdict(future.result())
        store.save(keys[each], record)
        return record

    stored = {each: record for each in wanted if (record := store.load(keys[each]))}
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        rest = [each for each in wanted if each not in stored]
        done, _ = side_by_side("Torch-Pruning", rest, run, lambda record: f"{record['combined']:.4f}", jobs, sys.stderr)
    return stored | done


def compared(
    subject: Subject, one: Record, args: argparse.Namespace, found: dict[Spec, Record], theirs: dict[Theirs, Record]
) -> dict[str, Any]:
    rows = []
    for epochs in OURS:
        for target in args.targets:
            ours = specs.of_all(found, [Spec(subject, OURS[epochs], seed, ("--target-compression", target)) for seed in args.seeds])
            if ours:
                losses = [round(loss(record), 4) for record in ours]
                rows.append({"epochs": epochs, "target": target, "method": "incite", "loss": losses,
                             "compression": [round(record["compression"], 4) for record in ours]})  # fmt: skip
            for importance in IMPORTANCES:
                each = [Theirs(subject, target, importance, epochs, seed) for seed in args.seeds]
                if not all(run in theirs for run in each):
                    continue
                records = [{**one, **theirs[run]} for run in each]
                rows.append({"epochs": epochs, "target": target, "method": importance, "loss": [round(loss(record), 4) for record in records],
                             "compression": [round(one["original_parameters"] / theirs[run]["parameters"], 4) for run in each]})  # fmt: skip
    return {"title": subject.title, "kind": one["kind"], "rows": rows}


def section(part: dict[str, Any]) -> list[str]:
    text = (
        f"`incite-lab pruning`, {results.conditions(part)}; data and seeds as above. incite: `--modules all`, and `--finetune {EPOCHS}`. "
        "Torch-Pruning 1.6.1: global pruning by group magnitude, or by group Taylor importance on 1,024 training samples, to as many "
        f"parameters; then {EPOCHS} epochs of Adam on the labels (batches of 64, half a cosine; of three learning rates the one that is best on "
        "a fifth of the training samples). A method that fails on a network is left out. ±: sample standard deviation over "
        "seeds; without it: one seed."
    )
    rows = []
    for one in part["subjects"].values():
        unit = "points" if one["kind"] == "accuracy" else "% of MAE"
        title, form = f"{one['title']} ({unit})", "+.2f" if one["kind"] == "accuracy" else "+.1f"
        for epochs in sorted({row["epochs"] for row in one["rows"]}):
            for target in dict.fromkeys(row["target"] for row in one["rows"]):
                cells = {row["method"]: row for row in one["rows"] if (row["epochs"], row["target"]) == (epochs, target)}
                best = min(cells.values(), key=lambda row: mean(row["loss"]))["method"] if cells else ""
                texts = []
                for method in ("incite", *IMPORTANCES):
                    changed = spread([change(one["kind"], lost) for lost in cells[method]["loss"]], form) if method in cells else ""
                    texts.append(f"**{changed}**" if method == best else changed)
                rows.append([title, str(epochs), f"{target}x", *texts])
                title = ""
    return [text, "", *markdown(["network", "epochs", "size", "incite", "magnitude", "Taylor"], rows, "lrr")]
