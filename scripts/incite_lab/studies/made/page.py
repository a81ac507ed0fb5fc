"""The section of docs/quality.md for a study on made data."""

from dataclasses import dataclass
from statistics import mean
from typing import Any

from incite_lab.pages.tables import markdown
from incite_lab.run.record import spread
from incite_lab.studies.quality import results


@dataclass(frozen=True)
class Words:
    measure: str
    over: str  # what the measure is a mean of
    bar: float  # points that may be lost
    at: str  # this compression
    epochs: int  # of fine-tuning


def section(part: dict[str, Any], command: str, words: Words) -> list[str]:
    text = (
        f"`incite-lab {command}`, {results.conditions(part)}. {words.measure[0].upper()}{words.measure[1:]} {words.over}, on test data that no "
        "choice used; change: modules together against the original. each: a module for each output; all: one module for all outputs, "
        f"`--modules all`; finetune: with `--finetune {words.epochs}`. The seed changes clusters, samples and heads; the networks stay the "
        "same. All modules: the sum of their parameters, relative to the original's. ±: sample standard deviation over seeds; without it: one seed."
    )
    header = ["network", "method", "size", "compression", "original", "modules", "change, points", "all modules", "in all"]
    lines = []
    for one in part["subjects"].values():
        title = one["title"]
        for row in one["rows"]:
            lines.append([
                title,
                row["method"].replace("-", ", "),
                f"{row['target']}x",
                f"{spread(row['compression'])}x",
                f"{100 * one['original']:.2f} %",
                f"{100 * mean(row['combined']):.2f} %",
                spread([-lost for lost in row["loss"]], "+.2f"),
                f"{mean(row['parameters']) / one['parameters']:.2f}x",
                f"{spread(row['total'], '.0f')} s",
            ])  # fmt: skip
            title = ""
    used = ", ".join(f"{one['title']}: {used_of(one)}" for one in part["subjects"].values())
    return [f"{text} {used}.", "", *markdown(header, lines, "lllr"), "", *verdicts(part, words)]


def used_of(one: dict[str, Any]) -> str:
    """The samples and the options of every run."""
    samples = f"{one['fit']:,} training samples" if one["fit"] else "all training samples"
    return f"{samples}, `{' '.join(one['options'])}`" if one["options"] else samples


def verdicts(part: dict[str, Any], words: Words) -> list[str]:
    """A line for each network: the bar, and the mean loss of each method."""
    lines = []
    for one in part["subjects"].values():
        losses = {row["method"].replace("-", ", "): mean(row["loss"]) for row in one["rows"] if row["target"] == words.at}
        if not losses:
            continue
        outcomes = "; ".join(f"{method}: {lost:.2f}, {'held' if lost <= words.bar else 'missed'}" for method, lost in losses.items())
        unit = "point" if words.bar == 1 else "points"
        lines.append(f"- {one['title']}, at most {words.bar:g} {unit} lost at {words.at}x: {outcomes}.")
    return lines
