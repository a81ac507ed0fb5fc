#!/usr/bin/env python3
"""Compares `--samples auto` with `--samples all`: what modules keep, samples, seconds, accuracy; several seeds.

Needs the release build, and MNIST and Fashion-MNIST as .npz files with x_train, y_train, x_test, y_test:
scripts/bench/sampling.py --mnist MNIST.npz --fmnist FMNIST.npz
Writes scripts/bench/sampling.json and a section of docs/performance.md.
"""

import argparse
import json
import os
import statistics
from pathlib import Path
from typing import Any

import page
from decomposing import RELEASE, ROOT, decompose, images, jaccard

CASES = (
    ("LeNet-5, MNIST", "lenet5-mnist", "mnist", ("--clustering", "none")),
    ("ResNet-14, Fashion-MNIST", "resnet-fmnist", "fmnist", ()),
)


def run(model: str, data: Path, options: tuple[str, ...], samples: str, seed: int, args: argparse.Namespace) -> dict[str, Any]:
    given = [*options, "--samples", samples, "--seed", str(seed), "--threads", str(args.threads)]
    return decompose(args.binary, ROOT / "models" / model / "model.pt", images(data), given).document


def compare(name: str, model: str, data: Path, options: tuple[str, ...], args: argparse.Namespace) -> dict[str, Any]:
    pairs = []
    for seed in range(args.seeds):
        pairs.append([run(model, data, options, samples, seed, args) for samples in ("auto", "all")])
        print(name, seed, [one["evaluation"]["combined_accuracy"] for one in pairs[-1]], flush=True)
    scored = sorted(group["scored_samples"] for auto, _ in pairs for group in auto["groups"] if group["scored_samples"])
    return {
        "network": name,
        "most": pairs[0][1]["data"]["scored_samples"],
        "samples": [scored[0], scored[len(scored) // 2], scored[-1]],
        "jaccard": [jaccard(*pair) for pair in pairs],
        "seconds": [statistics.mean(pair[i]["timing"]["scoring"] for pair in pairs) for i in range(2)],
        "accuracy": [[pair[i]["evaluation"]["combined_accuracy"] for pair in pairs] for i in range(2)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", type=Path, required=True)
    parser.add_argument("--fmnist", type=Path, required=True)
    parser.add_argument("--binary", type=Path, default=RELEASE)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--seeds", type=int, default=2)
    args = parser.parse_args()
    rows = [compare(name, model, getattr(args, data), options, args) for name, model, data, options in CASES]
    result = {"cpu": page.cpu_model(), "threads": args.threads, "cases": rows}
    (Path(__file__).parent / "sampling.json").write_text(json.dumps(result, indent=2) + "\n")
    over = "one seed" if args.seeds == 1 else f"means of {args.seeds} seeds"
    lines = [
        f"`scripts/bench/sampling.py`, {result['cpu']}, {args.threads} threads, {over}. Samples: least, median and most "
        "over the groups; Jaccard: of the channels that modules keep, against those kept by all samples.",
        "",
        "| network | all | samples, auto | Jaccard | scoring, auto | all | combined accuracy, auto | all |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        least, median, most = row["samples"]
        lines.append(
            f"| {row['network']} | {row['most']:,} | {least:,} / {median:,} / {most:,} | {statistics.mean(row['jaccard']):.3f} | {row['seconds'][0]:.1f} s "
            f"| {row['seconds'][1]:.1f} s | {100 * statistics.mean(row['accuracy'][0]):.2f} % "
            f"| {100 * statistics.mean(row['accuracy'][1]):.2f} % |"
        )
    page.write_section("Samples until the choice is known", lines)


if __name__ == "__main__":
    main()
