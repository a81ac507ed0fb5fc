"""Tables as Markdown and as CSV."""

import csv
from collections.abc import Sequence
from pathlib import Path


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]], words: Sequence[bool]) -> list[str]:
    """Lines. Columns of words stand to the left, those of numbers to the right."""
    lines = [header, ["---" if word else "--:" for word in words], *rows]
    return [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines]


def write_csv(file: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with file.open("w", newline="") as out:
        csv.writer(out, lineterminator="\n").writerows([header, *rows])
