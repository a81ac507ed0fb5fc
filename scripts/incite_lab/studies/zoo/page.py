"""The page on the zoo, docs/zoo.md, and what fails `--check`."""

import argparse
import platform
import re
import shlex
import statistics
from collections.abc import Iterable, Iterator
from importlib.metadata import version

from incite_lab.pages.tables import markdown
from incite_lab.run import program
from incite_lab.studies.zoo.families import BARS, FAMILIES, FORMS, USUAL_FORMS
from incite_lab.studies.zoo.rows import KEEP, TOLERANCE, Row

MEDIAN_OF = 10  # a family's median says something from so many files on


def number(value: float | None, pattern: str) -> str:
    return "" if value is None else format(value, pattern)


def verdict_of(row: Row) -> str:
    """The verdict and its reason, without folders: they are those of one machine."""
    reason = re.sub(r"(?<![\w.])/(?:[^\s/:'\"]+/)+", "", row.reason)
    return f"{row.verdict}: {reason}" if reason else row.verdict


def table(rows: list[Row]) -> list[str]:
    header = ["model", "form", "input", "layers", "units", "pinned", "compression", "largest error", "seconds", "verdict"]
    shown = [
        [
            row.model, FORMS[row.form], number(row.size, "d"), number(row.layers, "d"), number(row.units, ",d"), number(row.pinned, ".1%"),
            number(row.compression, ".2f"), number(row.error, ".1e"), number(row.seconds, ".1f"), verdict_of(row),
        ]
        for row in rows
    ]  # fmt: skip
    return markdown(header, shown, "l")


def compressions(rows: Iterable[Row]) -> list[float]:
    return [row.compression for row in rows if row.compression is not None]


def family_table(rows: list[Row]) -> list[str]:
    shown = []
    for family in FAMILIES:
        if own := [row for row in rows if row.family == family]:
            found = compressions(own)
            figures = [f"{statistics.median(found):.2f}", f"{min(found):.2f}"] if found else ["", ""]
            shown.append([family.name, str(len(own)), str(len(found)), *figures])
    return markdown(["family", "files", "decomposed", "median compression", "least"], shown, "l")


def summary(rows: list[Row]) -> Iterator[str]:
    verdicts = [row.verdict for row in rows]
    others = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in sorted(set(verdicts) - {"ok"}))
    files = f"{len(rows)} files of {len({row.model for row in rows})} models"
    yield f"- {verdicts.count('ok')} of {files} decompose{'; ' + others if others else ''}."
    found = compressions(rows)
    if found:
        yield f"- Median compression {statistics.median(found):.2f}, least {min(found):.2f}."
    measured = [row for row in rows if row.error is not None]
    if measured:
        worst = max(measured, key=lambda row: row.error or 0.0)
        yield f"- Largest relative error of a slice: {worst.error:.1e} ({worst.model}, {FORMS[worst.form]}); allowed: {TOLERANCE:.0e}."
    yield (
        f"- In all {verdicts.count('ok')} files, a module that keeps everything gives the original's output to the last bit "
        "(traced without gradients or frozen: within 1e-5)."
    )


def command_of(args: argparse.Namespace) -> str:
    words = [".venv/bin/incite-lab", "zoo", "--json", "build/zoo.json"]
    for name, default in (("models", "*"), ("forms", ",".join(USUAL_FORMS))):
        if getattr(args, name) != default:
            words += [f"--{name}", getattr(args, name)]
    return shlex.join(words)


def page(rows: list[Row], args: argparse.Namespace) -> str:
    versions = f"{program.version(args.binary)}, PyTorch {version('torch')}, torchvision {version('torchvision')}"
    return "\n".join(
        [
            "# Zoo",
            "",
            "torchvision's classification and segmentation models with random weights, at the smallest input that each accepts. Each gets two modules",
            f"at keep {KEEP}, which are checked for the invariants and loaded again in Python. Scores are random: the table shows that",
            "modules are correct and how much smaller they are, not how accurate they are.",
            "",
            *summary(rows),
            f"- To repeat: `{command_of(args)}` writes this page; with `--check` it fails if a model fails.",
            f"- Versions: {versions}, Python {platform.python_version()}.",
            "",
            *family_table(rows),
            "",
            "- *input*: pixels per side. *layers*, *units*, and *pinned*, the share of units that can't be removed. The output layer does not count.",
            "- *compression*: parameters of the original over the mean module's, without the output layer and auxiliary heads.",
            "- *largest error*: the difference between a slice and the original with the removed units masked, relative to the largest output.",
            "- *seconds*: of `incite decompose`. *traced, no gradients*: the trace has fused attention, which Incite splits into its operations.",
            "- *refused*: Incite can't decompose the file; the table says why. *not exported*: PyTorch can't write it in this form.",
            "- *exported*: a .pt2 file, whose modules are written as .pt2 too. Its layers and units are those of the scripted file.",
            "",
            *table(rows),
            "",
        ]
    )


def problems(rows: list[Row]) -> Iterator[str]:
    """What --check fails for: models that failed, and compression under a bar."""
    for row in rows:
        if row.verdict not in ("ok", "exported", "refused", "not exported"):
            yield f"{row.model} {FORMS[row.form]}: {verdict_of(row)}"
            continue
        if row.compression is not None and row.compression < row.family.bar.least:
            yield f"{row.model} {FORMS[row.form]}: compression {row.compression:.2f}, expected {row.family.bar.least} or more"
    scripted = {row.model: row for row in rows if row.form == "script" and row.verdict == "ok"}
    for row in rows:
        other = scripted.get(row.model)
        if row.form == "export" and row.verdict == "ok" and other and (row.layers, row.units) != (other.layers, other.units):
            yield f"{row.model} exported: {row.layers} layers, {row.units} units; scripted {other.layers}, {other.units}"
    for bar in BARS:
        found = compressions(row for row in rows if row.family.bar == bar)
        if len(found) >= MEDIAN_OF and statistics.median(found) < bar.median:
            yield f"{bar.name}: median compression {statistics.median(found):.2f}, expected {bar.median} or more"
