#!/usr/bin/env python3
"""Compares `--samples auto` with `--samples all`: what modules keep, samples, seconds, accuracy.

Needs the release build, and MNIST and Fashion-MNIST as .npz files with x_train, y_train, x_test, y_test:
scripts/bench/sampling.py --mnist MNIST.npz --fmnist FMNIST.npz
Writes scripts/bench/sampling.json and a section of docs/performance.md.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

import page
from decomposing import RELEASE, ROOT, decompose, images, jaccard

CASES = (
    ("LeNet-5, MNIST", "lenet5-mnist", "mnist", ("--clustering", "none")),
    ("ResNet-14, Fashion-MNIST", "resnet-fmnist", "fmnist", ("--repair", "none")),
)


def run(model: str, data: Path, options: tuple[str, ...], samples: str, args: argparse.Namespace) -> dict[str, Any]:
    given = [*options, "--samples", samples, "--threads", str(args.threads)]
    return decompose(args.binary, ROOT / "models" / model / "model.pt", images(data), given).document


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", type=Path, required=True)
    parser.add_argument("--fmnist", type=Path, required=True)
    parser.add_argument("--binary", type=Path, default=RELEASE)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()
    rows = []
    for name, model, data, options in CASES:
        auto = run(model, getattr(args, data), options, "auto", args)
        every = run(model, getattr(args, data), options, "all", args)
        scored = [group["scored_samples"] for group in auto["groups"] if group["scored_samples"]]
        rows.append(
            {
                "network": name,
                "most": every["data"]["scored_samples"],
                "samples": [min(scored), sorted(scored)[len(scored) // 2], max(scored)],
                "jaccard": jaccard(auto, every),
                "seconds": [run["timing"]["scoring"] for run in (auto, every)],
                "accuracy": [run["evaluation"]["combined_accuracy"] for run in (auto, every)],
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    result = {"cpu": page.cpu_model(), "threads": args.threads, "cases": rows}
    (Path(__file__).parent / "sampling.json").write_text(json.dumps(result, indent=2) + "\n")
    lines = [
        f"`scripts/bench/sampling.py`, {result['cpu']}, {args.threads} threads, one run each. Samples: least, median and most over the "
        "groups; Jaccard: of the channels that modules keep, against those kept by all samples.",
        "",
        "| network | all | samples, auto | Jaccard | scoring, auto | all | combined accuracy, auto | all |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        least, median, most = row["samples"]
        lines.append(
            f"| {row['network']} | {row['most']:,} | {least:,} / {median:,} / {most:,} | {row['jaccard']:.3f} | {row['seconds'][0]:.1f} s "
            f"| {row['seconds'][1]:.1f} s | {100 * row['accuracy'][0]:.2f} % | {100 * row['accuracy'][1]:.2f} % |"
        )
    page.write_section("Samples until the choice is known", lines)


if __name__ == "__main__":
    main()
