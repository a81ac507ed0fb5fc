#!/usr/bin/env python3
"""Measures time and peak memory of `incite inspect` on two large models; writes scripts/bench/inspection.json and docs/performance.md.

It must take seconds, and no more memory than three times the model and one sample's activations. Needs the release build and
torchvision: scripts/bench/inspection.py
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "scripts"))

import page  # noqa: E402
import zoo_models  # noqa: E402 (it lies in the folder above)

PROGRAM = ROOT / "build" / "release" / "incite"
MODELS = ("resnet152", "vit_b_16")
SIZE = 224


def activation_bytes(model: Any, sample: Any) -> int:
    """What the operations of one forward pass make, counted as they are dispatched; views count nothing."""
    class Count(TorchDispatchMode):
        total = 0

        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = function(*args, **(kwargs or {}))
            for value in result if isinstance(result, (tuple, list)) else (result,):
                if isinstance(value, torch.Tensor) and value._base is None:
                    Count.total += value.nbytes
            return result

    with torch.no_grad(), Count():
        model(sample)
    return Count.total


def measure(model: Path, data: Path, threads: int) -> tuple[float, float]:
    """Seconds, and peak memory in MiB."""
    command = [str(PROGRAM), "inspect", str(model), "--data", str(data), "--threads", str(threads), "--json"]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    json.loads(process.stdout.read())  # whole, whatever decompose would say of these samples
    _, _, usage = os.wait4(process.pid, 0)
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()
    rows = []
    for name in MODELS:
        model = zoo_models.new_model(name, SIZE).eval()
        samples = zoo_models.normal(4, SIZE, seed=1)
        with tempfile.TemporaryDirectory() as folder:
            path, data = Path(folder) / "model.pt", Path(folder) / "data.npz"
            torch.jit.trace(model, samples[:2], check_trace=False).save(str(path))
            np.savez(data, x=samples.numpy(), y=np.arange(4))
            runs = [measure(path, data, args.threads) for _ in range(args.runs)]
            model_mib = path.stat().st_size / 2**20
        row = {
            "model": name,
            "seconds": statistics.median(seconds for seconds, _ in runs),
            "peak_mib": statistics.median(peak for _, peak in runs),
            "model_mib": model_mib,
            "activations_mib": activation_bytes(model, samples[:1]) / 2**20,
        }
        row["bound_mib"] = 3 * row["model_mib"] + row["activations_mib"]
        rows.append(row)
        print(row, flush=True)
    (Path(__file__).parent / "inspection.json").write_text(json.dumps({"threads": args.threads, "runs": args.runs, "cases": rows}, indent=2) + "\n")
    lines = [
        f"`incite inspect` on models of 224 × 224 pixels, {args.threads} threads, medians of {args.runs} runs of "
        "`scripts/bench/inspection.py`. The peak is the whole program's; the bound is three times the model and one sample's activations.",
        "",
        "| model | file | one sample's activations | seconds | peak memory | bound |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        lines.append(
            f"| {row['model']} | {row['model_mib']:.0f} MiB | {row['activations_mib']:.0f} MiB | {row['seconds']:.1f} "
            f"| {row['peak_mib']:.0f} MiB | {row['bound_mib']:.0f} MiB |"
        )
    page.write_section("Inspect", lines)


if __name__ == "__main__":
    main()
