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
        f"- Images to train on and to decompose with. {lost(same, 'images', 'given')}.",
        f"- Epochs of the original's training. {lost(rows, 'epochs')}.",
        f"- Further options of Incite. {lost(rows, OPTIONS)}.",
        f"- Mistakes. Points lost in addition to *{NONE}*, means over the orders: {', '.join(added(way) for way in WAYS if way != NONE)}.",
    ]


def described(row: dict[str, Any], key: str) -> str:
    return f"{row[key]:,}" if key in AMOUNTS else f"`{row[key]}`" if row[key] else "none"


def place(row: dict[str, Any]) -> str:
    return f"{row['title']} on {row['data']}"


def write(rows: list[dict[str, Any]]) -> None:
    FILE.write_text(json_lines({"rows": rows}) + "\n")
    published = PUBLISHED[False]
    text = f"""# The paper's figures and its program

`incite-lab artifact` writes this page. The paper reports a loss of {published.loss} points of accuracy at {published.compression}x, and an overlap of
{published.overlap} %, as means of twelve classifiers. The table shows the points that the paper's way loses, for our own originals, which differ in
training data and epochs. The column *given* counts the images to decompose with. `--preset paper` is Incite. *{NONE}* is the same method in PyTorch,
with heads trained as in the paper's public program. *{REGRESSION}* uses heads by penalised logistic regression on the same samples, so its loss comes
from the pruned layers. Each further column adds one mistake of that program to *{NONE}*, and *{ALL}* has them all. ±: sample standard deviation over
{SEEDS} training orders of the heads; rows without it have one order. Originals and clusters have one seed. Rows with options are runs of Incite only,
with these options added to the paper's or replacing them.

- **flatten**: the inputs of the first dense layer are selected as if channels came first; in Keras they come last.
- **norm**: a slice's batch norm does not get the original's parameters and statistics, so it does nothing. It is frozen, so fitting the head
  does not correct it.
- **start**: the head starts with its two columns exchanged, that of the class and that of the others.
- **validation**: the tenth of the samples that chooses the head's epoch is the end of a list that starts with the class, so it has no sample
  of the class.
- **rounding**: classes are compared by float32 probabilities, many of which are exactly 1.

"""
    lines = [*table(rows), "", "Summary: points lost, with the compression:", "", *findings(rows)]
    (FILE.with_suffix(".md")).write_text(text + "\n".join(lines) + "\n")
