"""Charts of the paper's subjects: what compression costs, and how much modules overlap. Needs matplotlib."""

import math
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D

from incite_lab.pages.charts import STYLES, as_compression, pyplot, save, ticker
from incite_lab.run.record import change, loss
from incite_lab.studies.reproduction import results
from incite_lab.studies.reproduction.results import PRESETS, PUBLISHED, Subject

WAYS = {preset: STYLES["defaults" if preset == "default" else preset] for preset in PRESETS}
MATRICES = ("lenet5-mnist", "alexnet-mnist", "vggnet16-mnist", "sin-cos-sqrt")  # whose overlaps are shown, where they have been run
NUMBER_AT = 1.06  # of a point's compression
NUMBERED = 5  # modules, up to which a matrix has its numbers in it


def draw(subjects: dict[str, Subject], folder: Path) -> dict[str, str]:
    """What each picture shows, by file."""
    pictures = {}
    for regression, kind in ((False, "classification"), (True, "regression")):
        if any(results.rows(subjects, regression)):
            name = f"reproduction-{kind}.png"
            changes(subjects, regression, folder / name)
            pictures[name] = f"Loss of the modules against their compression, {kind}"
    shown = {name: subjects[name] for name in MATRICES if name in subjects and overlapping(subjects[name])}
    if shown:
        overlaps(shown, folder / "reproduction-overlap.png")
        pictures["reproduction-overlap.png"] = "Overlap of each pair of modules"
    return pictures


def changes(subjects: dict[str, Subject], regression: bool, file: Path) -> None:
    """A mark for each subject and way; a line joins those of a subject, and ends at its number."""
    figure, axes = pyplot.subplots(figsize=(9.5, 5), layout="constrained")
    names, ends, marks = [], [], results.marks_of(subjects)
    for subject in subjects.values():
        if subject["regression"] != regression:
            continue
        names.append(results.marked(subject, marks))
        records = [(preset, subject["rows"][preset]) for preset in PRESETS if preset in subject["rows"]]
        points = sorted((record["compression"], change(record["kind"], loss(record)), preset) for preset, record in records)
        axes.plot([x for x, *_ in points], [y for _, y, _ in points], color="grey", linewidth=0.7, alpha=0.6, zorder=1)
        for x, y, preset in points:
            axes.scatter(x, y, color=WAYS[preset][0], marker=WAYS[preset][1], s=45, zorder=2)
        ends.append(points[-1][:2])
    published = PUBLISHED[regression]
    lost = published.loss if regression else -published.loss
    axes.scatter(published.compression, lost, color="black", marker="*", s=130, zorder=3)
    axes.axhline(0, color="black", linestyle="--", linewidth=1)
    axes.margins(x=0.08)
    as_compression(axes)
    axes.set_ylabel("change of the mean absolute error [%]; above 0 is worse" if regression else "change of accuracy [points]")
    number(axes, ends)
    axes.set_title(f"Modules together against their original, on test data: {'regression' if regression else 'classification'}")
    axes.grid(alpha=0.3)
    legends(axes, names, {preset for subject in subjects.values() if subject["regression"] == regression for preset in subject["rows"]})
    save(figure, file)


def number(axes: Axes, ends: list[tuple[float, float]]) -> None:
    """Writes 1, 2, … to the right of these points: one under the other where they would cover each other, with a line to the point."""
    bottom, top = axes.get_ylim()
    gap = (top - bottom) / 28
    for x in {round(math.log(x), 1) for x, _ in ends}:
        column = sorted((i for i in range(len(ends)) if round(math.log(ends[i][0]), 1) == x), key=lambda i: ends[i][1])
        heights = spread([ends[i][1] for i in column], gap, bottom + gap, top - gap)
        for i, height in zip(column, heights, strict=True):
            place = {"xytext": (ends[i][0] * NUMBER_AT, height), "textcoords": "data"}
            line = {"arrowstyle": "-", "color": "grey", "linewidth": 0.5, "shrinkA": 0, "shrinkB": 4}
            axes.annotate(str(i + 1), ends[i], **place, va="center", fontsize=9, arrowprops=line)


def spread(heights: list[float], gap: float, bottom: float, top: float) -> list[float]:
    """These ascending heights, moved apart by turns until neighbours are so far from each other, and all within the limits."""
    places = [*heights]
    for _ in range(1000):
        for i in range(len(places) - 1):
            short = gap - (places[i + 1] - places[i])
            if short > 0:
                places[i] -= short / 2
                places[i + 1] += short / 2
        places = [min(max(place, bottom), top) for place in places]
    return places


def legends(axes: Axes, names: list[str], ways: set[str]) -> None:
    """Beside the chart, where they hide nothing: what colours and numbers mean."""
    handles = [
        Line2D([], [], color=colour, marker=mark, linestyle="", label=PRESETS[way].title)
        for way, (colour, mark) in WAYS.items()
        if way in ways
    ]
    handles.append(Line2D([], [], color="black", marker="*", markersize=11, linestyle="", label="the paper itself, mean"))
    handles += [Line2D([], [], linestyle="", label=f"{number}  {name}") for number, name in enumerate(names, 1)]
    axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, fontsize=9)


def overlapping(subject: Subject) -> list[str]:
    """Ways whose matrices are known."""
    return [preset for preset, record in subject["rows"].items() if "overlaps" in record]


def overlaps(subjects: dict[str, Subject], file: Path) -> None:
    """A row for each way, a column for each subject."""
    ways = [preset for preset in PRESETS if any(preset in overlapping(subject) for subject in subjects.values())]
    size = (3 * len(subjects) + 1, 3 * len(ways))
    figure, grid = pyplot.subplots(len(ways), len(subjects), figsize=size, layout="constrained", squeeze=False)
    marks = results.marks_of(subjects)
    for line, way in zip(grid, ways, strict=True):
        for axes, subject in zip(line, subjects.values(), strict=True):
            axes.set_visible(way in subject["rows"])
            if way in subject["rows"]:
                image = matrix(axes, subject["rows"][way]["overlaps"])
                axes.set_title(f"{results.marked(subject, marks)}\n{PRESETS[way].title}", fontsize=9)
    figure.colorbar(image, ax=grid, label="Jaccard index of the channels that two modules keep", shrink=0.8)
    save(figure, file)


def matrix(axes: Axes, values: list[list[float]]) -> AxesImage:
    image = axes.imshow(values, vmin=0, vmax=1, cmap="cividis")
    axes.set_xlabel("module of output")
    axes.set_ylabel("module of output")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(ticker.MaxNLocator(integer=True))
    if len(values) <= NUMBERED:
        for i, line in enumerate(values):
            for j, value in enumerate(line):
                axes.text(j, i, f"{value:.2f}", ha="center", va="center", color="white" if value < 0.5 else "black")
    return image
