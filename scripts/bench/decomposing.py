"""Runs of `incite decompose` that benchmarks compare."""

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RELEASE = ROOT / "build" / "release" / "incite"


@dataclass(frozen=True)
class Run:
    document: dict[str, Any]
    peak_mib: float  # of the whole program


def decompose(binary: Path, model: Path, data: Sequence[str], options: Sequence[str]) -> Run:
    """`data` are the options that name the data. The modules are thrown away."""
    with tempfile.TemporaryDirectory() as out:
        command = [str(binary), "decompose", str(model), *data, *options, "--json", "--out", out]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        text = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{' '.join(command)}: ended with status {os.waitstatus_to_exitcode(status)}")
    return Run(json.loads(text), usage.ru_maxrss / 1024)


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
