#!/usr/bin/env python3
"""Trains LeNet-5 on any images of 28 × 28 and writes model.pt into a folder.

Images come from --data FILE.npz: x_train, y_train, x_test, y_test; uint8 [N, 28, 28], labels 0, 1, … For the one on MNIST, whose
validation and test data are stored beside it, there is lenet5-mnist/train.py.
"""

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from classifier import run
from data import from_npz

EPOCHS = 15
WIDTHS = MappingProxyType({"conv1": 6, "conv2": 16, "fc1": 120, "fc2": 84})


class LeNet5(nn.Module):
    """Images [N, 1, 28, 28] in [0, 1] to logits [N, outputs]. `widths`: units of the layers before the last, by name."""

    def __init__(self, outputs: int = 10, widths: Mapping[str, int] = WIDTHS) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, widths["conv1"], 5)
        self.conv2 = nn.Conv2d(widths["conv1"], widths["conv2"], 5)
        self.fc1 = nn.Linear(widths["conv2"] * 4 * 4, widths["fc1"])
        self.fc2 = nn.Linear(widths["fc1"], widths["fc2"])
        self.fc3 = nn.Linear(widths["fc2"], outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = F.avg_pool2d(torch.tanh(self.conv1(x)), 2)
        x = F.avg_pool2d(torch.tanh(self.conv2(x)), 2)
        x = torch.flatten(x, 1)
        x = torch.tanh(self.fc1(x))
        x = torch.tanh(self.fc2(x))
        return self.fc3(x)


def shifted(x: Tensor, by: int = 1) -> Tensor:
    """The batch, moved as one by up to `by` pixels each way."""
    down, right = (int(v) for v in torch.randint(-by, by + 1, (2,)))
    padded = F.pad(x, (by, by, by, by))
    return padded[:, :, by + down : by + down + 28, by + right : by + right + 28]


def train(model: nn.Module, x: Tensor, y: Tensor, epochs: int, batch: int = 128) -> None:
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


if __name__ == "__main__":
    run(__doc__, None, EPOCHS, from_npz, LeNet5, train, channels=True)
