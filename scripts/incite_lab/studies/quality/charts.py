"""Charts of combined accuracy, or mean absolute error, against compression. Needs matplotlib."""

from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from incite_lab.pages.charts import STYLES, as_compression, pyplot, save, ticker
from incite_lab.run.record import deviation

LABELS = {"paper": "paper preset", "defaults": "defaults", "finetune": "defaults, --finetune 3"}
ACCURACIES = (10, 30, 50, 70, 80, 85, 90, 93, 95, 96, 97, 98, 98.5, 99, 99.5)
LEAST_STEP = 0.05  # of the axis, between ticks


def draw(curve: dict[str, Any], bar: float, file: Path) -> None:
    """One line for each method with error bars of a standard deviation both ways; horizontal lines mark the original, and the bar."""
    accuracy = curve["kind"] == "accuracy"
    scale = 100 if accuracy else 1
    figure, axes = pyplot.subplots(figsize=(8, 4.8), layout="constrained")
    for method, label in LABELS.items():
        colour, mark = STYLES[method]
        points = [point for point in curve["points"] if point["method"] == method]
        if not points:
            continue
        x = [mean(point["compression"]) for point in points]
        y = [scale * mean(point["combined"]) for point in points]
        axes.errorbar(
            x,
            y,
            xerr=[deviation(point["compression"]) for point in points],
            yerr=[scale * deviation(point["combined"]) for point in points],
            label=label, color=colour, marker=mark, markersize=6, linewidth=1.8, capsize=3,
        )  # fmt: skip
    original = scale * curve["original"]
    score = f"{original:.2f} %" if accuracy else f"{original:.2g}"
    axes.axhline(original, color="black", linestyle="--", linewidth=1.2, label=f"original, {score}")
    if accuracy:
        axes.axhline(original - bar, color="grey", linestyle=":", linewidth=1.5, label=f"{bar:g} {'point' if bar == 1 else 'points'} below")
        as_error(axes)
    else:
        axes.set_yscale("log")
    as_compression(axes)
    axes.set_ylabel("modules together, accuracy on test data [%]" if accuracy else "modules together, MAE on test data")
    axes.set_title(curve["title"])
    axes.grid(alpha=0.3)
    axes.legend(loc="lower left" if accuracy else "upper left")
    save(figure, file)


def as_error(axes: Axes) -> None:
    """Accuracies in per cent, spaced as their errors' logarithms: 98 and 99 are as far apart as 80 and 90."""

    def forward(accuracy: ArrayLike) -> np.ndarray:
        return -np.log(np.maximum(100 - np.asarray(accuracy), 1e-3))

    def inverse(value: ArrayLike) -> np.ndarray:
        return 100 - np.exp(-np.asarray(value))

    low, high = axes.dataLim.intervaly
    bottom, top = float(forward(low)), float(forward(high))
    margin = (top - bottom) / 12
    axes.set_yscale("function", functions=(forward, inverse))
    axes.set_ylim(float(inverse(bottom - margin)), float(inverse(top + margin)))
    ticks: list[float] = []
    for y in reversed(ACCURACIES):
        if low <= y <= high and (not ticks or forward(ticks[-1]) - forward(y) > LEAST_STEP * (top - bottom)):
            ticks.append(y)
    axes.yaxis.set_major_locator(ticker.FixedLocator(ticks))
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda y, _: f"{y:g}"))
