"""Decomposes the paper's VGGNet-16 with the defaults: time of each stage, peak memory, samples used, accuracy.

Needs the release build, the folder that incite-lab train vggnet16 wrote, and the result of incite-lab bench speedup, which gives the time
of the paper's way: incite-lab bench vggnet16 FOLDER
"""

import argparse
from pathlib import Path

from incite_lab.bench import result
from incite_lab.bench.result import Result
from incite_lab.pages.sections import threads_text
from incite_lab.run.program import decompose

PAPER_SAMPLES = 60_000  # the paper's way runs each mutant on all training samples


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path)
    result.add_arguments(parser)


def main(args: argparse.Namespace) -> None:
    naive = next(case for case in result.load("speedup")["cases"] if case["network"] == "VGGNet-16")
    data = ["--data", str(args.folder / "val.npz"), "--test", str(args.folder / "test.npz")]
    run = decompose(args.binary, args.folder / "model.pt", data, ["--threads", str(args.threads)])
    document = run.document
    scored = sorted(group["scored_samples"] for group in document["groups"] if group["clusters"])
    values = {
        "samples": document["data"]["fit_samples"],
        "scored": [scored[0], scored[len(scored) // 2], scored[-1]],
        "mutants": document["scoring"]["mutants"],
        "timing": document["timing"],
        "peak_mib": run.peak_mib,
        "accuracy": [document["evaluation"]["original_accuracy"], document["evaluation"]["combined_accuracy"]],
        "compression": document["evaluation"]["mean_compression"],
        "paper_days": naive["naive_seconds"] / naive["samples"] * PAPER_SAMPLES / 86_400,
    }
    result.publish("vggnet16", "VGGNet-16 from end to end", args, values, section)


def section(measured: Result) -> list[str]:
    timing, (least, median, most) = measured["timing"], measured["scored"]
    stages = ", ".join(f"{stage} {seconds / 60:.1f}" for stage, seconds in timing.items() if stage != "total")
    return [
        f"`incite-lab bench vggnet16`, {measured['cpu']}, {threads_text(measured['threads'])}, one run with defaults on the model that "
        f"`incite-lab train vggnet16` trains on 4,000 images: {measured['mutants']:,} mutants, {measured['samples']:,} samples; groups "
        f"used {least:,} to {most:,} (median {median:,}); {timing['total'] / 60:.1f} minutes ({stages}); "
        f"peak memory {measured['peak_mib']:,.0f} MiB. Original {100 * measured['accuracy'][0]:.2f} %, modules together "
        f"{100 * measured['accuracy'][1]:.2f} %, mean compression {measured['compression']:.2f}×.",
        "",
        f"Scoring in the paper's way (clusters of ten, three factors, all of {PAPER_SAMPLES:,} samples, a full pass for each mutant) "
        f"would take this machine {measured['paper_days']:.0f} days, extrapolated from the naive time in the table above.",
    ]
