"""Scoring in the naive way, that of the paper's artifact, beside incite's, on the same samples and mutants."""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from incite_lab.models import architectures
from incite_lab.paths import MODELS
from incite_lab.run.program import decompose_command, run

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
    return torch.jit.load(str(MODELS / "lenet5-mnist" / "model.pt"))


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
    data = str(folder / "data.npz")
    options = [
        "--scoring", "mutation", "--samples", "all", "--cluster-size", case.cluster_size, "--outputs", "0", "--repair", "none", "--head", "original",
        "--metric", "probability", "--factors", "1.1,0.9,0", "--device", args.device, "--threads", str(args.threads), "--keep-scores",
    ]  # fmt: skip
    return run(decompose_command(args.binary, folder / "model.pt", ["--data", data, "--test", data], options, folder / out)).document


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
            start = time.perf_counter()
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
            seconds.append(time.perf_counter() - start)
        worst = max(worst, float((torch.from_numpy(sums[cluster]) - found).abs().max()))
        largest = max(largest, float(found.max()))
    return statistics.mean(seconds), worst / largest


def matrix_rate(device: str) -> float:
    """Multiply-adds a second of a large product of matrices of float32."""
    side = 2048 if device == "cpu" else 8192
    a, b = torch.rand(side, side, device=device), torch.rand(side, side, device=device)
    times = []
    for _ in range(7):
        start = time.perf_counter()
        (a @ b)[0, 0].item()
        times.append(time.perf_counter() - start)
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
