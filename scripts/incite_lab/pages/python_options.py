"""Writes python/incite/_options.py: the keywords of the Python package, from `incite VERB --help`."""

import argparse
import re
import textwrap
from pathlib import Path

from incite_lab.pages.options import VERBS, entries, help_of, row
from incite_lab.paths import PROGRAM, ROOT
from incite_lab.run.program import executable

FILE = ROOT / "python/incite/_options.py"

# Arguments of the functions themselves, and what the package chooses: how the result is printed.
NOT_KEYWORDS = {"data", "out", "test", "json", "json-file", "quiet", "verbose"}

PATH = "str | os.PathLike[str]"

# What an option's placeholder in the help says: the type in Python, and how words are made of a value (incite/_words.py).
KINDS = {
    "": ("bool", "flag"),
    "SHARE": ("float", "text"),
    "NUMBER": ("float", "text"),
    "POINTS": ("float", "text"),
    "INT": ("int", "text"),
    "EPOCHS": ("int", "text"),
    "COUNT": ("int", "text"),
    "NUMBER|auto": ('float | Literal["auto"]', "text"),
    "UNITS|auto": ('int | Literal["auto"]', "text"),
    "auto|all|COUNT": ('int | Literal["auto", "all"]', "text"),
    "NAME": ("str", "text"),
    "DEVICE": ("str", "text"),
    "BYTES": ("int | str", "text"),
    "NAME|INDEX": ("int | str", "text"),
    "SIZES": ("Sequence[int]", "commas"),
    "NUMBERS": ("float | Sequence[float]", "commas"),
    "NAMES": ("str | Sequence[str | int]", "commas"),
    "NAMES|FILE": (f"{PATH} | Sequence[str]", "commas"),
    "LIST|all|present": ("int | str | Sequence[int]", "commas"),
    "each|all|NAME=LIST ...|FILE": (f"{PATH} | Mapping[str, int | str | Sequence[int]]", "sets"),
    "NAME=MODULE.pt": (f"Mapping[str, {PATH}]", "pairs"),
}

HEADER = '''"""The options of each verb, as keywords. `incite-lab python-options` writes this file from `incite VERB --help`."""

import os
from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

# How the words of the command line are made of a keyword's value.
KINDS: dict[str, dict[str, str]] = {
'''


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--binary", type=Path, default=PROGRAM, help="the program (default: the release build)")
    parser.add_argument("--out", type=Path, default=FILE, help="the file (default: python/incite/_options.py)")


def main(args: argparse.Namespace) -> None:
    args.out.write_text(text(executable(args.binary)))


def kind_of(placeholder: str) -> tuple[str, str]:
    """The type in Python, and how a value becomes words."""
    if placeholder in KINDS:
        return KINDS[placeholder]
    if re.match(r"(FILE|FOLDER|MODEL|MODULE)\b", placeholder):
        return PATH, "text"
    if re.fullmatch(r"[a-z0-9-]+(\|[a-z0-9-]+)*", placeholder):
        names = ", ".join(f'"{name}"' for name in placeholder.split("|"))
        return f"Literal[{names}]", "text"
    raise SystemExit(f"python-options: {placeholder}: no type in Python is known for this placeholder; add it to KINDS in {__file__}")


def options_of(binary: Path, verb: str) -> list[tuple[str, str, str, str]]:
    """Name, type, kind and help of each option that is a keyword."""
    found = []
    for group, name, said in entries(help_of(binary, verb)):
        option, default, what = row(name, said)
        flags, _, placeholder = option.strip("`").partition(" ")
        keyword = flags.rpartition(",")[2].removeprefix("--")
        if group == "Positionals" or keyword in NOT_KEYWORDS or keyword == "help":
            continue
        shown = f"{what} (default: {default})" if default else what
        found.append((keyword.replace("-", "_"), *kind_of(placeholder), shown))
    return sorted(found)


def text(binary: Path) -> str:
    table, classes = HEADER, ""
    for verb in VERBS:
        options = options_of(binary, verb)
        table += f'    "{verb}": {{\n' + "".join(f'        "{name}": "{kind}",\n' for name, _, kind, _ in options) + "    },\n"
        classes += f'\n\nclass {verb.capitalize()}Options(TypedDict, total=False):\n    """Options of `incite {verb}`. None stands for the default."""\n'
        for name, kind, _, what in options:
            doc = textwrap.fill(f'"""{what}."""', 140, initial_indent="    ", subsequent_indent="    ")
            classes += f"\n    {name}: {kind} | None\n{doc}\n"
    return table + "}\n" + classes
