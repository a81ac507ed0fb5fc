"""Compares a module for each output with modules for sets of outputs: at equal size of a module, and at equal size together.

Needs the release build and the data sets as .npz files:
incite-lab sets --fmnist FMNIST.npz --cmnist26 CMNIST26.npz
Sets are of neighbouring outputs. Test data is used only to measure. Writes docs/quality.json and a section of docs/quality.md.
"""

import argparse
from typing import Any

import numpy as np

from incite_lab.pages.sections import QUALITY, write_section
from incite_lab.pages.tables import markdown
from incite_lab.run.record import change, loss, spread
from incite_lab.run.store import Record
from incite_lab.studies.quality import results, specs, subjects
from incite_lab.studies.quality.specs import Method, Spec
from incite_lab.studies.quality.subjects import Subject

SUBJECTS = ("lenet5-fmnist", "lenet5-cmnist26")
SIZES = (1, 2, 3, 5)  # of sets, and all outputs
TARGETS = ("5", "10", "20")
TOGETHER = ("2", "1", "0.5", "0.25")  # of the original's parameters


def add_arguments(parser: argparse.ArgumentParser) -> None:
    specs.add_arguments(parser, SUBJECTS)


def outputs_of(subject: Subject) -> int:
    return int(subject.arrays()["y_train"].max()) + 1


def sets_of(outputs: int, size: int) -> list[np.ndarray]:
    """Neighbouring outputs in as few sets of at most this size as can be, of about the same sizes."""
    return np.array_split(np.arange(outputs), -(-outputs // size))


def method(outputs: int, size: int) -> Method:
    if size == 1:
        return Method("1")
    if size >= outputs:
        return Method("all", options=("--modules", "all"))
    words = [f"s{number}={own[0]}-{own[-1]}" for number, own in enumerate(sets_of(outputs, size))]
    return Method(str(size), options=("--modules", *words))


def main(args: argparse.Namespace) -> None:
    chosen, runs = subjects.chosen(args), specs.Runs(args)
    rows: dict[Subject, list[tuple[str, str, int, list[Spec]]]] = {}
    for subject in chosen:
        outputs = outputs_of(subject)
        sizes = (*SIZES, outputs)
        per_module = [("module", target, size, target) for target in TARGETS for size in sizes]
        together = [("together", share, size, f"{len(sets_of(outputs, size)) / float(share):g}") for share in TOGETHER for size in sizes]
        rows[subject] = [
            (kind, value, size, [Spec(subject, method(outputs, size), seed, ("--target-compression", target)) for seed in args.seeds])
            for kind, value, size, target in (*per_module, *together)
            if float(target) > 1
        ]
    found = runs.results(spec for each in rows.values() for *_, of_row in each for spec in of_row)
    measures = {
        subject.name: {
            "title": subject.title,
            "kind": one["kind"],
            "outputs": outputs_of(subject),
            "rows": [measured(found, *row) for row in rows[subject] if specs.of_all(found, row[-1])],
        }
        for subject, one in specs.with_results(chosen, found).items()
    }
    part = results.update("sets", runs.runner, measures)
    write_section("Sets of outputs", section(part), QUALITY)


def measured(found: dict[Spec, Record], kind: str, value: str, size: int, of_row: list[Spec]) -> dict[str, Any]:
    records = specs.of_all(found, of_row)
    return {
        "kind": kind,
        "value": value,
        "set": size,
        "modules": len(records[0]["parameters"]),
        "loss": [round(loss(record), 4) for record in records],
        "together": [round(sum(record["parameters"]) / record["original_parameters"], 4) for record in records],
    }


def section(part: dict[str, Any]) -> list[str]:
    text = (
        f"`incite-lab sets`, {results.conditions(part)}; data and seeds as above. Modules for sets of 1, 2, 3, 5 and all outputs, neighbours "
        "in a set; accuracy of all modules together against the original, in points. Above: each module has the same size. Below: all "
        "modules together have the same size, given as a share of the original's parameters. ±: sample standard deviation over "
        "seeds; without it: one seed."
    )
    header = ["network", "size", "sets of 1", "2", "3", "5", "all"]
    lines = []
    for one in part["subjects"].values():
        title = one["title"]
        for kind in ("module", "together"):
            for value in dict.fromkeys(row["value"] for row in one["rows"] if row["kind"] == kind):
                cells = {row["set"]: row for row in one["rows"] if (row["kind"], row["value"]) == (kind, value)}
                texts = [
                    spread([change(one["kind"], lost) for lost in cells[size]["loss"]], "+.2f") if size in cells else ""
                    for size in (*SIZES, one["outputs"])
                ]
                lines.append([title, f"{value}x each" if kind == "module" else f"{value} together", *texts])
                title = ""
    return [text, "", *markdown(header, lines, "llr")]
