"""Dense regressors of three hidden layers, as the paper has them, and the functions of one variable that they learn."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor, nn

from incite_lab.models.export import save_scripted
from incite_lab.models.recipes import DenseRecipe

POINTS = 10_000
TRAIN_COUNT = 9_000
WIDTHS = MappingProxyType({"fc1": 64, "fc2": 64, "fc3": 64})

# By subject: the interval that x is drawn from, and the functions, in the order of the outputs.
FUNCTIONS = {
    "sin-cos-sqrt": ((0.0, 4 * np.pi), (np.sin, np.cos, np.sqrt)),
    "exp-log": ((0.1, 4.0), (np.exp, np.log)),
}


class Regressor(nn.Module):
    """x [N, inputs] to [N, outputs]. `widths`: units of the layers before the last, by name."""

    def __init__(self, outputs: int, widths: Mapping[str, int] = WIDTHS, inputs: int = 1) -> None:
        super().__init__()
        self.fc1 = nn.Linear(inputs, widths["fc1"])
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
    (low, high), functions = FUNCTIONS[subject]
    x = rng.uniform(low, high, (POINTS, 1))
    y = np.concatenate([function(x) for function in functions], axis=1)
    y = (y - y.min(0)) / (y.max(0) - y.min(0))
    return x.astype(np.float32), y.astype(np.float32)


def train(model: Regressor, x: Tensor, y: Tensor, recipe: DenseRecipe) -> None:
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


@dataclass(frozen=True)
class Fitted:
    seconds: float  # of training
    errors: list[float]  # mean absolute errors on the test points, by output


def fit(model: Regressor, points: Mapping[str, np.ndarray], recipe: DenseRecipe, out: Path) -> Fitted:
    """Trains on x_train and y_train; writes model.pt, train.npz and test.npz."""
    start = time.monotonic()
    train(model, torch.from_numpy(points["x_train"]), torch.from_numpy(points["y_train"]), recipe)
    seconds = time.monotonic() - start
    scripted = save_scripted(model, out / "model.pt")
    for part in ("train", "test"):
        np.savez_compressed(out / f"{part}.npz", x=points[f"x_{part}"], y=points[f"y_{part}"])
    with torch.no_grad():
        errors = (scripted(torch.from_numpy(points["x_test"])) - torch.from_numpy(points["y_test"])).abs().mean(0)
    return Fitted(seconds, errors.tolist())


def fit_to_functions(subject: str, recipe: DenseRecipe, seed: int, out: Path) -> Fitted:
    torch.manual_seed(seed)
    x, y = draw(subject, np.random.default_rng(seed))  # in random order, so the first 9,000 are a random split
    points = {"x_train": x[:TRAIN_COUNT], "y_train": y[:TRAIN_COUNT], "x_test": x[TRAIN_COUNT:], "y_test": y[TRAIN_COUNT:]}
    return fit(Regressor(y.shape[1]), points, recipe, out)
