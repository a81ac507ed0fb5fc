"""Measures time and peak memory of `incite decompose` on MobileNetV2 with 10, 100 and 1,000 outputs: the cost of an output.

Needs the release build and torchvision: incite-lab bench outputs
"""

import argparse
import multiprocessing
import shutil
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from incite_lab.bench import result
from incite_lab.bench.result import Result
from incite_lab.pages.sections import threads_text
from incite_lab.pages.tables import markdown
from incite_lab.run.program import decompose_command, run

SIZE = 64
TEST = 100
OPTIONS = ["--samples", "64", "--target-compression", "10"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--outputs", nargs="+", type=int, default=[10, 100, 1000], metavar="COUNT")
    parser.add_argument("--samples", type=int, default=1000, help="synthetic images; each output needs one (default: %(default)s)")
    usual = " ".join(OPTIONS)
    parser.add_argument("--options", nargs=argparse.REMAINDER, default=OPTIONS, help=f"of incite decompose; must come last (default: {usual})")
    result.add_arguments(parser)
    parser.add_argument("--folder", type=Path, help="folder for modules, a GiB or more for 1,000 outputs (default: that of temporary files)")


def main(args: argparse.Namespace) -> None:
    rows = []
    for outputs in args.outputs:
        rows.append(measure(outputs, args))
        result.show(rows[-1])
    values = {"samples": args.samples, "options": " ".join(args.options), "cases": rows}
    result.publish("outputs", "Outputs", args, values, section)


def measure(outputs: int, args: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        # In its own process, since incite's peak can't be told from a higher one of this process.
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as other:
            other.submit(prepare, outputs, args.samples, folder).result()
        data = ["--data", str(folder / "data.npz"), "--test", str(folder / "test.npz")]
        options = [*args.options, "--threads", str(args.threads)]
        done = run(decompose_command(args.binary, folder / "model.pt", data, options, folder / "out"))
        written = sum(file.stat().st_size for file in (folder / "out").iterdir())
        shutil.rmtree(folder / "out")
    document = done.document
    return {
        "outputs": outputs,
        "parameters": document["model"]["parameters"],
        "compression": document["evaluation"]["mean_compression"],
        "timing": document["timing"],
        "peak_mib": done.peak_mib,
        "written_mib": written / 2**20,
    }


def prepare(outputs: int, samples: int, folder: Path) -> None:
    """Writes model.pt, data.npz and test.npz; the classes take turns."""
    import torch
    from torchvision.models import mobilenet_v2

    from incite_lab.models.torchvision_models import SAMPLES, calibrate, check_signal, normal

    torch.manual_seed(0)
    model = mobilenet_v2(weights=None, num_classes=outputs).eval()
    calibrate(model, SIZE)
    check_signal(model, normal(SAMPLES, SIZE, seed=3))
    torch.jit.script(model).save(str(folder / "model.pt"))
    for seed, (name, count) in enumerate((("data", samples), ("test", TEST))):
        x = normal(count, SIZE, seed=10 + seed).numpy()
        np.savez(folder / f"{name}.npz", x=x, y=np.arange(count) % outputs)


def section(measured: Result) -> list[str]:
    stages = [stage for stage in measured["cases"][0]["timing"] if stage != "total"]
    text = (
        f"`incite-lab bench outputs`, {measured['cpu']}, {threads_text(measured['threads'])}, one run each, `{measured['options']}`. MobileNetV2 with "
        f"random weights, {measured['samples']:,} synthetic images of {SIZE} × {SIZE} pixels, {TEST} for the test. Seconds by stage; the "
        "peak is the whole program's."
    )
    rows = [
        [
            f"{row['outputs']:,}", f"{row['parameters']:,}", f"{row['compression']:.2f}x",
            *(f"{row['timing'][stage]:,.1f}" for stage in (*stages, "total")),
            f"{row['peak_mib']:,.0f} MiB", f"{row['written_mib']:,.0f} MiB",
        ]
        for row in measured["cases"]
    ]  # fmt: skip
    return [text, "", *markdown(["outputs", "parameters", "compression", *stages, "in all", "peak memory", "written"], rows, "lr")]
