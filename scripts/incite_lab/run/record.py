"""What a decomposition is judged by, of decomposition.json."""

from typing import Any

from batch import Record

SCORING = ("clustering", "scoring")  # stages that runs with shared scores leave out


def compact(document: dict[str, Any]) -> Record:
    """What quality is told by, without channels."""
    evaluation, modules = document["evaluation"], document["modules"]
    kind = "accuracy" if "original_accuracy" in evaluation else "mae"
    return {
        "kind": kind,
        "original": evaluation[f"original_{kind}"],
        "combined": evaluation[f"combined_{kind}"],
        "compression": evaluation["mean_compression"],
        "overlap": evaluation["mean_overlap"],
        "original_parameters": document["model"]["parameters"],
        "parameters": [module["parameters"] for module in modules],
        "widths": {layer: [len(module["kept"][layer]) for module in modules] for layer in modules[0]["kept"]},
        "timing": {stage: seconds for stage, seconds in document["timing"].items() if stage != "total"},
    }


def add_scoring(record: Record, scored: Record) -> None:
    """Makes the seconds of a run with another's scores what it would have taken by itself."""
    record["timing"] |= {stage: scored["timing"][stage] for stage in SCORING}


def loss(record: Record) -> float:
    """Points of accuracy, or per cent of the mean absolute error: more is worse."""
    if record["kind"] == "accuracy":
        return 100 * (record["original"] - record["combined"])
    return 100 * (record["combined"] / record["original"] - 1)


def seconds(record: Record) -> float:
    return sum(record["timing"].values())


def change(kind: str, lost: float) -> float:
    """A loss as the change of what is measured: accuracies fall, errors rise."""
    return -lost if kind == "accuracy" else lost


def summary(record: Record) -> str:
    """For logs: a loss above 0 is worse, as in tables of losses."""
    unit = "points" if record["kind"] == "accuracy" else "% of MAE"
    return f"{record['compression']:.2f}x, loss {loss(record):+.2f} {unit}, {seconds(record):.0f} s"
