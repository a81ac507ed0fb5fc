#!/usr/bin/env python3
"""Measures how much faster incite scores than the naive way, and how far it is from what the arithmetic takes.

The naive way is the paper's artifact's, in PyTorch: for each mutant change the weights, run the whole model on all samples,
restore. Both work on the same samples and mutants, with the same threads; what both found for those mutants is compared. The least
time is the multiply-adds that incite counts, at the machine's rate for large matrix products.

Needs the release build; LeNet-5 also MNIST as one .npz: scripts/bench/speedup.py --mnist MNIST.npz
Writes scripts/bench/speedup.json and a section of docs/performance.md; with --device cuda speedup_cuda.json and another section.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "models"), str(ROOT / "scripts"), str(ROOT / "scripts" / "bench")]
import architectures  # noqa: E402
import page  # noqa: E402

BATCH = 256


@dataclass(frozen=True)
class Case:
    name: str
    make: Callable[[], nn.Module | torch.jit.ScriptModule]
    shape: tuple[int, ...]
    samples: int
    cuda_samples: int
    mutants: int  # that the naive way is timed on
    cluster_size: str


def resnet18() -> nn.Module:
    from torchvision import models

    return models.resnet18(num_classes=10)


def lenet5() -> torch.jit.ScriptModule:
    return torch.jit.load(str(ROOT / "models" / "lenet5-mnist" / "model.pt"))


CASES = (
    Case("LeNet-5", lenet5, (1, 28, 28), 60_000, 60_000, 6, "1"),
    Case("AlexNet", architectures.alexnet, (1, 28, 28), 128, 4_096, 12, "10"),
    Case("VGGNet-16", architectures.vggnet16, (1, 56, 56), 16, 512, 12, "10"),
    Case("ResNet-18", resnet18, (3, 64, 64), 64, 4_096, 12, "10"),
)


def prepare(case: Case, samples: int, mnist: Path, folder: Path) -> tuple[torch.jit.ScriptModule, np.ndarray]:
    """Writes model.pt and data.npz; returns the model and its inputs."""
    torch.manual_seed(0)
    model = case.make()
    if not isinstance(model, torch.jit.ScriptModule):
        for layer in model.modules():
            if isinstance(layer, nn.Linear):  # as large as activations: PyTorch's own start lets them fade
                nn.init.kaiming_normal_(layer.weight)
        model.train()  # batch norm sees some data, so that its statistics are those of activations
        with torch.no_grad():
            for _ in range(10):
                model(torch.rand(16, *case.shape))
        model = torch.jit.script(model.eval())
    model.save(str(folder / "model.pt"))
    if case.name == "LeNet-5":
        with np.load(mnist) as data:
            x = data["x_train"].reshape(-1, *case.shape)[:samples].astype(np.float32) / 255
            y = data["y_train"][:samples].astype(np.int64)
    else:
        x = np.random.default_rng(0).random((samples, *case.shape), np.float32)
        y = np.arange(samples) % 10
    np.savez(folder / "data.npz", x=x, y=y)
    return model.eval(), x


def incite(case: Case, folder: Path, args: argparse.Namespace, out: str) -> dict[str, Any]:
    command = [
        str(args.binary), "decompose", "model.pt", "--data", "data.npz", "--test", "data.npz", "--samples", "all",
        "--cluster-size", case.cluster_size, "--outputs", "0", "--repair", "none", "--head", "original", "--metric", "probability", "--factors", "1.1,0.9,0",
        "--device", args.device, "--threads", str(args.threads), "--out", out, "--json", "--keep-scores",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def probabilities(model: torch.jit.ScriptModule, x: torch.Tensor, softmax: bool) -> torch.Tensor:
    with torch.no_grad():
        y = torch.cat([model(x[i : i + BATCH]) for i in range(0, len(x), BATCH)])
    return torch.softmax(y, 1) if softmax else y


def naive(case: Case, model: torch.jit.ScriptModule, inputs: torch.Tensor, folder: Path, document: dict[str, Any]) -> tuple[float, float]:
    """Seconds a mutant, and the largest difference of a score from the one in scores.npz, over the largest score."""
    softmax = document["model"]["output_kind"] == "logits"
    weights = model.state_dict()
    with np.load(folder / "first" / "scores.npz") as scores:
        sums, clusters, channels = scores["sums"].sum(0), scores["unit_clusters"], scores["channels"]
        layers = scores["layers"].tobytes().decode().split()
    base = probabilities(model, inputs, softmax)
    every = np.linspace(0, len(sums) - 1, case.mutants).astype(int)
    seconds = []
    worst = largest = 0.0
    for cluster in every:
        found = torch.zeros(base.shape[1], dtype=torch.float64)
        for factor in document["settings"]["factors"]:
            began = time.perf_counter()
            saved = {}
            for unit, layer, channel in channels:
                if clusters[unit] != cluster:
                    continue
                for name in (f"{layers[layer]}.weight", f"{layers[layer]}.bias"):
                    if name not in weights:
                        continue
                    saved.setdefault(name, weights[name].clone())
                    weights[name][channel] *= factor
            found += (probabilities(model, inputs, softmax) - base).abs().double().sum(0).cpu()
            for name, value in saved.items():
                weights[name].copy_(value)
            seconds.append(time.perf_counter() - began)
        worst = max(worst, float((torch.from_numpy(sums[cluster]) - found).abs().max()))
        largest = max(largest, float(found.max()))
    return statistics.mean(seconds), worst / largest


def matrix_rate(device: str) -> float:
    """Multiply-adds a second of a large product of matrices of float32."""
    side = 2048 if device == "cpu" else 8192
    a, b = torch.rand(side, side, device=device), torch.rand(side, side, device=device)
    times = []
    for _ in range(7):
        began = time.perf_counter()
        (a @ b)[0, 0].item()
        times.append(time.perf_counter() - began)
    return side**3 / statistics.median(times)


def measure(case: Case, args: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        samples = case.samples if args.device == "cpu" else case.cuda_samples
        model, x = prepare(case, samples, args.mnist, folder)
        rate = matrix_rate(args.device)
        runs = [incite(case, folder, args, out) for out in ["first", "second", "third"][: args.runs]]
        a_mutant, difference = naive(case, model.to(args.device), torch.from_numpy(x).to(args.device), folder, runs[0])
    seconds = statistics.median(run["timing"]["scoring"] for run in runs)
    mutants = runs[0]["scoring"]["mutants"]
    least = runs[0]["scoring"]["multiply_adds"] / rate
    return {
        "network": case.name,
        "samples": samples,
        "mutants": mutants,
        "seconds": seconds,
        "naive_seconds": a_mutant * mutants,
        "speedup": a_mutant * mutants / seconds,
        "least_seconds": least,
        "over_least": seconds / least,
        "matrix_rate": rate,
        "difference": difference,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", type=Path, required=True, help="MNIST as one .npz with x_train and y_train")
    parser.add_argument("--binary", type=Path, default=ROOT / "build" / "release" / "incite")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="of both ways")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--runs", type=int, default=3, choices=(1, 2, 3), help="runs of incite; medians are written")
    parser.add_argument("--only", default="", help="networks whose name contains this; nothing is written")
    args = parser.parse_args()
    args.binary = args.binary.resolve()
    torch.set_num_threads(args.threads)
    torch.backends.cudnn.allow_tf32 = False  # as incite; PyTorch's products of matrices are float32 anyway
    rows = []
    for case in CASES:
        if args.only.lower() not in case.name.lower():
            continue
        rows.append(measure(case, args))
        print(json.dumps(rows[-1]), flush=True)
    if args.only:
        return
    result = {"cpu": page.cpu_model(), "threads": args.threads, "runs": args.runs, "cases": rows}
    title, file = "Against the naive way, and the least time", "speedup.json"
    if args.device == "cuda":
        result["gpu"] = torch.cuda.get_device_name()
        title, file = "On a GPU, against the naive way there", "speedup_cuda.json"
    (Path(__file__).parent / file).write_text(json.dumps(result, indent=2) + "\n")
    page.write_section(title, table(result))


def table(result: dict[str, Any]) -> list[str]:
    machine = f"{result['cpu']}, {result['threads']} threads"
    if "gpu" in result:
        machine = f"`--device cuda`, {result['gpu']}, float32 without TF32"
    lines = [
        f"`scripts/bench/speedup.py`, {machine}, medians of {result['runs']} runs. The naive way changes the "
        "weights, runs the whole PyTorch model on all samples, and restores, for each mutant; it is timed on some mutants and "
        "multiplied. Mutants are the paper's: factors 1.1, 0.9 and 0, clusters of ten units (of one for LeNet-5). Least: the multiply-adds "
        "that they need, counted, at the rate of a large matrix product; convolutions can be faster than that, since "
        "they skip the zeros that pad small images. Difference: between the scores that both find, over the "
        "largest. AlexNet and VGGNet-16 are the paper's; they and ResNet-18 have random weights and inputs.",
        "",
        "| network | samples | mutants | naive | incite | speedup | least | over least | difference |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in result["cases"]:
        lines.append(
            f"| {row['network']} | {row['samples']:,} | {row['mutants']:,} | {row['naive_seconds']:,.0f} s | {row['seconds']:,.1f} s "
            f"| {row['speedup']:.1f}× | {row['least_seconds']:,.1f} s | {row['over_least']:.2f}× | {row['difference']:.1e} |"
        )
    return lines


if __name__ == "__main__":
    main()
