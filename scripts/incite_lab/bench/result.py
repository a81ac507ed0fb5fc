"""What benchmarks share: their options, and where their results go."""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from incite_lab.pages.sections import PERFORMANCE, cpu_model, write_section
from incite_lab.run import program

Result = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser, threads: int | None = os.cpu_count(), runs: int | None = None) -> None:
    program.add_arguments(parser, threads)
    if runs is not None:
        parser.add_argument("--runs", type=int, default=runs, help="runs of each case; the median counts (default: %(default)s)")


def add_images(parser: argparse.ArgumentParser, *names: str) -> None:
    for name in names:
        parser.add_argument(f"--{name}", type=Path, required=True, metavar="FILE.npz", help="x_train, y_train, x_test, y_test")


def file_of(name: str) -> Path:
    return Path(__file__).with_name(f"{name}.json")


def load(name: str) -> Result:
    return json.loads(file_of(name).read_text())


def show(row: Any) -> None:
    print(json.dumps(row), flush=True)


def publish(name: str, title: str, args: argparse.Namespace, values: Result, section: Callable[[Result], list[str]]) -> None:
    """Writes the JSON file and, from what it holds, the section."""
    file_of(name).write_text(json.dumps({"cpu": cpu_model(), "threads": args.threads, **values}, indent=2) + "\n")
    write_section(title, section(load(name)), PERFORMANCE)
