"""A narrow ResNet of 26 layers, for images of 28 × 28."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from incite_lab.models.resnet14 import BasicBlock, train

__all__ = ["ResNet26", "train"]

CHANNELS = (8, 16, 32)
BLOCKS = 4  # in each stage


class ResNet26(nn.Module):
    """Images [N, 1, 28, 28] in [0, 1] to logits [N, outputs]. The stages work on 14x14, 7x7 and 4x4 positions."""

    def __init__(self, outputs: int = 10) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, CHANNELS[0], 3, stride=2, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(CHANNELS[0])
        self.stage1 = stage(CHANNELS[0], CHANNELS[0], stride=1)
        self.stage2 = stage(CHANNELS[0], CHANNELS[1], stride=2)
        self.stage3 = stage(CHANNELS[1], CHANNELS[2], stride=2)
        self.fc = nn.Linear(CHANNELS[2], outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn(self.conv(x)))
        x = self.stage3(self.stage2(self.stage1(x)))
        x = torch.flatten(functional.adaptive_avg_pool2d(x, 1), 1)
        return self.fc(x)


def stage(channels_in: int, channels: int, stride: int) -> nn.Sequential:
    later = (BasicBlock(channels, channels, channels, 1) for _ in range(BLOCKS - 1))
    return nn.Sequential(BasicBlock(channels_in, channels, channels, stride), *later)
