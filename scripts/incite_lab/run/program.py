"""Runs of the incite program, or of another that prints JSON."""

import argparse
import json
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from incite_lab.paths import PROGRAM


class Failed(Exception):
    """A program's exit status was not 0. The message has the status and the last line of stderr."""


@dataclass(frozen=True)
class Run:
    document: dict[str, Any]
    peak_mib: float  # of the whole program, or of this process so far if that is more: Linux passes it on
    cpu_seconds: float  # of all its threads, which other processes barely change


def add_arguments(parser: argparse.ArgumentParser, threads: int | None = 1) -> None:
    """--binary and --threads."""
    parser.add_argument("--binary", type=Path, default=PROGRAM, help="the program (default: the release build)")
    parser.add_argument("--threads", type=int, default=threads, help="threads of each run (default: %(default)s)")


running: set[int] = set()  # process ids
stopping = threading.Event()
changing = threading.Lock()


def run(command: Sequence[str], log: Path | None = None) -> Run:
    """Runs a command that prints a JSON document; stderr goes into `log`. Throws Failed."""
    with tempfile.TemporaryFile("w+") if log is None else log.open("w+") as messages:
        with changing:
            if stopping.is_set():
                raise Failed("stopped")
            # In its own group Ctrl-C does not reach it: stop_all() passes it on, once.
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=messages, process_group=0)
            running.add(process.pid)
        try:
            assert process.stdout is not None
            text = process.stdout.read()
        except KeyboardInterrupt:
            stop_all()
            raise
        finally:
            _, status, usage = os.wait4(process.pid, 0)
            with changing:
                running.discard(process.pid)
            process.returncode = os.waitstatus_to_exitcode(status)
        messages.seek(0)
        last = messages.read().strip().rpartition("\n")[2]
    if process.returncode != 0:
        raise Failed(f"status {process.returncode}: {last}")
    return Run(json.loads(text), usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime)


def stop_all() -> None:
    """Interrupts all running programs, as Ctrl-C would, and lets no other start."""
    with changing:
        stopping.set()
        for pid in running:
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(pid, signal.SIGINT)


def executable(binary: Path) -> Path:
    """The program's full path. Ends the process if there is no such program."""
    if not os.access(binary, os.X_OK):
        raise SystemExit(f"--binary: {binary} can't be run; build it first")
    return binary.resolve()


def version(binary: Path) -> str:
    return subprocess.run([binary, "--version"], check=True, capture_output=True, text=True).stdout.strip()


def decompose_command(binary: Path, model: Path, data: Sequence[str], options: Sequence[str], out: Path) -> list[str]:
    """`data`: the options that name the data."""
    return [str(binary), "decompose", str(model), *data, *options, "--json", "--out", str(out)]


def decompose(binary: Path, model: Path, data: Sequence[str], options: Sequence[str]) -> Run:
    """Decomposes into a temporary folder. Ends the process if that fails."""
    with tempfile.TemporaryDirectory() as out:
        command = decompose_command(binary, model, data, options, Path(out))
        try:
            return run(command)
        except Failed as failure:
            raise SystemExit(f"{' '.join(command)}: {failure}") from None


# For an archive of images with x_train, y_train, x_test, y_test, [N, 28, 28].
IMAGE_OPTIONS = (
    "--input-key", "x_train", "--target-key", "y_train", "--test-input-key", "x_test", "--test-target-key", "y_test",
    "--input-shape", "1,28,28",
)  # fmt: skip


def images(data: Path) -> list[str]:
    return ["--data", str(data), "--test", str(data), *IMAGE_OPTIONS]
