#!/usr/bin/env python3
"""Compares mutants of factor 0 alone, the default, with the paper's 1.1, 0.9 and 0: what modules keep, and how good they are.

Needs the release build, and MNIST and Fashion-MNIST as .npz files with x_train, y_train, x_test, y_test:
scripts/bench/factors.py --mnist MNIST.npz --fmnist FMNIST.npz
Writes scripts/bench/factors.json and a section of docs/performance.md.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

import page
from decomposing import RELEASE, ROOT, decompose, images, jaccard

KEEPS = (0.6, 0.3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", type=Path, required=True)
    parser.add_argument("--fmnist", type=Path, required=True)
    parser.add_argument("--binary", type=Path, default=RELEASE)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()
    models = ROOT / "models"
    regression = [(name, models / "regression" / name) for name in ("exp-log", "sin-cos-sqrt")]
    cases: list[tuple[str, Path, list[str], list[str]]] = [
        ("LeNet-5, MNIST", models / "lenet5-mnist", images(args.mnist), ["--samples", "2000"]),
        ("ResNet-14, Fashion-MNIST", models / "resnet-fmnist", images(args.fmnist), ["--samples", "500", "--repair", "none"]),
        *((n, f, ["--data", str(f / "train.npz"), "--test", str(f / "test.npz")], ["--samples", "all"]) for n, f in regression),
    ]
    rows = []
    for name, folder, data, options in cases:
        for keep in KEEPS:
            run = {}
            for factors in ("1.1,0.9,0", "0"):
                given = [*options, "--keep", str(keep), "--factors", factors, "--threads", str(args.threads)]
                run[factors] = decompose(args.binary, folder / "model.pt", data, given).document
            paper, zero = run.values()
            of_classes = "combined_accuracy" in paper["evaluation"]
            rows.append(
                {
                    "network": name,
                    "keep": keep,
                    "samples": paper["data"]["scored_samples"],
                    "jaccard": jaccard(paper, zero),
                    "kind": "accuracy" if of_classes else "mae",
                    "result": [one["evaluation"]["combined_accuracy" if of_classes else "combined_mae"] for one in (paper, zero)],
                    "seconds": [one["timing"]["scoring"] for one in (paper, zero)],
                }
            )
            print(json.dumps(rows[-1]), flush=True)
    result = {"cpu": page.cpu_model(), "threads": args.threads, "cases": rows}
    (Path(__file__).parent / "factors.json").write_text(json.dumps(result, indent=2) + "\n")
    page.write_section("Factors", table(result))


def table(result: dict[str, Any]) -> list[str]:
    lines = [
        f"`scripts/bench/factors.py`, {result['cpu']}, {result['threads']} threads, one run each: mutants of factor 0 alone (the default) "
        "against the paper's three. Jaccard: of the channels that modules keep. Result: combined accuracy, or mean absolute error.",
        "",
        "| network | samples | keep | Jaccard | result, 1.1, 0.9 and 0 | 0 | scoring, 1.1, 0.9 and 0 | 0 |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in result["cases"]:
        shown = [f"{100 * x:.2f} %" if row["kind"] == "accuracy" else f"{x:.5f}" for x in row["result"]]
        lines.append(
            f"| {row['network']} | {row['samples']:,} | {row['keep']} | {row['jaccard']:.3f} | {shown[0]} | {shown[1]} "
            f"| {row['seconds'][0]:.1f} s | {row['seconds'][1]:.1f} s |"
        )
    return lines


if __name__ == "__main__":
    main()
