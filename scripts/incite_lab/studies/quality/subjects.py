"""The networks on which the quality of modules is measured, with their data."""

import argparse
import hashlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType

import numpy as np
from torch import nn

ROOT = Path(__file__).resolve().parents[1]
MODELS = ROOT / "models"
sys.path += [str(ROOT / "scripts" / "bench"), str(MODELS)]

from decomposing import images  # noqa: E402 (it lies in a folder below)

Make = Callable[[int, Mapping[str, int]], nn.Module]
ARCHIVES = ("mnist", "fmnist", "cmnist26")


def script(path: Path) -> ModuleType:
    """A file of models/ as a module, whatever its folder's name."""
    spec = importlib.util.spec_from_file_location("_".join(path.relative_to(MODELS).with_suffix("").parts), path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Kind:
    """What is known of a subject before its data is."""

    title: str
    folder: str  # below models/, holds model.pt
    archive: str | None  # one of ARCHIVES; None: train.npz and test.npz lie beside model.pt
    script: str  # below models/, has the network's class
    network: str
    options: tuple[str, ...] = ()  # of every run


KINDS = {
    "lenet5-mnist": Kind("LeNet-5, MNIST", "lenet5-mnist", "mnist", "lenet5.py", "LeNet5"),
    "lenet5-fmnist": Kind("LeNet-5, Fashion-MNIST", "lenet5-fmnist", "fmnist", "lenet5.py", "LeNet5"),
    "lenet5-cmnist26": Kind("LeNet-5, CMNIST-26", "lenet5-cmnist26", "cmnist26", "lenet5.py", "LeNet5"),
    "resnet-fmnist": Kind(
        "ResNet-14, Fashion-MNIST", "resnet-fmnist", "fmnist", "resnet-fmnist/train.py", "ResNet14", ("--samples", "1000")
    ),
    "sin-cos-sqrt": Kind("sin, cos, sqrt", "regression/sin-cos-sqrt", None, "regressor.py", "Regressor"),
}


@dataclass(frozen=True)
class Subject:
    name: str
    kind: Kind
    train: Path
    test: Path

    @property
    def title(self) -> str:
        return self.kind.title

    @property
    def regression(self) -> bool:
        return self.kind.archive is None

    @property
    def model(self) -> Path:
        return MODELS / self.kind.folder / "model.pt"

    @property
    def data(self) -> list[str]:
        """The options that name the data."""
        return ["--data", str(self.train), "--test", str(self.test)] if self.regression else images(self.train)

    @cached_property
    def made_from(self) -> str:
        """A hash of the model's and the data's content."""
        files = (self.model, self.train, self.test)
        return hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest()

    def network(self) -> Make:
        """Makes an untrained network of this architecture, for a number of outputs and the units of the layers before the last."""
        return getattr(script(MODELS / self.kind.script), self.kind.network)

    def arrays(self) -> dict[str, np.ndarray]:
        """x_train, y_train, x_test, y_test as the network takes them, images still uint8."""
        if self.regression:
            with np.load(self.train) as train, np.load(self.test) as test:
                return {"x_train": train["x"], "y_train": train["y"], "x_test": test["x"], "y_test": test["y"]}
        with np.load(self.train) as data:
            return {key: data[key][:, None] if key.startswith("x") else data[key] for key in ("x_train", "y_train", "x_test", "y_test")}


def add_arguments(parser: argparse.ArgumentParser, default: tuple[str, ...] = tuple(KINDS)) -> None:
    parser.add_argument("--subjects", nargs="+", choices=[*KINDS], default=[*default], metavar="NAME", help=f"of {', '.join(KINDS)}")
    for name in ARCHIVES:
        parser.add_argument(f"--{name}", type=Path, metavar="FILE.npz", help="x_train, y_train, x_test, y_test; images [N, 28, 28]")
    parser.add_argument("--fit", type=int, default=20_000, help="training samples to use, drawn with a seed; 0: all (default: %(default)s)")


def chosen(args: argparse.Namespace, cache: Path) -> list[Subject]:
    """The subjects that the command line names. Archives of fewer samples are written into `cache`."""
    made = []
    for name in args.subjects:
        kind = KINDS[name]
        folder = MODELS / kind.folder
        if kind.archive is None:
            made.append(Subject(name, kind, folder / "train.npz", folder / "test.npz"))
            continue
        source: Path | None = getattr(args, kind.archive)
        if source is None:
            raise SystemExit(f"{name}: no data: give --{kind.archive} FILE.npz, or leave {name} out of --subjects")
        file = drawn(source, args.fit, cache) if args.fit else source
        made.append(Subject(name, kind, file, file))
    return made


def drawn(source: Path, count: int, cache: Path) -> Path:
    """An archive with `count` of the training samples and all test samples."""
    file = cache / f"{source.stem}-{count}.npz"
    if file.exists() and file.stat().st_mtime > source.stat().st_mtime:
        return file
    with np.load(source) as data:
        rows = np.sort(np.random.default_rng(0).permutation(len(data["x_train"]))[:count])
        arrays = {key: data[key][rows] if key.endswith("train") else data[key] for key in data}
    cache.mkdir(parents=True, exist_ok=True)
    np.savez(file, **arrays)
    return file
