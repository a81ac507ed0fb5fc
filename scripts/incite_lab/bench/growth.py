"""Measures how the time and peak memory of scoring, and of whole runs, grow with samples, units, depth and outputs.

Needs the release build: incite-lab bench growth
"""

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from incite_lab.bench import result
from incite_lab.bench.result import Result
from incite_lab.pages.sections import threads_text
from incite_lab.pages.tables import markdown
from incite_lab.run.program import decompose

MEMORY = "512MB"
SIDE = 14
# What grows, and the (samples, width, depth) of each point.
CASES = (
    ("samples", [(samples, 32, 2) for samples in (2048, 4096, 8192)]),
    ("units", [(1024, width, 2) for width in (64, 256, 1024)]),
    ("depth", [(512, 32, depth) for depth in (4, 8, 16)]),
)
# The same for whole runs with defaults, with the outputs.
WHOLE_CASES = (
    ("samples", [(samples, 32, 2, 10) for samples in (2048, 4096, 8192)]),
    ("units", [(1024, width, 2, 10) for width in (32, 128, 512)]),
    ("depth", [(1024, 32, depth, 10) for depth in (4, 8, 16)]),
    ("outputs", [(2048, 32, 4, outputs) for outputs in (10, 30, 90)]),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    result.add_arguments(parser, runs=3)


def main(args: argparse.Namespace) -> None:
    growth = []
    for what, points in CASES:
        rows = [measure(*point, args) for point in points]
        x = [row[what] for row in rows]
        a_mutant = [row["seconds"] / row["mutants"] for row in rows]
        growth.append({"what": what, "exponent": exponent(x, [row["seconds"] for row in rows]), "a_mutant": exponent(x, a_mutant), "rows": rows})
        result.show(growth[-1])
    whole = []
    for what, points in WHOLE_CASES:
        rows = [measure_whole(*point, args) for point in points]
        x = [row[what] for row in rows]
        exponents = {stage: exponent(x, [row[stage] for row in rows]) for stage in ("scoring", "modules", "total")}
        whole.append({"what": what, "exponents": exponents, "rows": rows})
        result.show(whole[-1])
    result.publish("growth", "Growth", args, {"memory": MEMORY, "runs": args.runs, "growth": growth, "whole": whole}, section)


def measure_whole(samples: int, width: int, depth: int, outputs: int, args: argparse.Namespace) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_network(width, depth, folder / "model.pt", outputs)
        x = np.random.default_rng(0).random((samples, 1, SIDE, SIDE), np.float32)
        np.savez(folder / "data.npz", x=x, y=np.arange(samples) % outputs)
        data = ["--data", str(folder / "data.npz"), "--test", str(folder / "data.npz")]
        options = ["--threads", str(args.threads)]
        runs = [decompose(args.binary, folder / "model.pt", data, options) for _ in range(args.runs)]
    seconds = {stage: statistics.median(run.document["timing"][stage] for run in runs) for stage in ("scoring", "modules", "total")}
    peak = statistics.median(run.peak_mib for run in runs)
    return {"samples": samples, "units": width + 32 * depth, "depth": depth, "outputs": outputs, **seconds, "peak_mib": peak}


def measure(samples: int, width: int, depth: int, args: argparse.Namespace) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_network(width, depth, folder / "model.pt")
        x = np.random.default_rng(0).random((samples, 1, SIDE, SIDE), np.float32)
        np.savez(folder / "data.npz", x=x, y=np.arange(samples) % 10)
        data = ["--data", str(folder / "data.npz"), "--test", str(folder / "data.npz")]
        options = [
            "--scoring", "mutation", "--samples", "all", "--clustering", "none", "--outputs", "0", "--repair", "none", "--head", "original",
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


def save_network(width: int, depth: int, file: Path, outputs: int = 10) -> None:
    """A first layer of `width` units, and `depth` of 32."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Conv2d(1, width, 3, padding=1), nn.ReLU()]
    for before in [width] + [32] * (depth - 1):
        layers += [nn.Conv2d(before, 32, 3, padding=1), nn.ReLU()]
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, outputs)).eval()
    torch.jit.script(network).save(str(file))


def exponent(x: list[float], y: list[float]) -> float:
    """Of the power law y ~ x^e, by least squares on logarithms."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def section(measured: Result) -> list[str]:
    text = (
        f"`incite-lab bench growth`, {measured['cpu']}, {threads_text(measured['threads'])}, `--memory {measured['memory']}`, medians of "
        f"{measured['runs']} runs. Convolutions of 3 × 3 on images of {SIDE} × {SIDE}; each unit is a cluster. There is a first layer, then "
        "`depth` layers of 32 units; the column units counts all of them. Exponent: the e in seconds ~ x^e, where x is the quantity that "
        "grows. A deeper network has more mutants, and each runs through more layers: the total time grows with the square of the depth, the "
        "time per mutant with the depth. Mutants of later layers run through fewer layers, so more units in the first layer raise the mean. "
        "The peak is the whole program's, LibTorch and the data included; a chunk of samples and a batch of mutants stay within `--memory`. "
        "More layers keep more outputs until this limit is reached."
    )
    rows = []
    for growth in measured["growth"]:
        first = [growth["what"], f"{growth['exponent']:.2f}", f"{growth['a_mutant']:.2f}"]
        for row in growth["rows"]:
            counts = (f"{row['samples']:,}", f"{row['units']:,}", str(row["depth"]), f"{row['mutants']:,}")
            rows.append([first[0], *counts, f"{row['seconds']:.2f}", *first[1:], f"{row['peak_mib']:,.0f} MiB"])
            first = [""] * 3
    header = ["grows", "samples", "units", "depth", "mutants", "seconds", "exponent", "exponent per mutant", "peak memory"]
    return [text, "", *markdown(header, rows, "lr"), "", *whole_section(measured["whole"])]


def whole_section(whole: list[dict[str, Any]]) -> list[str]:
    text = "Whole runs with defaults on such networks. Exponents are those of scoring, of making modules, and of the whole run."
    rows = []
    for growth in whole:
        exponents = growth["exponents"]
        first = [growth["what"], ", ".join(f"{exponents[stage]:.2f}" for stage in ("scoring", "modules", "total"))]
        for row in growth["rows"]:
            counts = (f"{row['samples']:,}", f"{row['units']:,}", str(row["depth"]), str(row["outputs"]))
            seconds = (f"{row[stage]:.1f}" for stage in ("scoring", "modules", "total"))
            rows.append([first[0], *counts, *seconds, first[1], f"{row['peak_mib']:,.0f} MiB"])
            first = [""] * 2
    header = ["grows", "samples", "units", "depth", "outputs", "scoring", "modules", "in all", "exponents", "peak memory"]
    return [text, "", *markdown(header, rows, "lr")]
