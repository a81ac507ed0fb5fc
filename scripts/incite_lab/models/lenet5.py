"""LeNet-5, for images of 28 × 28."""

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional

from incite_lab.models.training import train_classifier

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
        x = functional.avg_pool2d(torch.tanh(self.conv1(x)), 2)
        x = functional.avg_pool2d(torch.tanh(self.conv2(x)), 2)
        x = torch.flatten(x, 1)
        x = torch.tanh(self.fc1(x))
        x = torch.tanh(self.fc2(x))
        return self.fc3(x)


def train(model: nn.Module, x: Tensor, y: Tensor, epochs: int) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    train_classifier(model, x, y, epochs, optimizer, {"max_lr": 4e-3, "pct_start": 0.1})
