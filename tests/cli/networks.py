"""Small networks and data for the command-line tests. Tests find lines of this file by their content: see line_of."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

FEATURES = 6
HIDDEN = 8
CLASSES = 3


def samples(count: int = 90, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points around one centre per class, and their classes, each equally often."""
    random = np.random.default_rng(seed)
    centres = 2 * np.random.default_rng(99).standard_normal((CLASSES, FEATURES))
    classes = np.arange(count) % CLASSES
    points = centres[classes] + 0.5 * random.standard_normal((count, FEATURES))
    return points.astype(np.float32), classes.astype(np.int64)


def save_data(file: Path, count: int = 90, seed: int = 0) -> None:
    x, y = samples(count, seed)
    np.savez(file, x=x, y=y)


def save(model: nn.Module, file: Path, example: Tensor | None = None) -> None:
    """Writes a model as TorchScript: scripted, or traced if there is an example."""
    model.eval()
    made = torch.jit.script(model) if example is None else torch.jit.trace(model, example)
    made.save(str(file))


def train(model: nn.Module, x: np.ndarray, y: np.ndarray, steps: int = 150) -> None:
    """Trains a classifier on all samples at once."""
    torch.manual_seed(0)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(steps):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(torch.from_numpy(x)), torch.from_numpy(y)).backward()
        optimiser.step()


def line_of(text: str) -> str:
    """The one line of this file that has a text, as messages name it: "networks.py:31"."""
    lines = Path(__file__).read_text().splitlines()
    found = [number for number, line in enumerate(lines, start=1) if text in line]
    assert len(found) == 1
    return f"{Path(__file__).name}:{found[0]}"


def mlp(last: nn.Module | None = None, outputs: int = CLASSES, seed: int = 0) -> nn.Sequential:
    """Two linear layers of random weights, and perhaps something after them."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(FEATURES, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, outputs))
    if last is not None:
        model.append(last)
    return model


class ConvNet(nn.Module):
    """A small image classifier, [N, 1, 8, 8] to [N, 3]."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.features = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2))
        self.head = nn.Linear(6 * 4 * 4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).flatten(1))


class Squeeze(nn.Module):
    """A small SqueezeNet, [N, 1, 8, 8] to [N, 3]: its last layer is a 1x1 convolution, rectified and averaged."""

    def __init__(self, outputs: int = CLASSES) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Sequential(nn.Conv2d(1, 12, 3), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True))
        self.squeeze = nn.Sequential(nn.Conv2d(12, 6, 1), nn.ReLU())
        self.expand1 = nn.Sequential(nn.Conv2d(6, 8, 1), nn.ReLU())
        self.expand3 = nn.Sequential(nn.Conv2d(6, 8, 3, padding=1), nn.ReLU())
        self.classifier = nn.Sequential(
            nn.Dropout(), nn.Conv2d(16, outputs, 1), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d((1, 1))
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(self.stem(x))
        return torch.flatten(self.classifier(torch.cat([self.expand1(x), self.expand3(x)], 1)), 1)


class Tokens(nn.Module):
    """A classifier of sequences, [N, T, 6] to [N, 3], that averages its outputs over positions."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = mlp()

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).mean(1)


class Recurrent(nn.Module):
    """A classifier of sequences, [N, T, 6] to [N, 3], by the last step of a recurrent network of two layers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.lstm = nn.LSTM(FEATURES, 5, num_layers=2, batch_first=True)
        self.head = nn.Linear(5, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[0][:, -1])


class Gated(nn.Module):
    """Its output layer reads the input times a gate that the hidden units compute: [N, 6] to [N, 3]."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.hidden = nn.Linear(FEATURES, HIDDEN)
        self.gate = nn.Linear(HIDDEN, 1)
        self.head = nn.Linear(FEATURES, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x * torch.sigmoid(self.gate(torch.relu(self.hidden(x)))))


class TwoLayers(nn.Module):
    """The base of models that can't be decomposed: each writes its own forward."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(FEATURES, HIDDEN)
        self.second = nn.Linear(HIDDEN, CLASSES)


class Normalised(TwoLayers):
    """Its hidden units are pinned by a layer norm, those of a block beside it are not."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(HIDDEN)
        self.block = nn.Sequential(nn.Linear(HIDDEN, 5), nn.ReLU(), nn.Linear(5, HIDDEN))

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x)
        hidden = self.norm(hidden)
        return self.second(self.block(hidden))


class FixedBatch(TwoLayers):
    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.relu(self.first(x.view(8, -1))))


class Branch(TwoLayers):
    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.relu(self.first(x))
        if hidden.sum() > 0:
            hidden = hidden * 2
        return self.second(hidden)


class WritesToView(TwoLayers):
    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x)
        hidden.chunk(2, 1)[0].zero_()
        return self.second(torch.relu(hidden))


class RandomNumbers(TwoLayers):
    def forward(self, x: Tensor) -> Tensor:
        noise = torch.randn_like(x)
        return self.second(torch.relu(self.first(x + noise)))


class Sequence(TwoLayers):
    """Its output has three dimensions."""

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.relu(self.first(x))).unsqueeze(2)


class ChangesItself(TwoLayers):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        self.calls.add_(1.0)
        return self.second(torch.relu(self.first(x))) + self.calls


class SqueezesSamples(TwoLayers):
    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.relu(self.first(x.squeeze(0))))


class Points(nn.Module):
    """A small PointNet, [N, 1, 8, 8] to [N, 3]: its squeeze takes the samples' axis too, if there is one sample."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(1, 12, 3)
        self.hidden = nn.Linear(12, 8)
        self.norm = nn.BatchNorm1d(8)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.adaptive_avg_pool2d(torch.relu(self.conv(x)), 1).squeeze()
        return self.head(torch.relu(self.norm(self.hidden(x))))


class Cell(nn.Module):
    """A recurrent classifier, [N, 4, 6] to [N, 3], by a cell that forward runs step by step."""

    def __init__(self, kind: type[nn.Module] = nn.LSTMCell) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.cell = kind(FEATURES, 5)
        self.head = nn.Linear(5, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        state = self.cell(x[:, 0])
        for step in range(1, 4):
            state = self.cell(x[:, step], state)
        return self.head(state[0] if isinstance(state, tuple) else state)


class TanhAtTheEnd(nn.Module):
    """An operation follows the last layer that a fitted head does not work with."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = mlp()

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.layers(x))
