#!/usr/bin/env python3
"""Measures time and peak memory of scoring LeNet-5 on MNIST; writes scripts/bench/scoring.json and docs/performance.md.

Memory must not grow with the number of samples times mutants: the runs differ in both by a factor of four.
Needs the release build and MNIST as one .npz with x_train and y_train: scripts/bench/scoring.py MNIST.npz
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import page

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "build" / "release" / "incite"
MODEL = ROOT / "models" / "lenet5-mnist" / "model.pt"
CASES = [(samples, size) for size in (4, 1) for samples in (15_000, 60_000)]  # samples, cluster size


def run(data: Path, samples: int, cluster_size: int, memory: str) -> dict[str, float]:
    """One decomposition for one output: scoring is the same for all of them."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            str(PROGRAM), "decompose", str(MODEL), "--data", str(data), "--input-key", "x_train", "--target-key", "y_train",
            "--input-shape", "1,28,28", "--held-out", "0.0001", "--samples", str(samples), "--cluster-size", str(cluster_size),
            "--outputs", "0", "--repair", "none", "--head", "original", "--memory", memory, "--json",
            "--out", folder + "/modules",
        ]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        document = json.loads(process.stdout.read())
        _, status, usage = os.wait4(process.pid, 0)
        if status != 0:
            sys.exit(f"incite ended with status {status}")
    clusters = sum(group["clusters"] for group in document["groups"])
    return {
        "scored": document["data"]["scored_samples"],
        "mutants": clusters * len(document["settings"]["factors"]),
        "seconds": document["timing"]["scoring"],
        "peak_mib": usage.ru_maxrss / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--runs", type=int, default=3, help="runs of each case; medians are written")
    parser.add_argument("--memory", default="512MB", help="incite's --memory")
    args = parser.parse_args()
    rows = []
    for samples, cluster_size in CASES:
        runs = [run(args.data, samples, cluster_size, args.memory) for _ in range(args.runs)]
        row = {key: statistics.median(each[key] for each in runs) for key in runs[0]}
        row["rate"] = row["scored"] * row["mutants"] / row["seconds"]
        rows.append(row)
        print(row, flush=True)
    result = {"cpu": page.cpu_model(), "cores": os.cpu_count(), "memory_budget": args.memory, "runs": args.runs, "cases": rows}
    (Path(__file__).parent / "scoring.json").write_text(json.dumps(result, indent=2) + "\n")
    lines = [
        f"Scoring LeNet-5 on MNIST with {args.memory} for activations, {result['cpu']}, {result['cores']} cores; "
        f"{'one run each' if args.runs == 1 else f'medians of {args.runs} runs'} of `scripts/bench/scoring.py MNIST.npz`. The peak is the whole program's, LibTorch and the data "
        "(47 MB as stored) included.",
        "",
        "| samples | mutants | mutant-samples | seconds | mutant-samples/s | peak memory |",
        "|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        total = row["scored"] * row["mutants"]
        lines.append(
            f"| {row['scored']:,.0f} | {row['mutants']:.0f} | {total / 1e6:.1f} M | {row['seconds']:.1f} | {row['rate'] / 1e3:.0f} k "
            f"| {row['peak_mib']:.0f} MiB |"
        )
    lines += [
        "",
        "The peak follows the clusters and the batches planned within the budget, not the samples: four times the samples "
        "take as much memory.",
    ]
    page.write_section("Memory", lines)


if __name__ == "__main__":
    main()
