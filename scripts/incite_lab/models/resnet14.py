"""A small ResNet, for images of 28 × 28."""

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional

from incite_lab.models.training import shifted, train_classifier

# Units of the layers before the last; a stage's blocks add up, so that its output has one width, that of its last layer.
WIDTHS = MappingProxyType(
    {"conv": 16}
    | {f"stage{stage}.{block}.conv{layer}": 8 << stage for stage in (1, 2, 3) for block in (0, 1) for layer in (1, 2)}
)


class BasicBlock(nn.Module):
    """[N, channels_in, H, W] to [N, channels_out, H / stride, W / stride], with `inner` channels between its two layers."""

    def __init__(self, channels_in: int, inner: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, inner, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, channels_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.shortcut = nn.Sequential()
        if stride != 1:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return torch.relu(y + self.shortcut(x))


class ResNet14(nn.Module):
    """Images [N, 1, 28, 28] in [0, 1] to logits [N, outputs]. The stages work on 14x14, 7x7 and 4x4 positions."""

    def __init__(self, outputs: int = 10, widths: Mapping[str, int] = WIDTHS) -> None:
        super().__init__()
        # The stem's stride makes the network four times cheaper, to train and to decompose.
        self.conv = nn.Conv2d(1, widths["conv"], 3, stride=2, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(widths["conv"])

        def stage(name: str, channels_in: int, stride: int) -> nn.Sequential:
            channels = widths[f"{name}.1.conv2"]
            return nn.Sequential(
                BasicBlock(channels_in, widths[f"{name}.0.conv1"], channels, stride),
                BasicBlock(channels, widths[f"{name}.1.conv1"], channels, 1),
            )

        self.stage1 = stage("stage1", widths["conv"], 1)
        self.stage2 = stage("stage2", widths["stage1.1.conv2"], 2)
        self.stage3 = stage("stage3", widths["stage2.1.conv2"], 2)
        self.fc = nn.Linear(widths["stage3.1.conv2"], outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn(self.conv(x)))
        x = self.stage3(self.stage2(self.stage1(x)))
        x = torch.flatten(functional.adaptive_avg_pool2d(x, 1), 1)
        return self.fc(x)


def augmented(x: Tensor) -> Tensor:
    """The batch, shifted, with about half of the images mirrored."""
    moved = shifted(x)
    mirrored = torch.rand(len(x), 1, 1, 1) < 0.5
    return torch.where(mirrored, moved.flip(3), moved).contiguous(memory_format=torch.channels_last)


def train(model: nn.Module, x: Tensor, y: Tensor, epochs: int) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    model.to(memory_format=torch.channels_last)  # faster on CPUs
    train_classifier(model, x, y, epochs, optimizer, {"max_lr": 0.1, "pct_start": 0.2, "cycle_momentum": False}, augmented)
    model.to(memory_format=torch.contiguous_format)
