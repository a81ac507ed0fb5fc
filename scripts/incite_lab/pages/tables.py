"""Tables as Markdown and as CSV, and JSON that can be compared line by line."""

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]], alignment: str) -> list[str]:
    """Lines. alignment: "l" for a column of words, "r" for one of numbers; the last letter is repeated for the columns left."""
    sides = alignment.ljust(len(header), alignment[-1])
    lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in (header, *rows)]
    return [lines[0], f"|{'|'.join('---' if side == 'l' else '--:' for side in sides)}|", *lines[1:]]


def write_csv(file: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with file.open("w", newline="") as out:
        csv.writer(out, lineterminator="\n").writerows([header, *rows])


def json_lines(value: Any, depth: int = 0) -> str:
    """JSON indented down to what holds numbers alone, which is one line."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if depth > 4 or not any(isinstance(one, (dict, list)) for one in inner):
        return json.dumps(value)
    pad = "  " * (depth + 1)
    if isinstance(value, dict):
        lines = [f"{pad}{json.dumps(key)}: {json_lines(one, depth + 1)}" for key, one in value.items()]
    else:
        lines = [f"{pad}{json_lines(one, depth + 1)}" for one in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return opening + "\n" + ",\n".join(lines) + "\n" + "  " * depth + closing
