"""The page on the paper's subjects: docs/reproduction.md."""

from functools import partial
from operator import itemgetter
from pathlib import Path
from statistics import mean

from incite_lab.pages.sections import threads_text
from incite_lab.pages.tables import markdown
from incite_lab.run.record import loss, scoring_seconds, seconds
from incite_lab.studies.reproduction import results
from incite_lab.studies.reproduction.results import BARS, PRESETS, PUBLISHED, Subject

INTRODUCTION = """# Reproduction

Results on the paper's 16 subjects, as far as `incite-lab reproduce` has run them. The networks are the paper's
([differences](../scripts/incite_lab/models/paper/README.md)). We train them in PyTorch, for fewer epochs and on fewer images than the paper does
([last table](#originals)). They are then decomposed in the ways below, with one seed each. Test data is used only to measure.
[A page of its own](artifact.md) measures the effect of data and training on the loss, the cost of the mistakes in the paper's program, and
the loss if repair is added to the paper's way.

"""
LEGEND = (
    "Loss: points of accuracy that the modules together lose against their original. Change of MAE: the change of the mean absolute error "
    "against the original's. Above 0, the modules are worse. Seconds are those of one run; if it took another run's scores, that scoring "
    "counts. Marked data replaces the paper's data; a note at the end says how."
)
RESUMED = "‡ This run was stopped and resumed: the seconds are those of its last part."


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
    header = ["mean of", "way", "subjects", "loss, points; change of MAE, %", "overlap, %", "compression"]
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
        "The paper's way removes clusters of ten units, so sizes change in coarse steps. We therefore read each subject's loss at the paper's "
        "compression off the line between its two rows. If the first row is already that small, its loss counts. No subject counts at less "
        "than the paper's mean compression, and some count at more."
    )
    milder = [results.no_smaller_means(bar, subjects) for bar in BARS if bar.preset == "paper-sized" and results.outcome(bar, subjects)]
    if milder:
        losses = "; ".join(f"{lost:+.2f} at {compression:.2f}x" for lost, compression in milder)
        text += f" With the second row instead, which is no smaller than necessary, the mean would be {losses}. This does not count."
    return [*markdown(["the mean must be", "subjects", "the mean is", "held"], shown, "lrrl"), "", text]


def originals(subjects: dict[str, Subject], marks: dict[str, str]) -> list[str]:
    header = ["subject", "epochs", "samples", "seconds", "score", "for Incite", "test", "options of all ways", "machine"]
    shown = []
    for subject in subjects.values():
        original = subject["original"]
        score = f"MAE {original['score']:.6f}" if subject["regression"] else f"{100 * original['score']:.2f} %"
        machine = f"{subject['cpu']}, {at_a_time(subject['jobs'])}, {threads_text(subject['threads'])} each; {subject['version']}"
        shown.append([
            results.marked(subject, marks), str(original["epochs"]), f"{original['samples']:,}", f"{original['seconds']:.0f}", score,
            given(subject), f"{original['tested']:,}", "; ".join(f"`{each}`" for each in subject["options"] if each), machine,
        ])  # fmt: skip
    text = (
        "Samples: those that the original was trained on. For Incite: all samples in `--data`, including the former. If there are two numbers "
        "or options, the first is for the paper's way, the second for the other ways, which take longer per sample. Test: the samples for all "
        "measurements."
    )
    return [text, "", *markdown(header, shown, "lrrrrrrll")]


def at_a_time(jobs: int) -> str:
    return f"{jobs} {'run' if jobs == 1 else 'runs'} at a time"


def given(subject: Subject) -> str:
    count, few = subject["original"]["given"], subject.get("few")
    return f"{count:,}" if few is None or few >= count else f"{count:,}; {few:,}"
