"""Compares `--samples auto` with `--samples all`: kept channels, samples, seconds, accuracy; several seeds.

Needs the release build, and MNIST and Fashion-MNIST as .npz files with x_train, y_train, x_test, y_test:
incite-lab bench sampling --mnist MNIST.npz --fmnist FMNIST.npz
"""

import argparse
from pathlib import Path
from statistics import mean
from typing import Any

from incite_lab.bench import result
from incite_lab.bench.overlap import jaccard
from incite_lab.bench.result import Result
from incite_lab.pages.sections import threads_text
from incite_lab.pages.tables import markdown
from incite_lab.paths import MODELS
from incite_lab.run.program import decompose, images

CASES = (
    ("LeNet-5, MNIST", "lenet5-mnist", "mnist", ("--clustering", "none")),
    ("ResNet-14, Fashion-MNIST", "resnet-fmnist", "fmnist", ()),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    result.add_images(parser, "mnist", "fmnist")
    result.add_arguments(parser)
    parser.add_argument("--seeds", type=int, default=2, help="number of seeds (default: %(default)s)")


def main(args: argparse.Namespace) -> None:
    rows = [compare(name, model, getattr(args, data), options, args) for name, model, data, options in CASES]
    result.publish("sampling", "Samples until the choice is known", args, {"cases": rows}, section)


def compare(name: str, model: str, data: Path, options: tuple[str, ...], args: argparse.Namespace) -> dict[str, Any]:
    pairs = []
    for seed in range(args.seeds):
        common = [*options, "--scoring", "mutation", "--seed", str(seed), "--threads", str(args.threads)]
        file = MODELS / model / "model.pt"
        pairs.append([decompose(args.binary, file, images(data), [*common, "--samples", samples]).document for samples in ("auto", "all")])
        result.show([name, seed, *(one["evaluation"]["combined_accuracy"] for one in pairs[-1])])
    scored = sorted(group["scored_samples"] for auto, _ in pairs for group in auto["groups"] if group["scored_samples"])
    return {
        "network": name,
        "most": pairs[0][1]["data"]["scored_samples"],
        "samples": [scored[0], scored[len(scored) // 2], scored[-1]],
        "jaccard": [jaccard(*pair) for pair in pairs],
        "seconds": [mean(pair[i]["timing"]["scoring"] for pair in pairs) for i in range(2)],
        "accuracy": [[pair[i]["evaluation"]["combined_accuracy"] for pair in pairs] for i in range(2)],
    }


def section(measured: Result) -> list[str]:
    seeds = len(measured["cases"][0]["jaccard"])
    over = "one seed" if seeds == 1 else f"means of {seeds} seeds"
    text = (
        f"`incite-lab bench sampling`, {measured['cpu']}, {threads_text(measured['threads'])}, {over}. Samples: minimum, median and "
        "maximum over the groups. Jaccard: the Jaccard index of the channels that modules keep, against those kept with all samples."
    )
    rows = [
        [
            row["network"], f"{row['most']:,}", " / ".join(f"{count:,}" for count in row["samples"]), f"{mean(row['jaccard']):.3f}",
            *(f"{seconds:.1f} s" for seconds in row["seconds"]), *(f"{100 * mean(each):.2f} %" for each in row["accuracy"]),
        ]
        for row in measured["cases"]
    ]  # fmt: skip
    header = ["network", "all", "samples, auto", "Jaccard", "scoring, auto", "all", "combined accuracy, auto", "all"]
    return [text, "", *markdown(header, rows, "lr")]
