"""Small networks of many families, written as TorchScript and as .pt2, with data for them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import networks

OUTPUTS = 3


class Block(nn.Module):
    """A residual block with batch norms and a write in place."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.second(torch.relu_(self.first(x))))


class Mobile(nn.Module):
    """Depthwise convolutions, squeeze and excitation."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU6(), nn.Conv2d(8, 8, 3, 1, 1, groups=8),
            nn.BatchNorm2d(8), nn.Hardswish(), nn.Conv2d(8, 12, 1),
        )  # fmt: skip
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(12, 4, 1), nn.ReLU(), nn.Conv2d(4, 12, 1), nn.Hardsigmoid())
        self.head = nn.Linear(12, OUTPUTS)

    def forward(self, x: Tensor) -> Tensor:
        h = self.body(x)
        return self.head((h * self.gate(h)).mean([2, 3]))


class Steps(nn.Module):
    """A recurrent network of two layers."""

    def __init__(self, kind: Callable[..., nn.Module]) -> None:
        super().__init__()
        self.layers = kind(networks.FEATURES, 8, 2, batch_first=True)
        self.head = nn.Linear(8, OUTPUTS)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layers(x)[0][:, -1])


class Attention(nn.Module):
    """A transformer encoder with positions."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(networks.FEATURES, 16)
        self.positions = nn.Parameter(0.1 * torch.randn(1, 5, 16))
        self.layer = nn.TransformerEncoderLayer(16, 2, 24, batch_first=True)
        self.head = nn.Linear(16, OUTPUTS)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(self.embed(x) + self.positions).mean(1))


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Linear(networks.FEATURES, 8)
        self.right = nn.Linear(4, 8)
        self.head = nn.Linear(16, OUTPUTS)

    def forward(self, image: Tensor, mask: Tensor) -> Tensor:
        return self.head(torch.cat([torch.relu(self.left(image)), torch.tanh(self.right(mask))], 1))


class Named(nn.Module):
    """Its outputs have names; sizes of the batch are computed with."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(networks.FEATURES, 10)
        self.head = nn.Linear(10, OUTPUTS)
        self.other = nn.Linear(10, 7)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        h = torch.relu(self.body(x))
        halves = h.view(x.size(0) * 2, 5).view(x.size(0), -1)
        return {"logits": self.head(halves), "more": self.other(h)}


def lenet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 12, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(12 * 3 * 3, 24), nn.ReLU(), nn.Linear(24, OUTPUTS),
    )  # fmt: skip


def resnet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), Block(8), nn.MaxPool2d(2), Block(8),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, OUTPUTS),
    )  # fmt: skip


IMAGE, SEQUENCE, FLAT = (1, 16, 16), (5, networks.FEATURES), (networks.FEATURES,)
Maker = Callable[[], nn.Module]
FAMILIES: dict[str, tuple[Maker, tuple[tuple[int, ...], ...]]] = {
    "mlp": (networks.mlp, (FLAT,)),
    "lenet": (lenet, (IMAGE,)),
    "resnet": (resnet, (IMAGE,)),
    "mobile": (Mobile, (IMAGE,)),
    "lstm": (lambda: Steps(nn.LSTM), (SEQUENCE,)),
    "gru": (lambda: Steps(nn.GRU), (SEQUENCE,)),
    "attention": (Attention, (SEQUENCE,)),
    "two inputs": (TwoInputs, (FLAT, (4,))),
    "named outputs": (Named, (FLAT,)),
}


def inputs_of(family: str, count: int, seed: int = 0) -> list[Tensor]:
    random = np.random.default_rng(seed)
    return [torch.from_numpy(random.standard_normal((count, *shape)).astype(np.float32)) for shape in FAMILIES[family][1]]


def model_of(family: str) -> nn.Module:
    """The network, with statistics that are not those it starts with."""
    torch.manual_seed(0)
    model = FAMILIES[family][0]()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return model.eval()


def export(model: nn.Module, examples: list[Tensor], **options: Any) -> torch.export.ExportedProgram:
    """Exported for batches of any size."""
    axes = tuple({0: torch.export.Dim("n")} for _ in examples)
    return torch.export.export(model.eval(), tuple(examples), **{"dynamic_shapes": axes, "strict": False, **options})


def save(model: nn.Module, file: Path, examples: list[Tensor], **options: Any) -> None:
    torch.export.save(export(model, examples, **options), file)


def save_data(family: str, file: Path, count: int = 60, classes: int = OUTPUTS) -> None:
    names = ("x",) if len(FAMILIES[family][1]) == 1 else ("image", "mask")
    arrays = {name: tensor.numpy() for name, tensor in zip(names, inputs_of(family, count))}
    np.savez(file, y=np.arange(count) % classes, **arrays)


def keys_of(family: str) -> tuple[str, ...]:
    """Options with the names of the arrays, and of the output."""
    keys = ("--input-key", "image,mask") if len(FAMILIES[family][1]) > 1 else ()
    return (*keys, "--output", "logits") if family == "named outputs" else keys


def outputs_of(found: Any) -> Tensor:
    return found["logits"] if isinstance(found, dict) else found
