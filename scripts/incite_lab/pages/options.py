"""Writes docs/options.md: all options of all verbs, from `incite VERB --help`."""

import argparse
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from incite_lab.pages.tables import markdown
from incite_lab.paths import DOCS, PROGRAM
from incite_lab.run.program import executable

VERBS = ("inspect", "decompose", "compose", "evaluate")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--binary", type=Path, default=PROGRAM, help="the program (default: the release build)")
    parser.add_argument("--out", type=Path, default=DOCS / "options.md", help="the page (default: docs/options.md)")


def main(args: argparse.Namespace) -> None:
    args.out.write_text(page(executable(args.binary)))


def help_of(binary: Path, verb: str) -> list[str]:
    command = [str(binary), verb, "--help"]
    environment = {**os.environ, "COLUMNS": "100"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()


def entries(lines: list[str]) -> Iterator[tuple[str, str, str]]:
    """Group, option and help text of each entry. An entry starts in the third column; further lines of its text are indented more."""
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


def row(name: str, text: str) -> list[str]:
    """"--held-out SHARE=0.2" is the option `--held-out SHARE` with the default 0.2."""
    name, _, excluded = name.partition(" Excludes: ")
    required = name.endswith(" REQUIRED")
    name = name.removesuffix(" REQUIRED").removesuffix(" ...")
    option, default = name, ""
    if "=" in name and not name.endswith("=MODULE.pt"):  # --replace NAME=MODULE.pt
        option, _, default = name.rpartition("=")
    return [f"`{option}`", "required" if required else default, text + (f"; not with {excluded}" if excluded else "")]


def page(binary: Path) -> str:
    lines = ["# Options", "", "The text of `incite VERB --help`. `incite-lab options-page` writes this page.", ""]
    for verb in VERBS:
        text = help_of(binary, verb)
        title = " ".join(text[: next(i for i, line in enumerate(text) if line.startswith("Usage:"))])
        lines += [f"## incite {verb}", "", title + ".", ""]
        found = [entry for entry in entries(text) if not entry[1].startswith("-h,")]
        for group in dict.fromkeys(entry[0] for entry in found):
            rows = [row(name, text) for own, name, text in found if own == group]
            lines += [f"**{'Arguments' if group == 'Positionals' else group}**", "", *markdown(["option", "default", "what"], rows, "l"), ""]
    return "\n".join(lines)
