"""Measures the latency of modules and their original in Python, for one sample and for many.

Needs the release build and the data sets as .npz files: incite-lab bench latency --mnist MNIST.npz --fmnist FMNIST.npz
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from incite_lab.bench import result
from incite_lab.bench.result import Result
from incite_lab.pages.sections import threads_text
from incite_lab.pages.tables import markdown
from incite_lab.run.program import decompose_command, run
from incite_lab.studies.quality import subjects
from incite_lab.studies.quality.subjects import Subject

if TYPE_CHECKING:
    from torch import Tensor

BATCHES = (1, 256)
WARM_UP = 10  # TorchScript optimises during the first runs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    subjects.add_arguments(parser, ("lenet5-mnist", "resnet-fmnist", "sin-cos-sqrt"))
    result.add_arguments(parser, threads=1, runs=200)
    parser.add_argument("--options", nargs=argparse.REMAINDER, default=[], help="options of incite decompose; must come last (default: none)")


def main(args: argparse.Namespace) -> None:
    import torch

    torch.set_num_threads(args.threads)
    rows = []
    for subject in subjects.chosen(args):
        rows.append(measure(subject, args))
        result.show(rows[-1])
    values = {"runs": args.runs, "options": " ".join(args.options), "cases": rows}
    result.publish("latency", "A module's latency", args, values, section)


def measure(subject: Subject, args: argparse.Namespace) -> dict[str, Any]:
    import torch

    from incite_lab.models.training import as_input

    with tempfile.TemporaryDirectory() as name:
        data = ["--data", str(subject.train), "--test", str(subject.test), *subject.data_options]
        options = [*subject.options, *args.options, "--threads", str(args.threads)]
        document = run(decompose_command(args.binary, subject.model, data, options, Path(name))).document
        paths = [subject.model, *(Path(name) / module["file"] for module in document["modules"])]
        models = [torch.jit.load(str(path)).eval() for path in paths]
    x = subject.arrays()["x_test"]
    row = {"title": subject.title, "compression": document["evaluation"]["mean_compression"], "modules": len(models) - 1, "batches": {}}
    for batch in BATCHES:
        original, *modules = medians(models, as_input(np.resize(x, (batch, *x.shape[1:]))), args.runs)
        row["batches"][batch] = {"original": original, "module": statistics.median(modules), "together": sum(modules)}
    return row


def medians(models: list[Callable[[Tensor], Any]], x: Tensor, runs: int) -> list[float]:
    """Milliseconds of each. The models take turns, so that other work on the machine slows all of them."""
    import torch

    times: list[list[float]] = [[] for _ in models]
    with torch.inference_mode():
        for turn in range(-WARM_UP, runs):
            for model, taken in zip(models, times, strict=True):
                start = time.perf_counter()
                model(x)
                if turn >= 0:
                    taken.append(1000 * (time.perf_counter() - start))
    return [statistics.median(taken) for taken in times]


def section(measured: Result) -> list[str]:
    options = f"`{measured['options']}`" if measured["options"] else "the defaults"
    text = (
        f"`incite-lab bench latency`, {measured['cpu']}, {threads_text(measured['threads'])}: models and modules (made with {options}) in Python "
        f"after `torch.jit.load`, medians of {measured['runs']} runs, taking turns. A module: the median over modules. All modules: their sum, the time to "
        "run every module. A small module saves less time than parameters: for one sample, calling the operations takes most of the time."
    )
    rows = []
    for row in measured["cases"]:
        first = [row["title"], f"{row['compression']:.2f}x"]
        for batch, times in row["batches"].items():
            faster = times["original"] / times["module"]
            milliseconds = [f"{times[name]:.3f} ms" for name in ("original", "module")]
            rows.append([*first, batch, *milliseconds, f"{faster:.2f}x", f"{times['together']:.2f} ms"])
            first = ["", ""]
    return [text, "", *markdown(["network", "compression", "batch", "original", "a module", "faster", "all modules"], rows, "lr")]
