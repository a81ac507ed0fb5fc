"""Results of the paper's subjects: kept in a JSON file, written as CSV, and judged by bars."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from incite_lab.pages import tables
from incite_lab.run.record import loss, scoring_seconds, seconds
from incite_lab.run.store import Record

Subject = dict[str, Any]
ROUNDING = 1e-9  # of the difference of two scores
MARKS = "¹²³⁴⁵⁶"


@dataclass(frozen=True)
class Preset:
    title: str
    options: tuple[str, ...] = ()
    scores_of: str | None = None  # the preset whose scores it takes


@dataclass(frozen=True)
class Published:
    """The paper's means."""

    loss: float  # points, or per cent of the mean absolute error
    overlap: float  # per cent
    compression: float


@dataclass(frozen=True)
class Bar:
    """What the means over subjects must be."""

    preset: str
    regression: bool
    loss: float  # at most
    compression: float  # at least


@dataclass(frozen=True)
class Outcome:
    subjects: int
    loss: float
    compression: float
    held: bool

    def __str__(self) -> str:
        return f"{self.loss:+.2f} at {self.compression:.2f}x"


PUBLISHED = {False: Published(3.44, 71.76, 1.89), True: Published(18.56, 80.14, 1.83)}  # by whether it is of regressions
PRESETS = {
    "paper": Preset("paper", ("--preset", "paper")),
    "paper-sized": Preset("paper, at the paper's compression", ("--preset", "paper", "--allocation", "uniform"), "paper"),
    "default": Preset("default"),
    "finetune": Preset("fine-tuned", ("--finetune", "3", "--target-compression", "15"), "default"),
}
BARS = (
    *(Bar("paper-sized", regression, published.loss, published.compression) for regression, published in PUBLISHED.items()),
    Bar("default", False, 1.0, 3.0),
    Bar("default", True, 0.0, 2.0),
)


def options_of(preset: str, regression: bool) -> tuple[str, ...]:
    size = ("--target-compression", f"{PUBLISHED[regression].compression}") if preset == "paper-sized" else ()
    return PRESETS[preset].options + size


def row_of(record: Record, preset: str) -> Record:
    """What is kept of a run; matrices of overlap only where charts show them."""
    row = {key: record[key] for key in ("kind", "original", "combined", "compression", "overlap", "scored", "timing", "resumed")}
    if preset in ("paper", "default"):
        row["overlaps"] = [[round(value, 4) for value in line] for line in record["overlaps"]]
    return row


def update(file: Path, measured: dict[str, Subject], order: Sequence[str]) -> dict[str, Subject]:
    """Puts these subjects in the place of what the file has of them, and returns all. Rows of the same original stay."""
    found = json.loads(file.read_text())["subjects"] if file.exists() else {}
    for name, subject in measured.items():
        old = found.get(name)
        if old is not None and old["original"]["key"] == subject["original"]["key"]:
            subject["rows"] = old["rows"] | subject["rows"]
        found[name] = subject
    subjects = {name: found[name] for name in order if name in found}
    file.write_text(tables.json_lines({"subjects": subjects}) + "\n")
    return subjects


def rows(subjects: dict[str, Subject], regression: bool) -> Iterator[tuple[Subject, str, Record]]:
    for subject in subjects.values():
        if subject["regression"] == regression:
            yield from ((subject, preset, subject["rows"][preset]) for preset in PRESETS if preset in subject["rows"])


def records_of(subjects: dict[str, Subject], regression: bool, preset: str) -> list[Record]:
    return [record for _, name, record in rows(subjects, regression) if name == preset]


def outcome(bar: Bar, subjects: dict[str, Subject]) -> Outcome | None:
    """None where there is no row to judge by."""
    rows = rows_for(subjects, bar)
    if not rows:
        return None
    sized = bar.preset == "paper-sized"
    points = [at_compression(each, bar.compression) if sized else place(each[bar.preset]) for each in rows]
    lost, compression = (mean(values) for values in zip(*points, strict=True))
    return Outcome(len(points), lost, compression, lost <= bar.loss + ROUNDING and compression >= bar.compression - ROUNDING)


def rows_for(subjects: dict[str, Subject], bar: Bar) -> list[dict[str, Record]]:
    """All rows of each subject that the bar is about, by way."""
    return [subject["rows"] for subject in subjects.values() if subject["regression"] == bar.regression and bar.preset in subject["rows"]]


def place(record: Record) -> tuple[float, float]:
    return loss(record), record["compression"]


def at_compression(rows: dict[str, Record], compression: float) -> tuple[float, float]:
    """Loss and compression of the paper's way: on the line between its two rows, since its clusters of ten units are coarse steps."""
    (loss_before, before), (loss_after, after) = place(rows["paper"]), place(rows["paper-sized"])
    if before >= compression:
        return loss_before, before
    return loss_before + (loss_after - loss_before) * (compression - before) / (after - before), compression


def no_smaller(rows: dict[str, Record], compression: float) -> tuple[float, float]:
    """As at_compression(), but with the second row where the first is smaller than need be."""
    return place(rows["paper-sized"]) if rows["paper"]["compression"] >= compression else at_compression(rows, compression)


def no_smaller_means(bar: Bar, subjects: dict[str, Subject]) -> tuple[float, float]:
    """Mean loss and compression; not what is judged."""
    points = [no_smaller(each, bar.compression) for each in rows_for(subjects, bar)]
    lost, compression = (mean(values) for values in zip(*points, strict=True))
    return lost, compression


def missed(subjects: dict[str, Subject]) -> list[str]:
    """A line for each bar that the means do not reach."""
    outcomes = [(bar, found) for bar in BARS if (found := outcome(bar, subjects))]
    return [f"missed: {bar_title(bar)}: {found}, the mean of {found.subjects}" for bar, found in outcomes if not found.held]


def bar_title(bar: Bar) -> str:
    what = "% of MAE gained" if bar.regression else "points of accuracy lost"
    return f"{PRESETS[bar.preset].title}: at most {bar.loss:+.2f} {what} at {bar.compression:.2f}x or more"


def marked(subject: Subject, marks: dict[str, str]) -> str:
    """What a row is of."""
    return ", ".join(filter(None, [subject["title"], marked_data(subject, marks)]))


def marked_data(subject: Subject, marks: dict[str, str]) -> str | None:
    """A stand-in is named so, with a mark that leads to the note. None: points of a function."""
    return f"stand-in {subject['data']} {marks[subject['stand_in']]}" if subject["stand_in"] else subject["data"]


def marks_of(subjects: dict[str, Subject]) -> dict[str, str]:
    notes = dict.fromkeys(subject["stand_in"] for subject in subjects.values() if subject["stand_in"])
    return dict(zip(notes, MARKS, strict=False))


def write_csv(file: Path, subjects: dict[str, Subject]) -> None:
    header = ("subject", "network", "data", "stand_in", "preset", "kind", "original", "combined", "loss", "overlap", "compression",
              "scoring_seconds", "other_seconds", "scored", "resumed")  # fmt: skip
    lines = []
    for name, subject in subjects.items():
        for preset, record in subject["rows"].items():
            scoring = scoring_seconds(record)
            lines.append([
                name, subject["title"], subject["data"], "yes" if subject["stand_in"] else "no", preset, record["kind"],
                *(f"{value:.6g}" for value in (record["original"], record["combined"], loss(record))),
                *(f"{record[key]:.6g}" for key in ("overlap", "compression")),
                f"{scoring:.2f}", f"{seconds(record) - scoring:.2f}", record["scored"], "yes" if record["resumed"] else "no",
            ])  # fmt: skip
    tables.write_csv(file, header, lines)
