"""Measures how much faster incite scores than the naive way, and how close it is to the least time of the arithmetic.

The naive way is that of the paper's artifact, in PyTorch: for each mutant, change the weights, run the whole model on all samples, and
restore the weights. Both work on the same samples and mutants, with the same threads, and their scores are compared. The least time is
that of the multiply-adds that incite counts, at the machine's rate for large matrix products.

Needs the release build; LeNet-5 also MNIST as one .npz: incite-lab bench speedup --mnist MNIST.npz
With --device cuda it writes speedup_cuda.json and a section of its own.
"""

import argparse

from incite_lab.bench import result
from incite_lab.bench.result import Result
from incite_lab.pages.sections import threads_text
from incite_lab.pages.tables import markdown
from incite_lab.run.program import executable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    result.add_images(parser, "mnist")
    result.add_arguments(parser)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="device of both ways")
    parser.add_argument("--runs", type=int, default=3, choices=(1, 2, 3), help="runs of incite; the median counts")
    parser.add_argument("--only", default="", help="networks whose name contains this; writes nothing")


def main(args: argparse.Namespace) -> None:
    import torch

    from incite_lab.bench.naive import CASES, measure

    args.binary = executable(args.binary)
    torch.set_num_threads(args.threads)
    torch.backends.cudnn.allow_tf32 = False  # as incite; PyTorch's products of matrices are float32 anyway
    rows = []
    for case in CASES:
        if args.only.lower() in case.name.lower():
            rows.append(measure(case, args))
            result.show(rows[-1])
    if args.only:
        return
    values = {"runs": args.runs, "cases": rows}
    if args.device == "cuda":
        values["gpu"] = torch.cuda.get_device_name()
        result.publish("speedup_cuda", "On a GPU, against the naive way there", args, values, section)
    else:
        result.publish("speedup", "Against the naive way, and the least time", args, values, section)


def section(measured: Result) -> list[str]:
    machine = f"{measured['cpu']}, {threads_text(measured['threads'])}"
    if "gpu" in measured:
        machine = f"`--device cuda`, {measured['gpu']}, float32 without TF32"
    text = (
        f"`incite-lab bench speedup`, {machine}, medians of {measured['runs']} runs. For each mutant, the naive way changes the weights, runs the "
        "whole PyTorch model on all samples, and restores the weights; it is timed on some mutants and extrapolated. Mutants are the paper's: "
        "factors 1.1, 0.9 and 0, clusters of ten units (LeNet-5: one unit). Least: their counted multiply-adds at the rate of a large matrix "
        "product; convolutions can be faster than that, since they skip the zeros that pad small images. Difference: between the scores of "
        "both, relative to the largest. AlexNet and VGGNet-16 are the paper's; they and ResNet-18 have random weights and inputs."
    )
    rows = [
        [
            row["network"], f"{row['samples']:,}", f"{row['mutants']:,}", f"{row['naive_seconds']:,.0f} s", f"{row['seconds']:,.1f} s",
            f"{row['speedup']:.1f}×", f"{row['least_seconds']:,.1f} s", f"{row['over_least']:.2f}×", f"{row['difference']:.1e}",
        ]
        for row in measured["cases"]
    ]  # fmt: skip
    header = ["network", "samples", "mutants", "naive", "incite", "speedup", "least", "over least", "difference"]
    return [text, "", *markdown(header, rows, "lr")]
