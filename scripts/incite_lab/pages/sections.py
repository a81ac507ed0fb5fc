"""Sections of the pages in docs/, each written by one command, and the words that they share."""

import platform
from collections.abc import Sequence
from pathlib import Path

from incite_lab.paths import DOCS

PERFORMANCE = DOCS / "performance.md"
QUALITY = DOCS / "quality.md"


def cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    names = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()


def threads_text(count: int) -> str:
    return f"{count} {'thread' if count == 1 else 'threads'}"


def write_section(title: str, lines: Sequence[str], page: Path) -> None:
    """Replaces the section with this title, or adds it at the end."""
    head, *sections = page.read_text().split("\n## ")
    new = "\n".join([title, "", *lines]) + "\n"
    titles = [section.partition("\n")[0] for section in sections]
    if title in titles:
        sections[titles.index(title)] = new
    else:
        sections.append(new)
    page.write_text("\n## ".join([head, *sections]).rstrip("\n") + "\n")
