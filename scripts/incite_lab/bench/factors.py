"""Compares mutants with factor 0 only (the default) and with the paper's factors 1.1, 0.9 and 0: kept channels, quality, seconds.

Needs the release build, and MNIST and Fashion-MNIST as .npz files with x_train, y_train, x_test, y_test:
incite-lab bench factors --mnist MNIST.npz --fmnist FMNIST.npz
"""

import argparse

from incite_lab.bench import result
from incite_lab.bench.overlap import jaccard
from incite_lab.bench.result import Result
from incite_lab.pages.sections import threads_text
from incite_lab.pages.tables import markdown
from incite_lab.paths import MODELS
from incite_lab.run.program import decompose, images

KEEPS = (0.6, 0.3)
FACTORS = ("1.1,0.9,0", "0")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    result.add_images(parser, "mnist", "fmnist")
    result.add_arguments(parser)


def main(args: argparse.Namespace) -> None:
    regression = [(name, MODELS / "regression" / name) for name in ("exp-log", "sin-cos-sqrt")]
    cases = [
        ("LeNet-5, MNIST", MODELS / "lenet5-mnist", images(args.mnist), ["--samples", "2000"]),
        ("ResNet-14, Fashion-MNIST", MODELS / "resnet-fmnist", images(args.fmnist), ["--samples", "500", "--repair", "none"]),
        *((n, f, ["--data", str(f / "train.npz"), "--test", str(f / "test.npz")], ["--samples", "all"]) for n, f in regression),
    ]
    rows = []
    for name, folder, data, options in cases:
        for keep in KEEPS:
            common = [*options, "--scoring", "mutation", "--keep", str(keep), "--threads", str(args.threads)]
            pair = [decompose(args.binary, folder / "model.pt", data, [*common, "--factors", factors]).document for factors in FACTORS]
            kind = "accuracy" if "combined_accuracy" in pair[0]["evaluation"] else "mae"
            rows.append(
                {
                    "network": name,
                    "keep": keep,
                    "samples": pair[0]["data"]["scored_samples"],
                    "jaccard": jaccard(*pair),
                    "kind": kind,
                    "result": [one["evaluation"][f"combined_{kind}"] for one in pair],
                    "seconds": [one["timing"]["scoring"] for one in pair],
                }
            )
            result.show(rows[-1])
    result.publish("factors", "Factors", args, {"cases": rows}, section)


def section(measured: Result) -> list[str]:
    text = (
        f"`incite-lab bench factors`, {measured['cpu']}, {threads_text(measured['threads'])}, one run each: mutants with factor 0 only "
        "(the default) and with the paper's three factors. Jaccard: the Jaccard index of the channels that modules keep. Result: combined "
        "accuracy, or mean absolute error."
    )
    rows = [
        [
            row["network"],
            f"{row['samples']:,}",
            str(row["keep"]),
            f"{row['jaccard']:.3f}",
            *(f"{100 * x:.2f} %" if row["kind"] == "accuracy" else f"{x:.5f}" for x in row["result"]),
            *(f"{seconds:.1f} s" for seconds in row["seconds"]),
        ]
        for row in measured["cases"]
    ]
    header = ["network", "samples", "keep", "Jaccard", "result, 1.1, 0.9 and 0", "0", "scoring, 1.1, 0.9 and 0", "0"]
    return [text, "", *markdown(header, rows, "lr")]
