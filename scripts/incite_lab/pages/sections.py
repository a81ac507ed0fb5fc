"""Pages of docs/ to which each benchmark writes a section of its own."""

import platform
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
PERFORMANCE = DOCS / "performance.md"
QUALITY = DOCS / "quality.md"


def cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    names = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()


def write_section(title: str, lines: list[str], page: Path = PERFORMANCE) -> None:
    """Puts a section in the place of the one with the same title, or at the end."""
    head, *sections = page.read_text().split("\n## ")
    made = "\n".join([title, "", *lines]) + "\n"
    titles = [section.partition("\n")[0] for section in sections]
    if title in titles:
        sections[titles.index(title)] = made
    else:
        sections.append(made)
    page.write_text("\n## ".join([head, *sections]).rstrip("\n") + "\n")
