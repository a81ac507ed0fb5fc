#!/usr/bin/env python3
"""Measures how scoring's time and peak memory grow with the samples, the units of a layer, and the depth of a network.

Needs the release build: scripts/bench/growth.py
Writes scripts/bench/growth.json and a section of docs/performance.md.
"""

import argparse
import json
import os
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import page
import torch
from decomposing import RELEASE, decompose
from torch import nn

MEMORY = "512MB"
SIDE = 14


def network(width: int, depth: int) -> nn.Module:
    """A first layer of `width` units, and `depth` of 32."""
    layers: list[nn.Module] = [nn.Conv2d(1, width, 3, padding=1), nn.ReLU()]
    for before in [width] + [32] * (depth - 1):
        layers += [nn.Conv2d(before, 32, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)).eval()


# What grows, and the (samples, width, depth) of each point.
CASES = (
    ("samples", [(samples, 32, 2) for samples in (2048, 4096, 8192)]),
    ("units", [(1024, width, 2) for width in (64, 256, 1024)]),
    ("depth", [(512, 32, depth) for depth in (4, 8, 16)]),
)


def measure(samples: int, width: int, depth: int, args: argparse.Namespace) -> dict[str, float]:
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        torch.jit.script(network(width, depth)).save(str(folder / "model.pt"))
        x = np.random.default_rng(0).random((samples, 1, SIDE, SIDE), np.float32)
        np.savez(folder / "data.npz", x=x, y=np.arange(samples) % 10)
        data = ["--data", str(folder / "data.npz"), "--test", str(folder / "data.npz")]
        options = [
            "--samples", "all", "--clustering", "none", "--outputs", "0", "--repair", "none", "--head", "original",
            "--memory", MEMORY, "--threads", str(args.threads),
        ]  # fmt: skip
        runs = [decompose(args.binary, folder / "model.pt", data, options) for _ in range(args.runs)]
    return {
        "samples": samples,
        "units": width + 32 * depth,
        "depth": depth,
        "mutants": runs[0].document["scoring"]["mutants"],
        "seconds": statistics.median(run.document["timing"]["scoring"] for run in runs),
        "peak_mib": statistics.median(run.peak_mib for run in runs),
        "multiply_adds": runs[0].document["scoring"]["multiply_adds"],
    }


def exponent(x: list[float], y: list[float]) -> float:
    """Of the power law y ~ x^e, by least squares on logarithms."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=RELEASE)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--runs", type=int, default=3, help="runs of each point; medians are written")
    args = parser.parse_args()
    growth = []
    for what, points in CASES:
        rows = [measure(*point, args) for point in points]
        x = [row[what] for row in rows]
        a_mutant = [row["seconds"] / row["mutants"] for row in rows]
        growth.append({"what": what, "exponent": exponent(x, [row["seconds"] for row in rows]), "a_mutant": exponent(x, a_mutant), "rows": rows})
        print(json.dumps(growth[-1]), flush=True)
    result = {"cpu": page.cpu_model(), "threads": args.threads, "memory": MEMORY, "runs": args.runs, "growth": growth}
    (Path(__file__).parent / "growth.json").write_text(json.dumps(result, indent=2) + "\n")
    page.write_section("Growth", table(result))


def table(result: dict[str, Any]) -> list[str]:
    lines = [
        f"`scripts/bench/growth.py`, {result['cpu']}, {result['threads']} threads, `--memory {result['memory']}`, medians of "
        f"{result['runs']} runs. Convolutions of 3 × 3 on images of {SIDE} × {SIDE}, each unit a cluster; units are those of the first "
        "layer and of `depth` layers of 32 after it. Exponent: e of seconds ~ x^e, for what grows. A deeper network has more mutants, "
        "each of which runs through more layers: its time grows with the square of the depth, a mutant's with the depth. Later layers' mutants "
        "run through less, so that more units in the first layer raise the mean. The peak is the whole program's, LibTorch and the data "
        "included: what a chunk of samples and a batch of mutants take, within `--memory`. More layers keep more outputs until it is reached.",
        "",
        "| grows | samples | units | depth | mutants | seconds | exponent | of a mutant | peak memory |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for growth in result["growth"]:
        for i, row in enumerate(growth["rows"]):
            exponents = f"{growth['exponent']:.2f} | {growth['a_mutant']:.2f}" if i == 0 else " | "
            lines.append(
                f"| {growth['what'] if i == 0 else ''} | {row['samples']:,} | {row['units']:,} | {row['depth']} | {row['mutants']:,} "
                f"| {row['seconds']:.2f} | {exponents} | {row['peak_mib']:,.0f} MiB |"
            )
    return lines


if __name__ == "__main__":
    main()
