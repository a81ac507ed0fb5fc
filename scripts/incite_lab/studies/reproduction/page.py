"""The page on the paper's subjects: docs/reproduction.md."""

from functools import partial
from operator import itemgetter
from pathlib import Path
from statistics import mean

from incite_lab.pages.tables import markdown
from incite_lab.run.record import loss, scoring_seconds, seconds
from incite_lab.studies.reproduction import results
from incite_lab.studies.reproduction.results import BARS, PRESETS, PUBLISHED, Subject

INTRODUCTION = """# Reproduction

The paper's 16 subjects, or what of them has been run, by `incite-lab reproduce`. Networks are the paper's
([differences](../scripts/incite_lab/models/paper/README.md)); they are trained anew, in PyTorch, more briefly and on fewer images than the paper's, as the
[last table](#originals) says. Then they are taken apart in the ways below. One seed each. Nothing but the measuring sees test data.
What data and training of the originals do to the loss, what the mistakes of the paper's public program cost, and what is lost
where the paper's way also repairs the layers that it prunes, is measured [apart](artifact.md).

"""
LEGEND = (
    "Loss: points of accuracy that the modules together lose against their original; change of MAE: of their mean absolute error against "
    "the original's. Both are worse above 0. Seconds are those of one run; where another run's scores were taken, "
    "its scoring counts. Data that stands in for the paper's has a mark, with a note at the end."
)
RESUMED = "‡ The run was stopped and gone on with: seconds are those of its last part."


def write(file: Path, subjects: dict[str, Subject], pictures: dict[str, str]) -> None:
    """`pictures`: what they show, by file beside the page."""
    marks = results.marks_of(subjects)
    lines = [*presets(), "", LEGEND]
    for regression, title in ((False, "Classification"), (True, "Regression")):
        if any(results.rows(subjects, regression)):
            lines += ["", f"## {title}", "", *result_rows(subjects, regression, marks)]
    lines += ["", "## Means", "", "Over the subjects above, stand-ins included.", "", *means(subjects, marks), "", "## Bars", "", *bars(subjects)]
    for picture, shows in pictures.items():
        lines += ["", f"![{shows}]({picture})"]
    lines += ["", "## Originals", "", *originals(subjects, marks)]
    lines += [line for note, mark in marks.items() for line in ("", f"{mark} Stand-in. {note}")]
    file.write_text(INTRODUCTION + "\n".join(lines) + "\n")


def presets() -> list[str]:
    shown = []
    for name, preset in PRESETS.items():
        options = " ".join(preset.options) + (" --target-compression …" if name == "paper-sized" else "")
        scores = f"those of {PRESETS[preset.scores_of].title}" if preset.scores_of else "its own"
        shown.append([preset.title, f"`{options}`" if options else "none", scores])
    return markdown(["way", "options", "scores"], shown, "l")


def result_rows(subjects: dict[str, Subject], regression: bool, marks: dict[str, str]) -> list[str]:
    header = ["subject", "way", "original", "combined", "change of MAE, %" if regression else "loss, points", "overlap, %", "compression",
              "scoring", "other stages", "samples scored"]  # fmt: skip
    shown = []
    for subject, preset, record in results.rows(subjects, regression):
        scoring = scoring_seconds(record)
        scores = [f"{record[key]:.6f}" if regression else f"{100 * record[key]:.2f} %" for key in ("original", "combined")]
        shown.append([
            results.marked(subject, marks), PRESETS[preset].title, *scores, f"{loss(record):+.2f}", f"{100 * record['overlap']:.2f}",
            f"{record['compression']:.2f}x", f"{scoring:.1f} s" + " ‡" * record["resumed"], f"{seconds(record) - scoring:.1f} s",
            f"{record['scored']:,}",
        ])  # fmt: skip
    note = [] if not any(record["resumed"] for *_, record in results.rows(subjects, regression)) else ["", RESUMED]
    return markdown(header, shown, "llr") + note


def means(subjects: dict[str, Subject], marks: dict[str, str]) -> list[str]:
    header = ["of", "way", "subjects", "loss, points; change of MAE, %", "overlap, %", "compression"]
    shown = []
    for regression, published in PUBLISHED.items():
        kind = "regression" if regression else "classification"
        shown.append([kind, "the paper itself", "4" if regression else "12",
                      f"{published.loss:+.2f}", f"{published.overlap:.2f}", f"{published.compression:.2f}x"])  # fmt: skip
        shown += mean_rows(kind, subjects, regression)
    classifiers = {name: subject for name, subject in subjects.items() if not subject["regression"]}
    for part in (itemgetter("title"), partial(results.marked_data, marks=marks)):
        for of in dict.fromkeys(map(part, classifiers.values())):
            shown += mean_rows(of, {name: subject for name, subject in classifiers.items() if part(subject) == of}, False)
    return markdown(header, shown, "llr")


def mean_rows(of: str, subjects: dict[str, Subject], regression: bool) -> list[list[str]]:
    shown = []
    for name, preset in PRESETS.items():
        if records := results.records_of(subjects, regression, name):
            overlap, compression = (mean(record[key] for record in records) for key in ("overlap", "compression"))
            cells = [f"{mean(map(loss, records)):+.2f}", f"{100 * overlap:.2f}", f"{compression:.2f}x"]
            shown.append([of, preset.title, str(len(records)), *cells])
    return shown


def bars(subjects: dict[str, Subject]) -> list[str]:
    shown = []
    for bar in BARS:
        found = results.outcome(bar, subjects)
        cells = [str(found.subjects), str(found), "yes" if found.held else "no"] if found else ["0", "", "not measured"]
        shown.append([results.bar_title(bar), *cells])
    text = (
        "In the paper's way, which removes clusters of ten units, sizes are coarse steps: each subject's loss at the paper's compression is "
        "read off the line between its two rows, and is that of the first where this is as small already. So no subject counts at less than "
        "the paper's mean compression, and some at more."
    )
    milder = [results.no_smaller_means(bar, subjects) for bar in BARS if bar.preset == "paper-sized" and results.outcome(bar, subjects)]
    if milder:
        losses = "; ".join(f"{lost:+.2f} at {compression:.2f}x" for lost, compression in milder)
        text += f" With the second row of those instead, which are no smaller than they must be, it would be {losses}. This is not judged."
    return [*markdown(["the mean must be", "subjects", "it is", "held"], shown, "lrrl"), "", text]


def originals(subjects: dict[str, Subject], marks: dict[str, str]) -> list[str]:
    header = ["subject", "epochs", "samples", "seconds", "score", "for Incite", "test", "options of all ways", "machine"]
    shown = []
    for subject in subjects.values():
        original = subject["original"]
        score = f"MAE {original['score']:.6f}" if subject["regression"] else f"{100 * original['score']:.2f} %"
        machine = f"{subject['cpu']}, {subject['jobs']} runs side by side, threads each: {subject['threads']}; {subject['version']}"
        shown.append([
            results.marked(subject, marks), str(original["epochs"]), f"{original['samples']:,}", f"{original['seconds']:.0f}", score,
            given(subject), f"{original['tested']:,}", "; ".join(f"`{each}`" for each in subject["options"] if each), machine,
        ])  # fmt: skip
    text = (
        "Samples: what the original was trained on. For Incite: what `--data` holds, those included. Where there are two numbers or options, "
        "the first is of the paper's way, the second of the others, which take longer for each sample. Test: what all is measured on."
    )
    return [text, "", *markdown(header, shown, "lrrrrrrll")]


def given(subject: Subject) -> str:
    count, few = subject["original"]["given"], subject.get("few")
    return f"{count:,}" if few is None or few >= count else f"{count:,}; {few:,}"
