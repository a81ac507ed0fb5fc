#!/usr/bin/env python3
"""Trains small dense regressors on functions of one variable; writes SUBJECT/model.pt, train.npz and test.npz."""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

from export import save_scripted  # noqa: E402 (it lies in the folder above)

POINTS = 10_000
TRAIN_COUNT = 9_000

# Subject: the interval x is drawn from, and the functions, in the order of the outputs.
SUBJECTS = {
    "sin-cos-sqrt": ((0.0, 4 * np.pi), (np.sin, np.cos, np.sqrt)),
    "exp-log": ((0.1, 4.0), (np.exp, np.log)),
}


class Regressor(nn.Module):
    """x [N, 1] to [N, outputs]."""

    def __init__(self, outputs: int, width: int = 64) -> None:
        super().__init__()
        self.fc1 = nn.Linear(1, width)
        self.fc2 = nn.Linear(width, width)
        self.fc3 = nn.Linear(width, width)
        self.fc4 = nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.fc1(x))
        x = torch.relu(self.fc2(x))
        x = torch.relu(self.fc3(x))
        return self.fc4(x)


def draw(subject: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """x [POINTS, 1], uniform over the interval, and y [POINTS, outputs], each output scaled to [0, 1]."""
    (low, high), functions = SUBJECTS[subject]
    x = rng.uniform(low, high, (POINTS, 1))
    y = np.concatenate([function(x) for function in functions], axis=1)
    y = (y - y.min(0)) / (y.max(0) - y.min(0))
    return x.astype(np.float32), y.astype(np.float32)


def train(model: Regressor, x: Tensor, y: Tensor, epochs: int, batch: int = 64) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    loss_of = nn.L1Loss()
    for epoch in range(epochs):
        total = 0.0
        for index in torch.randperm(len(x)).split(batch):
            optimizer.zero_grad()
            loss = loss_of(model(x[index]), y[index])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(index)
        schedule.step()
        if (epoch + 1) % 25 == 0:
            print(f"epoch {epoch + 1:3}/{epochs}  MAE {total / len(x):.5f}", flush=True)


def make(subject: str, epochs: int, seed: int, out: Path) -> None:
    torch.manual_seed(seed)
    x, y = draw(subject, np.random.default_rng(seed))  # in random order, so the first 9,000 are a random split
    x_train, y_train, x_test, y_test = x[:TRAIN_COUNT], y[:TRAIN_COUNT], x[TRAIN_COUNT:], y[TRAIN_COUNT:]

    model = Regressor(y.shape[1])
    start = time.monotonic()
    train(model, torch.from_numpy(x_train), torch.from_numpy(y_train), epochs)
    seconds = time.monotonic() - start

    scripted = save_scripted(model, out / "model.pt")
    np.savez_compressed(out / "train.npz", x=x_train, y=y_train)
    np.savez_compressed(out / "test.npz", x=x_test, y=y_test)

    with torch.no_grad():
        errors = (scripted(torch.from_numpy(x_test)) - torch.from_numpy(y_test)).abs().mean(0)
    names = [function.__name__ for function in SUBJECTS[subject][1]]
    each = ", ".join(f"{name} {error:.4f}" for name, error in zip(names, errors.tolist(), strict=True))
    print(f"{subject}: test MAE {errors.mean():.4f} ({each}); {epochs} epochs, {seconds:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subject", choices=[*SUBJECTS, "both"], default="both")
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=HERE, help="folder for SUBJECT/ (default: beside this script)")
    args = parser.parse_args()

    # One thread: the sums, and so the weights, are then the same on every run.
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for subject in SUBJECTS if args.subject == "both" else [args.subject]:
        make(subject, args.epochs, args.seed, args.out / subject)


if __name__ == "__main__":
    main()
