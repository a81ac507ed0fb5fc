"""The networks on which the quality of modules is measured, with their data."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from incite_lab.models import made_data, placed_digits
from incite_lab.models.data import from_npz
from incite_lab.paths import BUILD, MODELS
from incite_lab.run.program import IMAGE_OPTIONS

if TYPE_CHECKING:
    from torch import nn

    Make = Callable[[int, Mapping[str, int]], nn.Module]

ARCHIVES = ("mnist", "fmnist", "cmnist26")
DRAWN = BUILD / "quality" / "data"  # archives of fewer samples


@dataclass(frozen=True)
class Subject:
    """`network`: module of incite_lab.models, and the class in it."""

    name: str
    title: str
    folder: Path  # has model.pt
    network: tuple[str, str]
    options: tuple[str, ...]  # of every run
    train: Path
    test: Path
    regression: bool
    channels: bool

    @property
    def model(self) -> Path:
        return self.folder / "model.pt"

    def make(self) -> Make:
        """Makes an untrained network of this architecture, for a number of outputs and the units of the layers before the last."""
        module, name = self.network
        return getattr(import_module(f"incite_lab.models.{module}"), name)

    @property
    def data_options(self) -> tuple[str, ...]:
        """How incite is to read the data."""
        return () if self.regression else IMAGE_OPTIONS[: None if self.channels else -2]  # without --input-shape

    def arrays(self) -> dict[str, np.ndarray]:
        """x_train, y_train, x_test, y_test as the network takes them, images still uint8."""
        if self.regression:
            with np.load(self.train) as train, np.load(self.test) as test:
                return {"x_train": train["x"], "y_train": train["y"], "x_test": test["x"], "y_test": test["y"]}
        with np.load(self.train) as data:
            return {key: data[key][:, None] if key.startswith("x") and self.channels else data[key] for key in ("x_train", "y_train", "x_test", "y_test")}


@dataclass(frozen=True)
class Kind:
    """What is known of a subject before its data is."""

    title: str
    folder: str  # below models/
    archive: str | None  # one of ARCHIVES; None: train.npz and test.npz are beside model.pt
    network: tuple[str, str]
    options: tuple[str, ...] = ()
    channels: bool = True  # images are [N, 1, 28, 28], else [N, 28, 28]
    placed: bool = False  # the images are small digits at places, made from those of the archive


KINDS = {
    "lenet5-mnist": Kind("LeNet-5, MNIST", "lenet5-mnist", "mnist", ("lenet5", "LeNet5")),
    "lenet5-fmnist": Kind("LeNet-5, Fashion-MNIST", "lenet5-fmnist", "fmnist", ("lenet5", "LeNet5")),
    "lenet5-cmnist26": Kind("LeNet-5, CMNIST-26", "lenet5-cmnist26", "cmnist26", ("lenet5", "LeNet5")),
    "resnet-fmnist": Kind("ResNet-14, Fashion-MNIST", "resnet-fmnist", "fmnist", ("resnet14", "ResNet14"), ("--samples", "1000")),
    "lstm-mnist": Kind("LSTM, MNIST", "lstm-mnist", "mnist", ("lstm", "LSTMClassifier"), channels=False),
    "resnet26-fmnist": Kind("ResNet-26, Fashion-MNIST", "resnet26-fmnist", "fmnist", ("resnet26", "ResNet26")),
    "transformer-fmnist": Kind("Transformer, Fashion-MNIST", "transformer-fmnist", "fmnist", ("transformer", "Transformer")),
    "lenet5-places": Kind("LeNet-5, digits at 36 places", "lenet5-places", "mnist", ("lenet5", "LeNet5"), placed=True),
    "sin-cos-sqrt": Kind("sin, cos, sqrt", "regression/sin-cos-sqrt", None, ("regressor", "Regressor")),
}


# Those with layers whose widths a network can be made from.
WITH_WIDTHS = ("lenet5-mnist", "lenet5-fmnist", "lenet5-cmnist26", "resnet-fmnist", "sin-cos-sqrt")


def add_arguments(parser: argparse.ArgumentParser, default: tuple[str, ...] = WITH_WIDTHS) -> None:
    add_subjects(parser, tuple(KINDS), default)
    add_archives(parser)
    parser.add_argument("--fit", type=int, default=20_000, help="training samples to use, drawn at random; 0: all (default: %(default)s)")


def add_subjects(parser: argparse.ArgumentParser, names: tuple[str, ...], default: tuple[str, ...]) -> None:
    parser.add_argument("--subjects", nargs="+", choices=names, default=[*default], metavar="NAME", help=f"some of {', '.join(names)}")


def add_archives(parser: argparse.ArgumentParser) -> None:
    for name in ARCHIVES:
        parser.add_argument(f"--{name}", type=Path, metavar="FILE.npz", help="x_train, y_train, x_test, y_test; images [N, 28, 28]")


def chosen(args: argparse.Namespace) -> list[Subject]:
    """The subjects that the command line names."""
    return [subject(name, args, args.fit) for name in args.subjects]


def subject(name: str, args: argparse.Namespace, fit: int) -> Subject:
    """`fit`: training samples of an archive to use; 0: all."""
    kind = KINDS[name]
    folder = MODELS / kind.folder
    if kind.archive is None:
        train, test = folder / "train.npz", folder / "test.npz"
    elif (source := getattr(args, kind.archive)) is not None:
        images = at_places(source) if kind.placed else source
        train = test = drawn(images, fit) if fit else images
    else:
        raise SystemExit(f"{name}: no data: give --{kind.archive} FILE.npz, or leave {name} out of --subjects")
    return Subject(name, kind.title, folder, kind.network, kind.options, train, test, kind.archive is None, kind.channels)


def at_places(source: Path) -> Path:
    """An archive of small digits at places, made from one of MNIST."""
    file = DRAWN / f"{source.stem}-places.npz"
    if not (file.exists() and file.stat().st_mtime > source.stat().st_mtime):
        made_data.write(file, placed_digits.splits(from_npz(source)))
    return file


def drawn(source: Path, count: int) -> Path:
    """An archive with `count` of the training samples and all test samples."""
    file = DRAWN / f"{source.stem}-{count}.npz"
    if file.exists() and file.stat().st_mtime > source.stat().st_mtime:
        return file
    with np.load(source) as data:
        rows = np.sort(np.random.default_rng(0).permutation(len(data["x_train"]))[:count])
        arrays = {key: data[key][rows] if key.endswith("train") else data[key] for key in data}
    DRAWN.mkdir(parents=True, exist_ok=True)
    np.savez(file, **arrays)
    return file
