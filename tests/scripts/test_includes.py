"""Which folder includes which: as the table of src/README.md says, and no other."""

import re
from collections.abc import Iterator
from pathlib import Path

from incite_lab.paths import ROOT

ROOMS = ("base", "data", "program", "units", "scoring", "selection", "slicing", "evaluation", "report", "cli")
LOOSE = "decompose.*"  # the row of files that lie directly in src/ and include/incite/


def table() -> dict[str, set[str]]:
    """By folder, what it may include: folders, and headers by name."""
    text = (ROOT / "src/README.md").read_text()
    text = text[text.index("## The folders") : text.index("## What flows")]
    rows: dict[str, set[str]] = {}
    for first, last in re.findall(r"^\| `([\w.*]+)/?`[^|]*\|[^|]*\| ([^|]*) \|$", text, re.M):
        if last == "all of the above":
            rows[first] = set(ROOMS) - {"cli"}
        else:
            rows[first] = {word for word in re.findall(r"[\w.]+\.hpp|[a-z]+", last) if word in ROOMS or word.endswith(".hpp")}
    return rows


def sources() -> Iterator[Path]:
    for top in ("src", "include/incite"):
        yield from (path for path in sorted((ROOT / top).rglob("*")) if path.suffix in (".cpp", ".hpp"))


def room_of(path: Path) -> str:
    parts = path.relative_to(ROOT).parts
    inner = parts[2:] if parts[0] == "include" else parts[1:]
    return inner[0] if len(inner) > 1 else LOOSE


def included(path: Path) -> Iterator[Path]:
    """The project's own headers that a file includes."""
    for name in re.findall(r'^#include "([^"]+)"', path.read_text(), re.M):
        for place in (path.parent / name, ROOT / "include" / name, ROOT / "src" / name):
            if place.exists():
                yield place.resolve()
                break


def headers_with(path: Path, found: set[Path]) -> set[Path]:
    """A header and all that it includes."""
    if path not in found:
        found.add(path)
        for header in included(path):
            headers_with(header, found)
    return found


def upward(allowed: dict[str, set[str]]) -> list[str]:
    """Includes that the table does not allow."""
    wrong = []
    for path in sources():
        room = room_of(path)
        may = allowed[room]
        named = [ROOT / "include/incite" / name for name in may if name.endswith(".hpp")]
        along = set().union(*(headers_with(header, set()) for header in named)) if named else set()
        for header in included(path):
            other = room_of(header)
            if other in (room, *may) or header in along or (other == LOOSE and room in (LOOSE,)):
                continue
            wrong.append(f"{path.relative_to(ROOT)} includes {header.relative_to(ROOT)}")
    return wrong


def test_folders_include_what_the_table_says() -> None:
    allowed = table()
    assert set(allowed) == {*ROOMS, LOOSE}
    assert upward(allowed) == []


def test_an_include_that_points_up_is_noticed() -> None:
    allowed = table()
    allowed["slicing"] = allowed["slicing"] - {"units"}
    assert "include/incite/slicing/slice.hpp includes include/incite/units/unit_map.hpp" in upward(allowed)
