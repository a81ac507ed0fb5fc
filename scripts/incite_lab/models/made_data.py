"""Data sets that are made, not fetched: train.npz and test.npz, each with x and y. `incite-lab data digits` and others write them."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np

from incite_lab.models import data
from incite_lab.models.data import Arrays
from incite_lab.paths import BUILD

PARTS = ("train", "test")


@dataclass(frozen=True)
class Made:
    """A data set that is the same whenever it is made."""

    HELP: str
    module: str  # of incite_lab.models, which has `splits`
    name: str  # of its folder
    from_mnist: bool

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        self.add_source(parser)
        parser.add_argument("--out", type=Path, default=self.folder, metavar="FOLDER", help=f"default: build/data/{self.name}")

    def add_source(self, parser: argparse.ArgumentParser) -> None:
        if self.from_mnist:
            parser.add_argument("--mnist", type=Path, metavar="FILE.npz", help="x_train, y_train, x_test, y_test (default: MNIST is fetched)")

    def main(self, args: argparse.Namespace) -> None:
        for part, arrays in self.made(args).items():
            print(f"{args.out / part}.npz: x {arrays['x'].shape}, y {arrays['y'].shape}")
            write(args.out / f"{part}.npz", arrays)

    @property
    def folder(self) -> Path:
        return BUILD / "data" / self.name

    def made(self, args: argparse.Namespace) -> dict[str, Arrays]:
        splits: Callable[..., dict[str, Arrays]] = import_module(f"incite_lab.models.{self.module}").splits
        return splits(data.mnist(args.mnist)) if self.from_mnist else splits()

    def files(self, args: argparse.Namespace) -> dict[str, Path]:
        """train.npz and test.npz, made unless they are there."""
        files = {part: self.folder / f"{part}.npz" for part in PARTS}
        if not all(file.exists() for file in files.values()):
            for part, arrays in self.made(args).items():
                write(files[part], arrays)
        return files


def write(file: Path, arrays: Arrays) -> None:
    """A process that is stopped leaves no part of a file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f"unfinished-{file.name}")
    np.savez_compressed(unfinished, **arrays)
    unfinished.rename(file)


def read(file: Path) -> Arrays:
    with np.load(file) as archive:
        return {key: archive[key] for key in archive}


DIGITS = Made(
    "Makes images of one to three digits of MNIST, for `incite decompose --task multilabel`.\n\n"
    "30,000 training and 5,000 test images: x uint8 [N, 1, 48, 48], y uint8 [N, 10], 1 for each digit in the image.",
    "pasted_digits", "multilabel-mnist", from_mnist=True,
)  # fmt: skip
SHAPES = Made(
    "Makes images of shapes with a label for each pixel.\n\n"
    "4,000 training and 1,000 test images: x uint8 [N, 3, 64, 64], y uint8 [N, 64, 64], 0 for the background, else the shape.",
    "shapes", "shapes", from_mnist=False,
)  # fmt: skip
