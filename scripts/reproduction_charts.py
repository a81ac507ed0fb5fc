"""Charts of the paper's subjects: what compression costs, and how much modules overlap. Needs matplotlib."""

from pathlib import Path

from charts import STYLES, as_compression, pyplot, ticker
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

import reproduction
from measures import change, loss
from reproduction import PRESETS, PUBLISHED, Subject

# The colours that charts.py has for these ways, and Okabe and Ito's reddish purple for the fourth; a mark for each too.
WAYS = {
    "paper": STYLES["paper"][1:],
    "paper-sized": ("#CC79A7", "D"),
    "default": STYLES["defaults"][1:],
    "finetune": STYLES["finetune"][1:],
}
MATRICES = ("lenet5-mnist", "alexnet-mnist", "vggnet16-mnist", "sin-cos-sqrt")  # whose overlaps are shown, where they have been run
NUMBERED = 5  # modules, up to which a matrix has its numbers in it


def draw(subjects: dict[str, Subject], folder: Path) -> dict[str, str]:
    """What each picture shows, by file."""
    pictures = {}
    for regression, kind in ((False, "classification"), (True, "regression")):
        if any(reproduction.rows(subjects, regression)):
            name = f"reproduction-{kind}.png"
            changes(subjects, regression, folder / name)
            pictures[name] = f"What modules cost by their compression, {kind}"
    if any(name in subjects for name in MATRICES):
        overlaps({name: subjects[name] for name in MATRICES if name in subjects}, folder / "reproduction-overlap.png")
        pictures["reproduction-overlap.png"] = "Overlap of each two modules"
    return pictures


def changes(subjects: dict[str, Subject], regression: bool, file: Path) -> None:
    """A mark for each subject and way; those of a subject are joined by a line, which its number names."""
    figure, axes = pyplot.subplots(figsize=(8.5, 5), layout="constrained")
    names, marks = [], reproduction.marks_of(subjects)
    for subject in subjects.values():
        if subject["regression"] != regression:
            continue
        names.append(reproduction.marked(subject, marks))
        records = [(preset, subject["rows"][preset]) for preset in PRESETS if preset in subject["rows"]]
        points = sorted((record["compression"], change(record["kind"], loss(record)), preset) for preset, record in records)
        axes.plot([x for x, *_ in points], [y for _, y, _ in points], color="grey", linewidth=0.7, alpha=0.6, zorder=1)
        for x, y, preset in points:
            axes.scatter(x, y, color=WAYS[preset][0], marker=WAYS[preset][1], s=45, zorder=2)
        axes.annotate(str(len(names)), points[-1][:2], xytext=(7, 0), textcoords="offset points", va="center", fontsize=9)
    published = PUBLISHED[regression]
    lost = published.loss if regression else -published.loss
    axes.scatter(published.compression, lost, color="black", marker="*", s=130, zorder=3)
    axes.axhline(0, color="black", linestyle="--", linewidth=1)
    as_compression(axes)
    axes.set_ylabel("change of the mean absolute error [%]; above 0 is worse" if regression else "change of accuracy [points]; below 0 is worse")
    axes.set_title(f"Modules together against their original, on test data: {'regression' if regression else 'classification'}")
    axes.grid(alpha=0.3)
    legends(axes, names, {preset for subject in subjects.values() if subject["regression"] == regression for preset in subject["rows"]})
    figure.savefig(file, dpi=110)
    pyplot.close(figure)


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


def overlaps(subjects: dict[str, Subject], file: Path) -> None:
    """A row for each way, a column for each subject."""
    ways = [preset for preset in ("paper", "default") if any("overlaps" in subject["rows"].get(preset, {}) for subject in subjects.values())]
    figure, grid = pyplot.subplots(len(ways), len(subjects), figsize=(3 * len(subjects) + 1, 3 * len(ways)), layout="constrained", squeeze=False)
    marks = reproduction.marks_of(subjects)
    for line, way in zip(grid, ways, strict=True):
        for axes, subject in zip(line, subjects.values(), strict=True):
            axes.set_visible(way in subject["rows"])
            if way in subject["rows"]:
                image = matrix(axes, subject["rows"][way]["overlaps"])
                axes.set_title(f"{reproduction.marked(subject, marks)}\n{PRESETS[way].title}", fontsize=9)
    figure.colorbar(image, ax=grid, label="Jaccard index of the channels that two modules keep", shrink=0.8)
    figure.savefig(file, dpi=110)
    pyplot.close(figure)


def matrix(axes: Axes, values: list[list[float]]):  # noqa: ANN201 (matplotlib's own type)
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
