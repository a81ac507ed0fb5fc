#!/usr/bin/env python3
"""Measures how long a module takes against its original, for one sample and for many, as Python runs them.

Needs the release build and the data sets as .npz files: scripts/bench/latency.py --mnist MNIST.npz --fmnist FMNIST.npz
Writes scripts/bench/latency.json and a section of docs/performance.md.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import page
import torch
from decomposing import RELEASE, ROOT, command, run

sys.path.append(str(ROOT / "scripts"))

import subjects  # noqa: E402 (it lies in the folder above)
from scratch import as_input  # noqa: E402

BATCHES = (1, 256)
WARM_UP = 10  # TorchScript optimises during the first runs


def medians(models: list[Callable[[torch.Tensor], Any]], x: torch.Tensor, runs: int) -> list[float]:
    """Milliseconds a run of each; they take turns, so that what else the machine does meets all alike."""
    times: list[list[float]] = [[] for _ in models]
    with torch.inference_mode():
        for turn in range(-WARM_UP, runs):
            for model, taken in zip(models, times, strict=True):
                began = time.perf_counter()
                model(x)
                if turn >= 0:
                    taken.append(1000 * (time.perf_counter() - began))
    return [statistics.median(taken) for taken in times]


def measure(subject: subjects.Subject, args: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        options = [*subject.kind.options, *args.options, "--threads", str(args.threads)]
        document = run(command(args.binary, subject.model, subject.data, options, Path(name))).document
        paths = [subject.model, *(Path(name) / module["file"] for module in document["modules"])]
        models = [torch.jit.load(str(path)).eval() for path in paths]
    x = subject.arrays()["x_test"]
    row = {"title": subject.title, "compression": document["evaluation"]["mean_compression"], "modules": len(models) - 1, "batches": {}}
    for batch in BATCHES:
        original, *modules = medians(models, as_input(np.resize(x, (batch, *x.shape[1:]))), args.runs)
        row["batches"][batch] = {"original": original, "module": statistics.median(modules), "together": sum(modules)}
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    subjects.add_arguments(parser, ("lenet5-mnist", "resnet-fmnist", "sin-cos-sqrt"))
    parser.add_argument("--binary", type=Path, default=RELEASE)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=200, help="of each model, of which the median counts (default: %(default)s)")
    parser.add_argument("--options", nargs=argparse.REMAINDER, default=[], help="of incite decompose; the last (default: none)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rows = []
    for subject in subjects.chosen(args, ROOT / "build" / "quality" / "data"):
        rows.append(measure(subject, args))
        print(json.dumps(rows[-1]), flush=True)
    given = " ".join(args.options)
    result = {"cpu": page.cpu_model(), "threads": args.threads, "runs": args.runs, "options": given, "cases": rows}
    # Read back, batches are named as in the file.
    text = json.dumps(result, indent=2) + "\n"
    (Path(__file__).parent / "latency.json").write_text(text)
    page.write_section("A module's latency", table(json.loads(text)))


def table(result: dict[str, Any]) -> list[str]:
    threads = "1 thread" if result["threads"] == 1 else f"{result['threads']} threads"
    made = f"`{result['options']}`" if result["options"] else "the defaults"
    lines = [
        f"`scripts/bench/latency.py`, {result['cpu']}, {threads}: models and modules (made with {made}) as Python runs them after "
        f"`torch.jit.load`, medians of {result['runs']} runs, taking turns. A module: the median over modules. All: their sum, what it takes "
        "to ask every module. A small module saves less time than parameters: for one sample the calls of operations take most of it.",
        "",
        "| network | compression | batch | original | a module | faster | all modules |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for row in result["cases"]:
        title, compression = row["title"], f"{row['compression']:.2f}x"
        for batch, times in row["batches"].items():
            lines.append(
                f"| {title} | {compression} | {batch} | {times['original']:.3f} ms | {times['module']:.3f} ms "
                f"| {times['original'] / times['module']:.2f}x | {times['together']:.2f} ms |"
            )
            title = compression = ""
    return lines


if __name__ == "__main__":
    main()
