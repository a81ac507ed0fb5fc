"""Runs of `incite decompose` that benchmarks compare."""

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

ROOT = Path(__file__).resolve().parents[2]
RELEASE = ROOT / "build" / "release" / "incite"


class Failed(Exception):
    """A program ended with another status than 0: the status, and the last line that it said."""


@dataclass(frozen=True)
class Run:
    document: dict[str, Any]
    peak_mib: float  # of the whole program, or of this process so far, if that is more: Linux hands it on


running: set[int] = set()  # process ids
no_more = threading.Event()
changing = threading.Lock()


def run(command: Sequence[str], log: Path | None = None) -> Run:
    """Runs a command that prints a JSON document, with what else it says in a file. Throws Failed."""
    with tempfile.TemporaryFile("w+") if log is None else log.open("w+") as said:
        with changing:
            if no_more.is_set():
                raise Failed("stopped")
            # In a group of its own Ctrl-C does not reach it: stop_all() hands it on, once.
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, process_group=0)
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
        said.seek(0)
        last = said.read().strip().rpartition("\n")[2]
    if process.returncode != 0:
        raise Failed(f"status {process.returncode}: {last}")
    return Run(json.loads(text), usage.ru_maxrss / 1024)


def stop_all() -> None:
    """Asks all programs that run to stop, as Ctrl-C would, and lets no other begin."""
    with changing:
        no_more.set()
        for pid in running:
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(pid, signal.SIGINT)


def version(binary: Path) -> str:
    if not binary.exists():
        raise SystemExit(f"{binary}: not there; build it, or give --binary")
    return subprocess.run([binary, "--version"], check=True, capture_output=True, text=True).stdout.strip()


def command(binary: Path, model: Path, data: Sequence[str], options: Sequence[str], out: Path) -> list[str]:
    return [str(binary), "decompose", str(model), *data, *options, "--json", "--out", str(out)]


def decompose(binary: Path, model: Path, data: Sequence[str], options: Sequence[str]) -> Run:
    """`data` are the options that name the data. The modules are thrown away."""
    with tempfile.TemporaryDirectory() as out:
        given = command(binary, model, data, options, Path(out))
        try:
            return run(given)
        except Failed as failure:
            raise SystemExit(f"{' '.join(given)}: {failure}") from None


def images(data: Path) -> list[str]:
    """The options for an archive of images with x_train, y_train, x_test, y_test, [N, 28, 28]."""
    keys = ["--input-key", "x_train", "--target-key", "y_train", "--test-input-key", "x_test", "--test-target-key", "y_test"]
    return ["--data", str(data), "--test", str(data), *keys, "--input-shape", "1,28,28"]


def jaccard(a: dict[str, Any], b: dict[str, Any]) -> float:
    """Of the channels that two documents' modules keep, the mean over modules."""
    values = []
    for one, other in zip(a["modules"], b["modules"], strict=True):
        pairs = [({(layer, c) for layer in kept for c in kept[layer]}) for kept in (one["kept"], other["kept"])]
        values.append(len(pairs[0] & pairs[1]) / len(pairs[0] | pairs[1]))
    return sum(values) / len(values)
