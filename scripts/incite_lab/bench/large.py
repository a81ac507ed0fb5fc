"""Measures time and peak memory of `incite decompose` with defaults on networks of ImageNet's size: ten of 1,000 outputs.

Needs the release build and torchvision: incite-lab bench large
"""

import argparse
import multiprocessing
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from incite_lab.bench import result
from incite_lab.bench.result import Result
from incite_lab.pages.sections import threads_text
from incite_lab.pages.tables import markdown
from incite_lab.run.program import decompose_command, run

NETWORKS = ("resnet50", "vit_b_16")
SIZE = 224
OUTPUTS = 10
TEST = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), metavar="NETWORK", help="default: %(default)s")
    parser.add_argument("--samples", type=int, default=500, help="synthetic images (default: %(default)s)")
    result.add_arguments(parser)
    parser.add_argument("--folder", type=Path, help="folder for models, data and modules, about a GiB (default: that of temporary files)")


def main(args: argparse.Namespace) -> None:
    rows = []
    for network in args.networks:
        rows.append(measure(network, args))
        result.show(rows[-1])
    result.publish("large", "Networks of ImageNet's size", args, {"samples": args.samples, "cases": rows}, section)


def measure(network: str, args: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        # In its own process, since incite's peak can't be told from a higher one of this process.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as other:
            other.submit(prepare, network, args.samples, folder).result()
        data = ["--data", str(folder / "data.npz"), "--test", str(folder / "test.npz")]
        modules = [f"class-{k}={k}" for k in range(OUTPUTS)]
        options = ["--threads", str(args.threads), "--modules", *modules]
        done = run(decompose_command(args.binary, folder / "model.pt", data, options, folder / "out"))
    document = done.document
    return {
        "network": network,
        "parameters": document["model"]["parameters"],
        "scoring": document["scoring"]["method"],
        "compression": document["evaluation"]["mean_compression"],
        "timing": document["timing"],
        "peak_mib": done.peak_mib,
    }


def prepare(network: str, samples: int, folder: Path) -> None:
    """Writes model.pt, data.npz and test.npz; ten classes take turns."""
    import torch
    import torchvision.models

    from incite_lab.models.torchvision_models import SAMPLES, calibrate, check_signal, normal

    torch.manual_seed(0)
    model = getattr(torchvision.models, network)(weights=None).eval()
    if network.startswith("vit"):
        torch.nn.init.trunc_normal_(model.heads.head.weight, std=0.02)  # torchvision's are 0: all outputs alike
    else:
        calibrate(model, SIZE)
    check_signal(model, normal(SAMPLES, SIZE, seed=3))
    torch.jit.script(model).save(str(folder / "model.pt"))
    for seed, (name, count) in enumerate((("data", samples), ("test", TEST))):
        x = normal(count, SIZE, seed=10 + seed).numpy()
        np.savez(folder / f"{name}.npz", x=x, y=np.arange(count) % OUTPUTS)


def section(measured: Result) -> list[str]:
    text = (
        f"`incite-lab bench large`, {measured['cpu']}, {threads_text(measured['threads'])}, one run each with defaults. Random weights, "
        f"{measured['samples']:,} synthetic images of {SIZE} × {SIZE} pixels, {TEST} for the test, modules for {OUTPUTS} of 1,000 outputs. "
        "Seconds by stage; the peak is the whole program's, with the images."
    )
    stages = [stage for stage in measured["cases"][0]["timing"] if stage != "total"]
    rows = [
        [
            row["network"], f"{row['parameters'] / 1e6:.1f} M", f"{row['compression']:.2f}x", row["scoring"],
            *(f"{row['timing'][stage]:,.1f}" for stage in (*stages, "total")), f"{row['peak_mib']:,.0f} MiB",
        ]
        for row in measured["cases"]
    ]  # fmt: skip
    return [text, "", *markdown(["network", "parameters", "compression", "scores by", *stages, "in all", "peak memory"], rows, "lr")]
