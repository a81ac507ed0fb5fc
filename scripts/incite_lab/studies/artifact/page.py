"""The page on the paper's public program: docs/artifact.md."""

import json
from operator import itemgetter
from statistics import mean
from typing import Any

from incite_lab.models.paper.subjects import ORIGINALS
from incite_lab.pages.tables import json_lines, markdown
from incite_lab.paths import DOCS
from incite_lab.run.record import spread
from incite_lab.studies.artifact.ways import ALL, NONE, REGRESSION, SEEDS, WAYS
from incite_lab.studies.reproduction.results import PUBLISHED

FILE = DOCS / "artifact.json"
AMOUNTS = ("epochs", "images", "given")  # what originals of a subject differ in
OPTIONS = "options"  # of incite, beside the paper's


def add(row: dict[str, Any]) -> None:
    """Adds a row to the page, or replaces the one of the same original and options. Rows that another process adds meanwhile stay."""
    rows = json.loads(FILE.read_text())["rows"] if FILE.exists() else []
    rows = [old for old in rows if any(old[key] != row[key] for key in ("subject", *AMOUNTS, OPTIONS))] + [row]
    rows.sort(key=lambda row: ([*ORIGINALS].index(row["subject"]), [row[key] for key in (*reversed(AMOUNTS), OPTIONS)]))
    write(rows)


def table(rows: list[dict[str, Any]]) -> list[str]:
    header = ["network", "data", "epochs", "trained on", "given", "options", "original", "compression", "overlap, %"]
    header += ["`--preset paper`", REGRESSION, *WAYS]

    def lost(row: dict[str, Any], way: str) -> str:
        return spread(row["losses"][way], "+.2f") if way in row["losses"] else ""

    shown = [
        [
            row["title"], row["data"], *(described(row, key) for key in (*AMOUNTS, OPTIONS)), f"{100 * row['original']:.2f} %",
            f"{row['compression']:.2f}x", f"{100 * row['overlap']:.1f}", f"{row['incite']:+.2f}",
            *(lost(row, way) for way in (REGRESSION, *WAYS)),
        ]
        for row in rows
    ]
    return markdown(header, shown, "llr")


def findings(rows: list[dict[str, Any]]) -> list[str]:
    """What the rows say of each cause: images, epochs, options, mistakes."""

    def lost(chosen: list[dict[str, Any]], *causes: str) -> str:
        """By these rows, of which those of one subject are compared that differ in the causes and in nothing else."""
        groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
        for row in chosen:
            groups.setdefault(tuple(row[key] for key in ("subject", *AMOUNTS, OPTIONS) if key not in causes), []).append(row)
        compared = [group for group in groups.values() if len(group) > 1]

        def which(row: dict[str, Any]) -> str:
            """What tells its group from others of its subject."""
            rivals = [group[0] for group in compared if group[0]["subject"] == row["subject"]]
            differs = [key for key in (*AMOUNTS, OPTIONS) if key not in causes and any(rival[key] != row[key] for rival in rivals)]
            return "".join(f", {key} {described(row, key)}" for key in differs)

        compared_text = []
        for group in compared:
            each = [
                f"{row['incite']:+.2f} at {row['compression']:.2f}x with {described(row, causes[0])}"
                for row in sorted(group, key=itemgetter(causes[0]))
            ]
            compared_text.append(f"{place(group[0])}{which(group[0])}: {', '.join(each)}")
        return "; ".join(compared_text) or "not measured"

    def added(way: str) -> str:
        each = [(mean(row["losses"][way]) - mean(row["losses"][NONE]), place(row)) for row in rows if way in row["losses"]]
        if not each:
            return f"{way} not measured"
        least, (most, where) = min(each)[0], max(each)
        return f"{way} {least:+.2f} to {most:+.2f} ({where})" if most - least >= 0.005 else f"{way} {most:+.2f}"

    same = [row for row in rows if row["images"] == row["given"]]
    return [
        f"- Images to decompose with. {lost(rows, 'given')}.",
        f"- Images to train on, which are those to decompose with too. {lost(same, 'images', 'given')}.",
        f"- Epochs of the original's training. {lost(rows, 'epochs')}.",
        f"- Options of Incite beside the paper's. {lost(rows, OPTIONS)}.",
        f"- Mistakes, against {NONE}, means of the orders: {', '.join(added(way) for way in WAYS if way != NONE)}.",
    ]


def described(row: dict[str, Any], key: str) -> str:
    return f"{row[key]:,}" if key in AMOUNTS else f"`{row[key]}`" if row[key] else "none"


def place(row: dict[str, Any]) -> str:
    return f"{row['title']} on {row['data']}"


def write(rows: list[dict[str, Any]]) -> None:
    FILE.write_text(json_lines({"rows": rows}) + "\n")
    published = PUBLISHED[False]
    text = f"""# The paper's figures and its program

`incite-lab artifact` writes this page. The paper reports, as means of twelve classifiers, {published.loss} points of accuracy lost at
{published.compression}x, and an overlap of {published.overlap} %. Below: points lost by the paper's way, from originals of ours that differ in
what they were trained on and for how long. `--preset paper` is Incite; *none* is the same in PyTorch, with heads as the paper's public
program trains them, and *{REGRESSION}* with heads by penalised logistic regression on the same samples instead, so that what is lost there
is lost in the layers that are pruned; the last columns add one mistake of that program each to *{NONE}*, and *{ALL}* has them all. ±: sample
standard deviation over {SEEDS} orders in which heads are trained, where a row has it, else one order; originals and clusters have one seed.
Rows with options are of Incite alone, with these beside the paper's or against them.

- **flatten**: inputs of the first dense layer are chosen as if channels came first; in Keras they come last.
- **norm**: a slice's batch norm is not given the original's parameters and statistics, so that it does nothing; it is frozen, so that
  fitting the head does not mend it.
- **start**: the head starts with the columns of the class and of the others exchanged.
- **validation**: the tenth of the samples that chooses the head's epoch is the end of a list that begins with the class, so that it has
  none of it.
- **rounding**: classes are compared by probabilities in float32, of which many are 1.

"""
    lines = [*table(rows), "", "Points lost, and at which compression, in short:", "", *findings(rows)]
    (FILE.with_suffix(".md")).write_text(text + "\n".join(lines) + "\n")
