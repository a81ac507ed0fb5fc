#!/usr/bin/env python3
"""Takes the paper's VGGNet-16 apart with incite's defaults: time of each stage, peak memory, samples used, accuracy.

Needs the release build, the folder that models/vggnet16.py has written, and scripts/bench/speedup.json for the time that the paper's
way would take: scripts/bench/vggnet16.py FOLDER
Writes scripts/bench/vggnet16.json and a section of docs/performance.md.
"""

import argparse
import json
import os
from pathlib import Path

import page
from decomposing import RELEASE, decompose

PAPER_SAMPLES = 60_000  # the paper's way runs each mutant on all training samples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--binary", type=Path, default=RELEASE)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()
    here = Path(__file__).parent
    naive = next(case for case in json.loads((here / "speedup.json").read_text())["cases"] if case["network"] == "VGGNet-16")
    data = ["--data", str(args.folder / "val.npz"), "--test", str(args.folder / "test.npz")]
    run = decompose(args.binary, args.folder / "model.pt", data, ["--threads", str(args.threads)])
    document = run.document
    scored = sorted(group["scored_samples"] for group in document["groups"] if group["clusters"])
    row = {
        "samples": document["data"]["fit_samples"],
        "scored": [scored[0], scored[len(scored) // 2], scored[-1]],
        "mutants": document["scoring"]["mutants"],
        "timing": document["timing"],
        "peak_mib": run.peak_mib,
        "accuracy": [document["evaluation"]["original_accuracy"], document["evaluation"]["combined_accuracy"]],
        "compression": document["evaluation"]["mean_compression"],
        "paper_days": naive["naive_seconds"] / naive["samples"] * PAPER_SAMPLES / 86_400,
    }
    result = {"cpu": page.cpu_model(), "threads": args.threads, **row}
    (here / "vggnet16.json").write_text(json.dumps(result, indent=2) + "\n")
    timing = row["timing"]
    stages = ", ".join(f"{stage} {seconds / 60:.1f}" for stage, seconds in timing.items() if stage != "total")
    page.write_section(
        "VGGNet-16 from end to end",
        [
            f"`scripts/bench/vggnet16.py`, {result['cpu']}, {args.threads} threads, one run with defaults on the model that "
            f"`models/vggnet16.py` trains on 4,000 images: {row['mutants']:,} mutants, {row['samples']:,} samples of which groups used "
            f"{row['scored'][0]:,} to {row['scored'][2]:,} (median {row['scored'][1]:,}), {timing['total'] / 60:.1f} minutes ({stages}), "
            f"peak memory {row['peak_mib']:,.0f} MiB. Original {100 * row['accuracy'][0]:.2f} %, modules together "
            f"{100 * row['accuracy'][1]:.2f} %, mean compression {row['compression']:.2f}×.",
            "",
            f"Scoring in the paper's way (clusters of ten, three factors, all of {PAPER_SAMPLES:,} samples, a whole pass for each mutant) "
            f"would take this machine {row['paper_days']:.0f} days, by the naive time of the table above.",
        ],
    )


if __name__ == "__main__":
    main()
