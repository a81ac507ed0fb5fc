"""Measures decompositions with one and with two threads, on the machine as it is and beside processes that keep cores busy: seconds by stage.

Runs take turns, so that what else the machine does meets all alike. With --against, another build of the program takes part.
Needs the release build, torchvision, and MNIST and Fashion-MNIST as .npz files with x_train, y_train, x_test, y_test:
incite-lab bench threads --mnist MNIST.npz --fmnist FMNIST.npz
"""

import argparse
import multiprocessing
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from incite_lab.bench import result
from incite_lab.bench.result import Result
from incite_lab.pages.tables import markdown
from incite_lab.paths import MODELS
from incite_lab.run.program import decompose, images

SIZE = 224
STAGES = ("scoring", "modules", "total")


@dataclass(frozen=True)
class Case:
    name: str
    model: Path
    data: list[str]
    options: list[str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    result.add_images(parser, "mnist", "fmnist")
    result.add_arguments(parser, threads=2, runs=5)
    parser.add_argument("--against", type=Path, metavar="PROGRAM", help="another build of the program, to compare with; writes nothing")
    parser.add_argument("--beside", nargs="+", type=int, default=[0, 1], metavar="COUNT", help="busy processes (default: 0 1)")
    parser.add_argument("--only", default="", help="networks whose name contains this; writes nothing")


def main(args: argparse.Namespace) -> None:
    programs = {"now": args.binary, **({"against": args.against} if args.against else {})}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = []
        for case in cases(args, folder):
            if args.only.lower() not in case.name.lower():
                continue
            for beside in args.beside:
                with busy(beside):
                    row = {"network": case.name, "beside": beside, "seconds": measure(case, programs, args)}
                rows.append(row)
                result.show(row)
    print("\n".join(table(rows)))
    if not args.only and not args.against:
        result.publish("threads", "Threads", args, {"runs": args.runs, "cases": rows}, section)


def cases(args: argparse.Namespace, folder: Path) -> Iterator[Case]:
    """Each takes some ten seconds on one thread."""
    mnist = some_images(args.mnist, folder / "mnist.npz", 20_000)
    yield Case("LeNet-5, MNIST", MODELS / "lenet5-mnist" / "model.pt", images(mnist), [])
    fmnist = some_images(args.fmnist, folder / "fmnist.npz", 1000)
    yield Case("ResNet-14, Fashion-MNIST", MODELS / "resnet-fmnist" / "model.pt", images(fmnist), ["--samples", "500"])
    # In its own process, so that its threads are gone.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as other:
        other.submit(write_resnet26, folder).result()
    yield Case("ResNet-26, 224 × 224", folder / "model.pt", ["--data", str(folder / "data.npz")], ["--cluster-size", "32", "--outputs", "0-3"])


def some_images(archive: Path, file: Path, count: int) -> Path:
    """Writes `count` images for training and 2,000 for the test, drawn at random."""
    random = np.random.default_rng(0)
    arrays = {}
    with np.load(archive) as data:
        for part, most in (("train", count), ("test", 2000)):
            rows = random.permutation(len(data[f"y_{part}"]))[:most]
            arrays |= {f"{name}_{part}": data[f"{name}_{part}"][rows] for name in "xy"}
    np.savez(file, **arrays)
    return file


def write_resnet26(folder: Path) -> None:
    """ResNet-50's blocks, two in each stage, with random weights, and six samples."""
    import torch
    from torchvision.models.resnet import Bottleneck, ResNet

    from incite_lab.models.torchvision_models import SAMPLES, calibrate, check_signal, normal

    torch.manual_seed(0)
    model = ResNet(Bottleneck, [2, 2, 2, 2], num_classes=10).eval()
    with torch.no_grad():
        calibrate(model, SIZE)
    check_signal(model, normal(SAMPLES, SIZE, seed=3))
    torch.jit.script(model).save(str(folder / "model.pt"))
    np.savez(folder / "data.npz", x=normal(SAMPLES, SIZE, seed=10).numpy(), y=np.arange(SAMPLES))


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that each keep a core busy."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def measure(case: Case, programs: dict[str, Path], args: argparse.Namespace) -> list[dict[str, Any]]:
    """For each program and number of threads: the median seconds of each stage."""
    variants = [(name, threads) for name in programs for threads in (1, args.threads)]
    runs: dict[tuple[str, int], list[dict[str, float]]] = {variant: [] for variant in variants}
    for _ in range(args.runs):
        for name, threads in variants:
            done = decompose(programs[name], case.model, case.data, [*case.options, "--threads", str(threads)])
            runs[name, threads].append(done.document["timing"])
    return [
        {"program": name, "threads": threads, **{stage: median(run[stage] for run in runs[name, threads]) for stage in STAGES}}
        for name, threads in variants
    ]


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """A line for each program and number of threads. Times: how many times as long as this program takes with one."""
    lines = []
    for row in rows:
        one = row["seconds"][0]
        for i, seconds in enumerate(row["seconds"]):
            lines.append(
                [
                    row["network"] if i == 0 else "", str(row["beside"]) if i == 0 else "", seconds["program"], str(seconds["threads"]),
                    *(f"{seconds[stage]:.1f} s" for stage in STAGES), *(f"{seconds[stage] / one[stage]:.2f}" for stage in STAGES),
                ]
            )  # fmt: skip
    return markdown(["network", "busy beside", "program", "threads", *STAGES, *(f"{stage}, times" for stage in STAGES)], lines, "lrlr")


def section(measured: Result) -> list[str]:
    text = (
        f"`incite-lab bench threads`, {measured['cpu']}, medians of {measured['runs']} runs that took turns. Busy beside: other processes "
        "that keep a core busy each. Times: how many times as long as with one thread, beside the same. LeNet-5: 20,000 images. ResNet-14: "
        "1,000, of which 500 are scored. ResNet-26: random weights, six samples, modules for four outputs."
    )
    return [text, "", *table(measured["cases"])]
