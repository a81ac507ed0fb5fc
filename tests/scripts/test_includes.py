"""Each folder includes only the folders that the table in src/README.md names."""

import re
from collections.abc import Iterator
from pathlib import Path

from incite_lab.paths import ROOT

PUBLIC = "incite"  # include/incite/: every folder may include it, and it includes nothing else


def table() -> dict[str, set[str]]:
    """By folder, the folders that it may include. A row names only folders of rows above it."""
    text = (ROOT / "src/README.md").read_text()
    text = text[text.index("## The folders") : text.index("## What flows")]
    rows: dict[str, set[str]] = {}
    for folder, allowed in re.findall(r"^\| `(\w+)/` \|[^|]*\| ([^|]*) \|$", text, re.M):
        names = set() if allowed == "nothing" else set(allowed.split(", "))
        assert names <= set(rows), f"{folder} may include {names - set(rows)}, which stands below it"
        rows[folder] = names
    return rows


def included(path: Path) -> Iterator[str]:
    """The folders of the project's own headers that a file includes."""
    for name in re.findall(r'^#include "([^"]+)"', path.read_text(), re.M):
        folder, _, _ = name.partition("/")
        here = ROOT / "include" if folder == PUBLIC else ROOT / "src"
        generated = name == "incite/version.hpp"
        assert generated or (here / name).exists(), f"{path}: {name} is not written from src/ on, or is not there"
        yield folder


def sources(folder: Path) -> Iterator[Path]:
    yield from (path for path in sorted(folder.rglob("*")) if path.suffix in (".cpp", ".hpp"))


def not_allowed(allowed: dict[str, set[str]]) -> list[str]:
    wrong = []
    for room, may in allowed.items():
        for path in sources(ROOT / "src" / room):
            wrong += [f"{path.relative_to(ROOT)} includes {other}/" for other in included(path) if other not in {room, PUBLIC, *may}]
    for path in sources(ROOT / "include"):
        wrong += [f"{path.relative_to(ROOT)} includes {other}/" for other in included(path) if other != PUBLIC]
    return wrong


def test_folders_include_what_the_table_says() -> None:
    allowed = table()
    assert set(allowed) == {path.name for path in (ROOT / "src").iterdir() if path.is_dir()}
    assert not_allowed(allowed) == []


def test_an_include_that_points_up_is_noticed() -> None:
    allowed = table()
    allowed["slicing"] = allowed["slicing"] - {"units"}
    assert "src/slicing/slice.hpp includes units/" in not_allowed(allowed)
