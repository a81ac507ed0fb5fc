"""What is recorded of a decomposition, and the figures that are read from it."""

from collections.abc import Sequence
from statistics import mean, stdev
from typing import Any

from incite_lab.run.program import Run
from incite_lab.run.store import Record

KINDS = ("mean_iou", "mean_average_precision", "accuracy", "mae")  # what tells how good a model is, the first that is there; an error is last
SCORING = ("clustering", "scoring")  # stages that a run with another's scores leaves out


def compact(document: dict[str, Any]) -> Record:
    """The part of decomposition.json that results are made from: no channels."""
    evaluation, modules = document["evaluation"], document["modules"]
    kind = next(kind for kind in KINDS if f"original_{kind}" in evaluation)
    return {
        "kind": kind,
        "original": evaluation[f"original_{kind}"],
        "combined": evaluation[f"combined_{kind}"],
        "compression": evaluation["mean_compression"],
        "overlap": evaluation["mean_overlap"],
        "overlaps": evaluation.get("overlap", []),
        "original_parameters": document["model"]["parameters"],
        "parameters": [module["parameters"] for module in modules],
        "widths": {layer: [len(module["kept"][layer]) for module in modules] for layer in modules[0]["kept"]},
        "scored": document["data"]["scored_samples"],
        "timing": {stage: seconds for stage, seconds in document["timing"].items() if stage != "total"},
    }


def details(done: Run) -> Record:
    """What most records do without: the channels that modules keep, and what was given and computed."""
    document = done.document
    return {
        "kept": [module["kept"] for module in document["modules"]],
        "fit": document["data"]["fit_samples"],
        "multiply_adds": document["scoring"]["multiply_adds"],
        "cpu_seconds": done.cpu_seconds,
    }


def loss(record: Record) -> float:
    """Points, or per cent of the mean absolute error: more is worse."""
    if record["kind"] == "mae":
        return 100 * (record["combined"] / record["original"] - 1)
    return 100 * (record["original"] - record["combined"])


def change(kind: str, lost: float) -> float:
    """A loss as the change of what is measured: shares fall, errors rise."""
    return lost if kind == "mae" else -lost


def seconds(record: Record) -> float:
    return sum(record["timing"].values())


def scoring_seconds(record: Record) -> float:
    return sum(record["timing"][stage] for stage in SCORING)


def summary(record: Record) -> str:
    """One line for logs; a loss above 0 is worse, as in tables of losses."""
    if record["combined"] is None:
        return "one module"
    unit = "% of MAE" if record["kind"] == "mae" else "points"
    return f"{record['compression']:.2f}x, loss {loss(record):+.2f} {unit}, {seconds(record):.0f} s"


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """The mean and the sample standard deviation, as text."""
    middle = format(mean(values), form)
    return f"{middle} ± {format(deviation(values), form.lstrip('+'))}" if len(values) > 1 else middle


def deviation(values: Sequence[float]) -> float:
    """The sample standard deviation; 0 of one value."""
    return stdev(values) if len(values) > 1 else 0.0
