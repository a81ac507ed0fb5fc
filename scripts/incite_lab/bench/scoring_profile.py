#!/usr/bin/env python3
"""Says on what scoring spends its time: samples of perf, by the kind of work, for LeNet-5 on MNIST.

Needs the release build, Linux's perf, and MNIST as one .npz with x_train and y_train: scripts/bench/scoring_profile.py --mnist MNIST.npz
Writes scripts/bench/scoring_profile.json and a section of docs/performance.md.
"""

import argparse
import json
import os
import re
import subprocess
import tempfile
from pathlib import Path

import page
from decomposing import RELEASE, ROOT

# The first that matches a symbol, or the object that it lies in, is its kind.
KINDS = (
    ("activations (tanh)", r"tanh"),
    ("average pooling", r"avg_pool"),
    ("softmax, with its exponentials", r"softmax|sleef\w*exp"),
    ("convolutions and products", r"gemm|gemv|conv|mkldnn|dnnl|jit|mkl|\[unknown\]|sgemm|inner_product|brgemm|perf-\d+\.map"),
    ("copies and layout", r"copy|memmove|memcpy|memset|index_select|index_kernel|cat_serial|expand|reorder"),
    ("element by element (sums, differences)", r"add_kernel|sub_kernel|mul_kernel|abs|binary|loop_2d|vectorized|sum|reduce"),
    ("the kernel (memory, waiting)", r"\[k\]|\[kernel|\[guest"),
    ("threads' meeting", r"gomp|omp|kmp|futex|pthread"),
    ("memory management", r"malloc|free|alloc"),
)


def kind(entry: str) -> str:
    return next((name for name, pattern in KINDS if re.search(pattern, entry, re.IGNORECASE)), "other")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", type=Path, required=True)
    parser.add_argument("--binary", type=Path, default=RELEASE)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--symbols", action="store_true", help="print the symbols that weigh most, with their kinds")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [
            args.binary, "decompose", ROOT / "models" / "lenet5-mnist" / "model.pt", "--data", args.mnist, "--input-key", "x_train",
            "--target-key", "y_train", "--input-shape", "1,28,28", "--samples", "all", "--cluster-size", "1", "--factors", "1.1,0.9,0",
            "--outputs", "0", "--repair", "none", "--head", "original", "--threads", args.threads, "--out", folder / "out", "--json",
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
    result = {
        "cpu": page.cpu_model(),
        "threads": args.threads,
        "mutants": document["scoring"]["mutants"],
        "scoring_share": timing["scoring"] / timing["total"],
        "shares": dict(sorted(shares.items(), key=lambda item: -item[1])),
    }
    (Path(__file__).parent / "scoring_profile.json").write_text(json.dumps(result, indent=2) + "\n")
    threads = f"{args.threads} thread{'' if args.threads == 1 else 's'}"
    lines = [
        f"`scripts/bench/scoring_profile.py`, {result['cpu']}, {threads}: where LeNet-5 on {document['data']['samples']:,} images and "
        f"{result['mutants']:,} mutants spends its time, of which scoring is {100 * result['scoring_share']:.0f} %. Its layers are so small that "
        "the multiply-adds are the lesser part of the work.",
        "",
        "| work | share |",
        "|---|--:|",
        *(f"| {name} | {share:.0f} % |" for name, share in result["shares"].items()),
    ]
    page.write_section("Where the time of small networks goes", lines)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
