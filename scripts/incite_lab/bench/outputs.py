#!/usr/bin/env python3
"""Measures time and peak memory of `incite decompose` on MobileNetV2 with 10, 100 and 1,000 outputs: what an output costs.

Needs the release build and torchvision: scripts/bench/outputs.py
Writes scripts/bench/outputs.json and a section of docs/performance.md.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import page
import torch
from decomposing import RELEASE, ROOT, command, run

sys.path.append(str(ROOT / "scripts"))

import zoo_models  # noqa: E402 (it lies in the folder above)

SIZE = 64
TEST = 100
OPTIONS = ["--samples", "64", "--target-compression", "10"]


def prepare(outputs: int, samples: int, folder: Path) -> None:
    """Writes model.pt, data.npz and test.npz; the classes take turns."""
    torch.manual_seed(0)
    model = zoo_models.torchvision.models.mobilenet_v2(weights=None, num_classes=outputs).eval()
    zoo_models.calibrate(model, SIZE)
    with torch.no_grad():
        zoo_models.check_signal(model, zoo_models.normal(zoo_models.SAMPLES, SIZE, seed=3))
    torch.jit.script(model).save(str(folder / "model.pt"))
    for seed, (name, count) in enumerate((("data", samples), ("test", TEST))):
        x = zoo_models.normal(count, SIZE, seed=10 + seed).numpy()
        np.savez(folder / f"{name}.npz", x=x, y=np.arange(count) % outputs)


def measure(outputs: int, args: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        # In a process of its own, since incite's peak can't be told from one of this process that is higher.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as other:
            other.submit(prepare, outputs, args.samples, folder).result()
        data = ["--data", str(folder / "data.npz"), "--test", str(folder / "test.npz")]
        made = run(command(args.binary, folder / "model.pt", data, [*args.options, "--threads", str(args.threads)], folder / "out"))
        written = sum(file.stat().st_size for file in (folder / "out").iterdir())
        shutil.rmtree(folder / "out")
    document = made.document
    return {
        "outputs": outputs,
        "parameters": document["model"]["parameters"],
        "compression": document["evaluation"]["mean_compression"],
        "timing": document["timing"],
        "peak_mib": made.peak_mib,
        "written_mib": written / 2**20,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--outputs", nargs="+", type=int, default=[10, 100, 1000], metavar="COUNT")
    parser.add_argument("--samples", type=int, default=1000, help="images made; each output must have one (default: %(default)s)")
    parser.add_argument("--options", nargs=argparse.REMAINDER, default=OPTIONS, help=f"of incite decompose; the last (default: {' '.join(OPTIONS)})")
    parser.add_argument("--binary", type=Path, default=RELEASE)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--folder", type=Path, help="where modules are written, a GiB or more for 1,000 outputs (default: that of temporary files)")
    args = parser.parse_args()
    rows = []
    for outputs in args.outputs:
        rows.append(measure(outputs, args))
        print(json.dumps(rows[-1]), flush=True)
    result = {
        "cpu": page.cpu_model(), "threads": args.threads, "samples": args.samples, "options": " ".join(args.options), "cases": rows,
    }  # fmt: skip
    (Path(__file__).parent / "outputs.json").write_text(json.dumps(result, indent=2) + "\n")
    page.write_section("Outputs", table(result))


def table(result: dict[str, Any]) -> list[str]:
    stages = [stage for stage in result["cases"][0]["timing"] if stage != "total"]
    lines = [
        f"`scripts/bench/outputs.py`, {result['cpu']}, {result['threads']} threads, one run each, `{result['options']}`. MobileNetV2 with "
        f"random weights, {result['samples']:,} made images of {SIZE} × {SIZE} pixels, {TEST} to test on. Seconds by stage; the peak is "
        "the whole program's.",
        "",
        f"| outputs | parameters | compression | {' | '.join(stages)} | in all | peak memory | written |",
        "|---|--:|--:|" + "--:|" * (len(stages) + 3),
    ]
    for row in result["cases"]:
        seconds = " | ".join(f"{row['timing'][stage]:,.1f}" for stage in (*stages, "total"))
        lines.append(
            f"| {row['outputs']:,} | {row['parameters']:,} | {row['compression']:.2f}x | {seconds} | {row['peak_mib']:,.0f} MiB "
            f"| {row['written_mib']:,.0f} MiB |"
        )
    return lines


if __name__ == "__main__":
    main()
