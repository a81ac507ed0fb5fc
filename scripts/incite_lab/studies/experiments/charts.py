"""Charts of experiments: what modules together lose against their compression. Needs matplotlib."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from statistics import mean
from typing import Any

from matplotlib.axes import Axes

from incite_lab.pages.charts import BLUE, GREEN, ORANGE, PURPLE, SKY, YELLOW, as_compression, pyplot, save
from incite_lab.run.record import deviation
from incite_lab.studies.experiments.files import LOSSES

SIZES = ("target-compression", "max-loss", "keep")  # options that set how small modules are: a line's points
UNITS = {"target-compression": "{}×", "max-loss": "max-loss {}", "keep": "keep {}"}
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, YELLOW, SKY, "black")
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "p")
DASHES = ("-", "--", "-.", ":")


@dataclass
class Line:
    """Runs that differ in their size and seed alone."""

    options: dict[str, Any]
    size: str  # the option that it is given by; empty: it is not given
    runs: dict[str, list[tuple[float, float]]] = field(default_factory=dict)  # compression and loss by seed, by size


def draw(rows: Sequence[Mapping[str, Any]], options: Sequence[str], folder: Path) -> list[Path]:
    """A picture for each model that has a run with a loss."""
    files = []
    for model in dict.fromkeys(row["model"] for row in rows):
        own = [row for row in rows if row["model"] == model]
        for loss, unit in LOSSES.items():
            lines = lines_of(own, options, loss)
            if lines:
                files.append(folder / f"{re.sub('[^A-Za-z0-9._-]', '-', model)}.png")
                picture(model, lines, unit, files[-1])
    return files


def lines_of(rows: Sequence[Mapping[str, Any]], options: Sequence[str], loss: str) -> dict[str, Line]:
    """By what the legend calls them."""
    lines: list[Line] = []
    for row in rows:
        if row.get(loss) is None:
            continue
        size = next((name for name in SIZES if row.get(name) is not None), "")
        others = {name: row[name] for name in options if name not in SIZES and row.get(name) is not None}
        line = next((line for line in lines if (line.options, line.size) == (others, size)), None)
        if line is None:
            line = Line(others, size)
            lines.append(line)
        line.runs.setdefault(str(row.get(size, "")), []).append((row["compression_ratio"], row[loss]))
    return named(lines)


def named(lines: Sequence[Line]) -> dict[str, Line]:
    """By the options in which they differ, and by that of the size where nothing else does."""
    varied = [name for name in dict.fromkeys(key for line in lines for key in line.options) if len(values(lines, name)) > 1]
    names = [", ".join(f"{name} {line.options[name]}" for name in varied if name in line.options) or "defaults" for line in lines]
    sized = [f"{name}, {line.size or 'size not set'}" if names.count(name) > 1 else name for name, line in zip(names, lines, strict=True)]
    return dict(zip(sized, lines, strict=True))


def values(lines: Sequence[Line], name: str) -> set[str]:
    return {str(line.options.get(name)) for line in lines}


def picture(model: str, lines: Mapping[str, Line], unit: str, file: Path) -> None:
    """Points are means over seeds, with error bars of a standard deviation both ways, and say which size was asked for."""
    figure, axes = pyplot.subplots(figsize=(9, 5.2), layout="constrained")
    styles = zip(cycle(COLOURS), cycle(MARKS), cycle(DASHES), strict=False)
    for number, ((name, line), (colour, mark, dashes)) in enumerate(zip(lines.items(), styles, strict=False)):
        points = sorted((mean(x for x, _ in runs), mean(y for _, y in runs), size) for size, runs in line.runs.items())
        seeds = [line.runs[size] for *_, size in points]
        several = any(len(runs) > 1 for runs in seeds)
        axes.errorbar(
            [x for x, *_ in points],
            [y for _, y, _ in points],
            xerr=[deviation([x for x, _ in runs]) for runs in seeds] if several else None,
            yerr=[deviation([y for _, y in runs]) for runs in seeds] if several else None,
            # Larger below smaller: of lines that cover each other each is seen.
            label=name, color=colour, marker=mark, linestyle=dashes, markersize=max(5, 10 - 2 * number), linewidth=1.8, capsize=3,
        )  # fmt: skip
        if line.size:
            label(axes, line.size, points, colour)
    axes.axhline(0, color="black", linestyle="--", linewidth=1)
    axes.margins(x=0.08, y=0.1)
    as_compression(axes)
    axes.set_ylabel(f"loss of the modules together [{unit}]")
    axes.set_title(f"{model}: loss against compression; above 0 is worse than the original")
    axes.grid(alpha=0.3)
    axes.legend(loc="best")
    save(figure, file)


def label(axes: Axes, option: str, points: Sequence[tuple[float, float, str]], colour: str) -> None:
    """Writes the sizes that were asked for beside their points; those of one point together."""
    sizes: dict[tuple[float, float], list[str]] = {}
    for x, y, size in points:
        sizes.setdefault((round(x, 2), round(y, 2)), []).append(UNITS[option].format(size))
    for place, texts in sizes.items():
        axes.annotate(", ".join(texts), place, xytext=(7, 6), textcoords="offset points", fontsize=8, color=colour)
