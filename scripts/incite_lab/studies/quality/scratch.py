"""A control without the original: networks of the modules' sizes, trained from scratch for a given time."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from incite_lab.models.training import as_input
from incite_lab.studies.quality.subjects import Subject

BATCH = 128
LEARNING_RATE = 2e-3  # at first; it falls in proportion to the time left


@dataclass(frozen=True)
class Trained:
    combined: float  # accuracy, or mean absolute error, on the test data
    parameters: list[int]  # by output
    steps: int  # of all networks together


def train_all(subject: Subject, widths: Sequence[Mapping[str, int]], seconds: float, seed: int, threads: int) -> Trained:
    """Trains a network for each output, of the given units by layer, each for its share of `seconds`."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    data = subject.arrays()
    make = subject.make()
    x, y = data["x_train"], torch.from_numpy(data["y_train"])
    x_test, y_test = as_input(data["x_test"]), torch.from_numpy(data["y_test"])
    outputs, parameters, steps = [], [], 0
    for output, units in enumerate(widths):
        model = make(1 if subject.regression else 2, units)
        share = seconds / len(widths)
        steps += regress(model, x, y[:, output], share) if subject.regression else separate(model, x, y == output, share)
        outputs.append(evaluated(model.eval(), x_test))
        parameters.append(sum(parameter.numel() for parameter in model.parameters()))
    together = torch.stack(outputs, 1)
    if subject.regression:
        combined = (together - y_test).abs().mean()
    else:
        combined = (together.argmax(1) == y_test).double().mean()
    return Trained(float(combined), parameters, steps)


@torch.no_grad()
def evaluated(model: nn.Module, x: Tensor) -> Tensor:
    """[N]: the value, or the log-odds of the class."""
    y = torch.cat([model(batch) for batch in x.split(500)])
    return y[:, 0] if y.shape[1] == 1 else y[:, 1] - y[:, 0]


def separate(model: nn.Module, x: np.ndarray, own: Tensor, seconds: float) -> int:
    """Trains on batches of which one half is of the class. Returns the steps."""
    sides = [(~own).nonzero()[:, 0], own.nonzero()[:, 0]]
    labels = torch.arange(2).repeat_interleave(BATCH // 2)

    def loss() -> Tensor:
        rows = torch.cat([side[torch.randint(len(side), (BATCH // 2,))] for side in sides])
        return F.cross_entropy(model(as_input(x[rows.numpy()])), labels)

    return descend(model, loss, seconds)


def regress(model: nn.Module, x: np.ndarray, y: Tensor, seconds: float) -> int:
    def loss() -> Tensor:
        rows = torch.randint(len(y), (BATCH,))
        return F.l1_loss(model(as_input(x[rows.numpy()]))[:, 0], y[rows])

    return descend(model, loss, seconds)


def descend(model: nn.Module, loss: Callable[[], Tensor], seconds: float) -> int:
    """Steps of Adam until the time is over. Returns their number."""
    optimizer = torch.optim.Adam(model.parameters(), LEARNING_RATE)
    model.train()
    began, steps = time.monotonic(), 0
    while (left := 1 - (time.monotonic() - began) / seconds) > 0:
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * left
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
        steps += 1
    return steps
