"""Shows how scoring spends its time: perf samples by kind of work, for LeNet-5 on MNIST.

Needs the release build, Linux's perf, and MNIST as one .npz with x_train and y_train: incite-lab bench profile --mnist MNIST.npz
"""

import argparse
import json
import re
import subprocess
import tempfile
from pathlib import Path

from incite_lab.bench import result
from incite_lab.bench.result import Result
from incite_lab.pages.sections import threads_text
from incite_lab.pages.tables import markdown
from incite_lab.paths import MODELS

# The first that matches a symbol, or its object file, gives the kind.
KINDS = (
    ("activations (tanh)", r"tanh"),
    ("average pooling", r"avg_pool"),
    ("softmax, with exponentials", r"softmax|sleef\w*exp"),
    ("convolutions and matrix products", r"gemm|gemv|conv|mkldnn|dnnl|jit|mkl|\[unknown\]|sgemm|inner_product|brgemm|perf-\d+\.map"),
    ("copies and layout", r"copy|memmove|memcpy|memset|index_select|index_kernel|cat_serial|expand|reorder"),
    ("element-wise (sums, differences)", r"add_kernel|sub_kernel|mul_kernel|abs|binary|loop_2d|vectorized|sum|reduce"),
    ("the operating system (memory, waiting)", r"\[k\]|\[kernel|\[guest"),
    ("synchronisation of threads", r"gomp|omp|kmp|futex|pthread"),
    ("memory management", r"malloc|free|alloc"),
)


def kind(entry: str) -> str:
    return next((name for name, pattern in KINDS if re.search(pattern, entry, re.IGNORECASE)), "other")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    result.add_images(parser, "mnist")
    result.add_arguments(parser)
    parser.add_argument("--symbols", action="store_true", help="print the symbols with the largest shares, and their kinds")


def main(args: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [
            args.binary, "decompose", MODELS / "lenet5-mnist" / "model.pt", "--data", args.mnist, "--input-key", "x_train",
            "--target-key", "y_train", "--input-shape", "1,28,28", "--scoring", "mutation", "--samples", "all", "--cluster-size", "1",
            "--factors", "1.1,0.9,0", "--outputs", "0", "--repair", "none", "--head", "original", "--threads", args.threads, "--out",
            folder / "out", "--json",
        ]  # fmt: skip
        record = ["perf", "record", "-q", "-F", "499", "-o", folder / "perf.data", "--"]
        done = subprocess.run([str(word) for word in [*record, *command]], stdout=subprocess.PIPE, check=True)
        document = json.loads(done.stdout)
        report = subprocess.run(
            ["perf", "report", "-i", folder / "perf.data", "--stdio", "--no-children", "-g", "none", "-F", "overhead,dso,symbol", "-t", "\t"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True,
        ).stdout  # fmt: skip
    shares: dict[str, float] = {}
    for line in report.splitlines():
        found = re.match(r"\s*([\d.]+)%\s*\t(.*)", line)
        if found is None:
            continue
        share, entry = float(found[1]), found[2]
        shares[kind(entry)] = shares.get(kind(entry), 0.0) + share
        if args.symbols and share >= 0.3:
            print(f"{share:6.2f} {kind(entry):40} {entry[:120]}")
    if not shares:
        raise SystemExit("perf report: no line with a share was found")
    timing = document["timing"]
    values = {
        "samples": document["data"]["samples"],
        "mutants": document["scoring"]["mutants"],
        "scoring_share": timing["scoring"] / timing["total"],
        "shares": dict(sorted(shares.items(), key=lambda item: -item[1])),
    }
    result.show(values)
    result.publish("scoring_profile", "Where the time of small networks goes", args, values, section)


def section(measured: Result) -> list[str]:
    text = (
        f"`incite-lab bench profile`, {measured['cpu']}, {threads_text(measured['threads'])}: how a decomposition of LeNet-5 with "
        f"{measured['samples']:,} images and {measured['mutants']:,} mutants spends its time; scoring is {100 * measured['scoring_share']:.0f} %. Its layers are so small that "
        "multiply-adds are the smaller part of the work."
    )
    return [text, "", *markdown(["work", "share"], [[name, f"{share:.0f} %"] for name, share in measured["shares"].items()], "lr")]
