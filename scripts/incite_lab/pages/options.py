#!/usr/bin/env python3
"""Writes docs/options.md: all options of all verbs, from what `incite VERB --help` prints."""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERBS = ("inspect", "decompose", "compose", "evaluate")


def help_of(binary: Path, verb: str) -> list[str]:
    command = [str(binary), verb, "--help"]
    environment = {**os.environ, "COLUMNS": "100"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()


def entries(lines: list[str]) -> Iterator[tuple[str, str, str]]:
    """Group, option and help text of each entry, in order. An entry starts in the third column; its text goes on further in."""
    group, name, text = "", "", ""
    for line in lines:
        heading = re.fullmatch(r"(\w+):", line)
        entry = re.fullmatch(r"  (\S.*?)(?:  +(\S.*))?", line)
        if (heading or entry) and name:
            yield group, name, text
            name = ""
        if heading:
            group = heading[1]
        elif entry:
            name, text = entry[1], entry[2] or ""
        elif name and line.strip():
            text = f"{text} {line.strip()}".strip()
    if name:
        yield group, name, text


def row(name: str, text: str) -> str:
    """A line of the table: "--held-out SHARE=0.2" is the option `--held-out SHARE` with the default 0.2."""
    name, _, excluded = name.partition(" Excludes: ")
    required = name.endswith(" REQUIRED")
    name = name.removesuffix(" REQUIRED").removesuffix(" ...")
    option, default = name, ""
    if not name.endswith("=MODULE.pt"):  # --replace NAME=MODULE.pt
        option, _, default = name.partition("=")
    text += f"; not with {excluded}" if excluded else ""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in (f"`{option}`", "required" if required else default, text)) + " |"


def page(binary: Path) -> str:
    lines = ["# Options", "", "What `incite VERB --help` says. `scripts/options_page.py` writes this page.", ""]
    for verb in VERBS:
        helped = help_of(binary, verb)
        title = " ".join(helped[: next(i for i, line in enumerate(helped) if line.startswith("Usage:"))])
        lines += [f"## incite {verb}", "", title + ".", ""]
        found = [entry for entry in entries(helped) if not entry[1].startswith("-h,")]
        for group in dict.fromkeys(entry[0] for entry in found):
            lines += [f"**{'Arguments' if group == 'Positionals' else group}**", "", "| option | default | what |", "|---|---|---|"]
            lines += [row(name, text) for own, name, text in found if own == group]
            lines.append("")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", type=Path, default=ROOT / "build" / "release" / "incite", help="the program")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "options.md", help="the page (default: docs/options.md)")
    options = parser.parse_args()
    if not os.access(options.binary, os.X_OK):
        sys.exit(f"--binary: {options.binary} can't be run; build it first")
    options.out.write_text(page(options.binary))


if __name__ == "__main__":
    main()
