"""Measures time and peak memory of `incite inspect` on two large models.

It must take seconds, and no more memory than three times the model plus one sample's activations. Needs the release build and
torchvision: incite-lab bench inspection
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from incite_lab.bench import result
from incite_lab.bench.result import Result
from incite_lab.pages.sections import threads_text
from incite_lab.pages.tables import markdown

MODELS = ("resnet152", "vit_b_16")
SIZE = 224


def add_arguments(parser: argparse.ArgumentParser) -> None:
    result.add_arguments(parser, runs=3)


def main(args: argparse.Namespace) -> None:
    import torch

    from incite_lab.models import torchvision_models

    rows = []
    for name in MODELS:
        model = torchvision_models.new_model(name, SIZE).eval()
        samples = torchvision_models.normal(4, SIZE, seed=1)
        with tempfile.TemporaryDirectory() as folder:
            path, data = Path(folder) / "model.pt", Path(folder) / "data.npz"
            torch.jit.trace(model, samples[:2], check_trace=False).save(str(path))
            np.savez(data, x=samples.numpy(), y=np.arange(4))
            runs = [measure(path, data, args) for _ in range(args.runs)]
            model_mib = path.stat().st_size / 2**20
        activations_mib = activation_bytes(model, samples[:1]) / 2**20
        rows.append(
            {
                "model": name,
                "seconds": statistics.median(seconds for seconds, _ in runs),
                "peak_mib": statistics.median(peak for _, peak in runs),
                "model_mib": model_mib,
                "activations_mib": activations_mib,
                "bound_mib": 3 * model_mib + activations_mib,
            }
        )
        result.show(rows[-1])
    result.publish("inspection", "Inspect", args, {"runs": args.runs, "cases": rows}, section)


def measure(model: Path, data: Path, args: argparse.Namespace) -> tuple[float, float]:
    """Seconds, and peak memory in MiB. The exit status does not matter: decompose may refuse so few samples."""
    command = [str(args.binary), "inspect", str(model), "--data", str(data), "--threads", str(args.threads), "--json"]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    json.loads(process.stdout.read())
    _, _, usage = os.wait4(process.pid, 0)
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def activation_bytes(model: Any, sample: Any) -> int:
    """What the operations of one forward pass allocate, counted as they are dispatched; views count nothing."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    class Count(TorchDispatchMode):
        total = 0

        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            output = function(*args, **(kwargs or {}))
            for value in output if isinstance(output, (tuple, list)) else (output,):
                if isinstance(value, torch.Tensor) and value._base is None:
                    Count.total += value.nbytes
            return output

    with torch.no_grad(), Count():
        model(sample)
    return Count.total


def section(measured: Result) -> list[str]:
    text = (
        f"`incite inspect` on models for images of 224 × 224 pixels, {threads_text(measured['threads'])}, medians of {measured['runs']} runs of "
        "`incite-lab bench inspection`. The peak is the whole program's; the bound is three times the model plus one sample's activations."
    )
    rows = [
        [
            row["model"], f"{row['model_mib']:.0f} MiB", f"{row['activations_mib']:.0f} MiB", f"{row['seconds']:.1f}",
            f"{row['peak_mib']:.0f} MiB", f"{row['bound_mib']:.0f} MiB",
        ]
        for row in measured["cases"]
    ]  # fmt: skip
    return [text, "", *markdown(["model", "file", "one sample's activations", "seconds", "peak memory", "bound"], rows, "lr")]
