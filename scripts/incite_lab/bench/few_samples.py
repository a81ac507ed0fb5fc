"""Measures what few samples are worth: a class of 2 to 40 samples, and the samples that the model is least certain about.

Needs the release build, and MNIST as an .npz file with x_train, y_train, x_test, y_test: incite-lab bench few-samples --mnist MNIST.npz
"""

import argparse
import tempfile
from pathlib import Path
from statistics import mean

from incite_lab.bench import result
from incite_lab.bench.result import Result
from incite_lab.pages.tables import markdown
from incite_lab.paths import MODELS
from incite_lab.run.program import decompose

MODEL = MODELS / "lenet5-mnist/model.pt"
CLASS = 3
COUNTS = (2, 10, 20, 40)
OTHERS = 8000  # samples of other classes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    result.add_images(parser, "mnist")
    result.add_arguments(parser, threads=1)
    parser.add_argument("--draws", type=int, default=3, help="draws of the samples (default: %(default)s)")


def main(args: argparse.Namespace) -> None:
    rows = [{"samples": count, "recall": recalls(count, args)} for count in COUNTS]
    values = {"cases": rows, "draws": args.draws, "share": share_of_samples(args.mnist)}
    result.publish("few_samples", "Few samples", args, values, section)


def recalls(count: int, args: argparse.Namespace) -> list[float]:
    """Of the class's module on the test images, with so many samples of the class to fit on."""
    import numpy as np

    found = []
    for draw in range(args.draws):
        with np.load(args.mnist) as images, tempfile.TemporaryDirectory() as folder:
            rng = np.random.default_rng(draw)
            labels = images["y_train"]
            own = rng.permutation(np.flatnonzero(labels == CLASS))[:count]
            others = rng.permutation(np.flatnonzero(labels != CLASS))[:OTHERS]
            rows = np.concatenate([own, others])
            few = Path(folder) / "few.npz"
            test = Path(folder) / "test.npz"
            np.savez(few, x=images["x_train"][rows][:, None], y=labels[rows])
            np.savez(test, x=images["x_test"][:, None], y=images["y_test"])
            options = ["--outputs", str(CLASS), "--threads", str(args.threads), "--seed", str(draw)]
            (module,) = decompose(args.binary, MODEL, ["--data", str(few), "--test", str(test)], options).document["modules"]
        found.append(module["recall"])
        result.show([count, draw, module["recall"]])
    return found


def share_of_samples(mnist: Path) -> float:
    """The share of the training images, the least certain ones, that hold half of the sum of the outputs' variances."""
    import numpy as np
    import torch

    with np.load(mnist) as images:
        x = torch.from_numpy(images["x_train"][:, None]).float() / 255
    with torch.inference_mode():
        probabilities = torch.cat([torch.jit.load(str(MODEL))(part).softmax(1) for part in x.split(1000)])
    variances = (probabilities * (1 - probabilities)).sum(1).double().sort(descending=True).values.cumsum(0)
    return int((variances < variances[-1] / 2).sum() + 1) / len(x)


def section(measured: Result) -> list[str]:
    rows = [[str(row["samples"]), f"{mean(row['recall']):.2f}"] for row in measured["cases"]]
    text = (
        f"`incite-lab bench few-samples`, LeNet-5 on MNIST. The table shows the recall on the 10,000 test images of the module for the "
        f"{CLASS}, fitted to so many samples of the {CLASS} and {OTHERS:,} of other classes (means of {measured['draws']} draws). The "
        f"{100 * measured['share']:.2g} % of the training images about which the model is least certain hold half of the sum of the outputs' "
        "variances p (1 - p)."
    )
    return [text, "", *markdown([f"samples of the {CLASS}", "recall"], rows, "rr")]
