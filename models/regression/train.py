#!/usr/bin/env python3
"""Trains small dense regressors on functions of one variable; writes SUBJECT/model.pt, train.npz and test.npz."""

import argparse
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor, nn

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

from export import save_scripted  # noqa: E402 (it lies in the folder above)

POINTS = 10_000
TRAIN_COUNT = 9_000
WIDTHS = MappingProxyType({"fc1": 64, "fc2": 64, "fc3": 64})

# Subject: the interval x is drawn from, and the functions, in the order of the outputs.
SUBJECTS = {
    "sin-cos-sqrt": ((0.0, 4 * np.pi), (np.sin, np.cos, np.sqrt)),
    "exp-log": ((0.1, 4.0), (np.exp, np.log)),
}


@dataclass(frozen=True)
class Recipe:
    epochs: int
    batch: int
    learning_rate: float
    cosine: bool  # the learning rate falls to 0 along a half cosine; otherwise it is constant


# paper: as the artifact of the paper trains its regressors. long: what these networks can reach.
RECIPES = {
    "paper": Recipe(epochs=100, batch=32, learning_rate=1e-3, cosine=False),
    "long": Recipe(epochs=200, batch=64, learning_rate=3e-3, cosine=True),
}


class Regressor(nn.Module):
    """x [N, 1] to [N, outputs]. `widths`: units of the layers before the last, by name."""

    def __init__(self, outputs: int, widths: Mapping[str, int] = WIDTHS) -> None:
        super().__init__()
        self.fc1 = nn.Linear(1, widths["fc1"])
        self.fc2 = nn.Linear(widths["fc1"], widths["fc2"])
        self.fc3 = nn.Linear(widths["fc2"], widths["fc3"])
        self.fc4 = nn.Linear(widths["fc3"], outputs)

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


def train(model: Regressor, x: Tensor, y: Tensor, recipe: Recipe) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, recipe.epochs) if recipe.cosine else None
    loss_of = nn.L1Loss()
    for epoch in range(recipe.epochs):
        total = 0.0
        for index in torch.randperm(len(x)).split(recipe.batch):
            optimizer.zero_grad()
            loss = loss_of(model(x[index]), y[index])
            loss.backward()
            optimizer.step()
            total += loss.item() * len(index)
        if schedule is not None:
            schedule.step()
        if (epoch + 1) % 25 == 0:
            print(f"epoch {epoch + 1:3}/{recipe.epochs}  MAE {total / len(x):.5f}", flush=True)


def make(subject: str, recipe: Recipe, seed: int, out: Path) -> None:
    torch.manual_seed(seed)
    x, y = draw(subject, np.random.default_rng(seed))  # in random order, so the first 9,000 are a random split
    x_train, y_train, x_test, y_test = x[:TRAIN_COUNT], y[:TRAIN_COUNT], x[TRAIN_COUNT:], y[TRAIN_COUNT:]

    model = Regressor(y.shape[1])
    start = time.monotonic()
    train(model, torch.from_numpy(x_train), torch.from_numpy(y_train), recipe)
    seconds = time.monotonic() - start

    scripted = save_scripted(model, out / "model.pt")
    np.savez_compressed(out / "train.npz", x=x_train, y=y_train)
    np.savez_compressed(out / "test.npz", x=x_test, y=y_test)

    with torch.no_grad():
        errors = (scripted(torch.from_numpy(x_test)) - torch.from_numpy(y_test)).abs().mean(0)
    names = [function.__name__ for function in SUBJECTS[subject][1]]
    each = ", ".join(f"{name} {error:.5f}" for name, error in zip(names, errors.tolist(), strict=True))
    print(f"{subject}: test MAE {errors.mean():.5f} ({each}); {recipe.epochs} epochs, {seconds:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subject", choices=[*SUBJECTS, "both"], default="both")
    parser.add_argument("--recipe", choices=[*RECIPES], default="paper")
    parser.add_argument("--epochs", type=int, help="default: as the recipe has it")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=HERE, help="folder for SUBJECT/ (default: beside this script)")
    args = parser.parse_args()

    recipe = RECIPES[args.recipe]
    if args.epochs is not None:
        recipe = replace(recipe, epochs=args.epochs)

    # One thread: the sums, and so the weights, are then the same on every run.
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for subject in SUBJECTS if args.subject == "both" else [args.subject]:
        make(subject, recipe, args.seed, args.out / subject)


if __name__ == "__main__":
    main()
