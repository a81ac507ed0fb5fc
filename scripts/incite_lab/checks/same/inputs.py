"""Small networks of many kinds with data, made from fixed seeds, for comparing two programs."""

import shutil
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn


class Images(nn.Module):
    """[N, 3, 12, 12] to [N, 4]: a depthwise convolution, a gate, batch norms."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU6(), nn.Conv2d(12, 24, 1), nn.Hardswish())
        self.depthwise = nn.Sequential(nn.Conv2d(24, 24, 3, stride=2, padding=1, groups=24, bias=False), nn.BatchNorm2d(24), nn.ReLU())
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(24, 6, 1), nn.ReLU(), nn.Conv2d(6, 24, 1), nn.Sigmoid())
        self.last = nn.Sequential(nn.Conv2d(24, 16, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4))

    def forward(self, x: Tensor) -> Tensor:
        x = self.depthwise(self.stem(x))
        out: Tensor = self.last(x * self.gate(x))
        return out


class Tokens(nn.Module):
    """Int64 [N, 10] to [N, 4]: a transformer encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(12, 16)
        self.place = nn.Parameter(0.1 * torch.randn(10, 16))
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 32, 0.0, batch_first=True), 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.encoder(self.embedding(x) + self.place).mean(1))
        return out


class Rows(nn.Module):
    """[N, 10, 8] to [N, 4]: a GRU of two directions."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(8, 12, bidirectional=True, batch_first=True)
        self.head = nn.Linear(24, 4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.softmax(self.head(self.gru(x)[0].mean(1)), 1)


class Two(nn.Module):
    """[N, 3, 12, 12] and [N, 6] to a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(200, 20), nn.ReLU())
        self.facts = nn.Sequential(nn.Linear(6, 12), nn.ReLU())
        self.head = nn.Linear(32, 4)

    def forward(self, image: Tensor, facts: Tensor) -> dict[str, Tensor]:
        joined = torch.cat([self.image(image), self.facts(facts)], 1)
        return {"hidden": joined, "logits": self.head(joined)}


class Odd(nn.Module):
    """[N, 6] to [N, 3], in a way that is refused."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.first = nn.Linear(6, 8)
        self.last = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        if self.way == "noise":
            x = x + torch.randn_like(x)
        hidden = torch.relu(self.first(x))
        if self.way == "branch" and hidden.sum() > 0:
            hidden = hidden * 2
        if self.way == "batch":
            hidden = hidden.view(8, -1)
        return torch.tanh(self.last(hidden)) if self.way == "tanh" else self.last(hidden)


def dense(inputs: int, hidden: int, outputs: int, *more: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, outputs), *more)


def scattered(count: int, classes: int, *shape: int, noise: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Points around a centre for each class, and their classes."""
    random = np.random.default_rng(0)
    centres, y = random.standard_normal((classes, *shape)), np.arange(count) % classes
    return (centres[y] + noise * random.standard_normal((count, *shape))).astype(np.float32), y


def trained(model: nn.Module, y: np.ndarray, *inputs: np.ndarray) -> nn.Module:
    """A little, on all samples at once."""
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(40):
        out = model(*(torch.from_numpy(x) / (255 if x.dtype == np.uint8 else 1) if x.dtype != np.int64 else torch.from_numpy(x) for x in inputs))
        out = out["logits"] if isinstance(out, dict) else out
        if out.dim() == 1 or out.shape[1] == 1:
            probability = torch.sigmoid(out) if out.dim() == 1 else out
            loss = nn.functional.binary_cross_entropy(probability.flatten(), torch.from_numpy(y).float())
        else:
            loss = nn.functional.cross_entropy(out, torch.from_numpy(y))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return model.eval()


def make_inputs(folder: Path, models: Path) -> None:
    """Models and data of all cases, in a new folder; seeded."""
    folder.mkdir(parents=True)
    for name, original in [("lenet", "lenet5-mnist"), ("fashion", "lenet5-fmnist"), ("lstm", "lstm-mnist"), ("resnet", "resnet-fmnist"),
                        ("sines", "regression/sin-cos-sqrt"), ("logs", "regression/exp-log")]:  # fmt: skip
        shutil.copyfile(models / original / "model.pt", folder / f"{name}.pt")

    def data(name: str, **arrays: np.ndarray) -> None:
        np.savez(folder / f"{name}.npz", **arrays)  # type: ignore[arg-type]

    def script(name: str, model: nn.Module, example: Tensor | None = None) -> None:
        model.eval()
        made = torch.jit.script(model) if example is None else torch.jit.trace(model, example, check_trace=False)  # type: ignore[no-untyped-call]
        made.save(str(folder / f"{name}.pt"))

    val, test = np.load(models / "lenet5-mnist/val.npz"), np.load(models / "lenet5-mnist/test.npz")
    x, y = val["x"][:1500], val["y"][:1500]
    data("digits", x=x, y=y)
    data("digits-test", x=test["x"][:500], y=test["y"][:500])
    data("digits-own", x=x[:600])
    data("digits-rows", x=x[:800, 0], y=y[:800])
    data("digits-few", x=x[:150].reshape(150, 784) / np.float32(255), target=np.eye(10, dtype=np.float32)[y[:150]])
    for name in ("sines", "logs"):
        file = np.load(models / f"regression/{'sin-cos-sqrt' if name == 'sines' else 'exp-log'}/train.npz")
        data(name, x=file["x"][:2000], y=file["y"][:2000])

    torch.manual_seed(0)
    x, y = scattered(600, 4, 3, 12, 12)
    x = np.clip(128 + 30 * x, 0, 255).astype(np.uint8)
    data("images", x=x, y=y)
    data("images-nhwc", x=x.transpose(0, 2, 3, 1), y=y)
    model = trained(Images(), y, x)
    script("images", model)
    torch.jit.freeze(torch.jit.script(model)).save(str(folder / "frozen.pt"))
    pooled = nn.Sequential(nn.Conv2d(3, 12, 3), nn.ReLU(), nn.Conv2d(12, 16, 3), nn.ReLU(), nn.Conv2d(16, 4, 1))
    pooled.extend([nn.AdaptiveAvgPool2d(1), nn.Flatten()])
    script("pooled", trained(pooled, y, x))
    facts = scattered(600, 4, 6)[0]
    data("two", image=x, facts=facts, y=y)
    script("two", trained(Two(), y, x, facts))
    x, y = scattered(600, 4, 10)
    x = np.clip(6 + 2 * x, 0, 11).astype(np.int64)
    data("tokens", x=x, y=y)
    script("tokens", trained(Tokens(), y, x), torch.from_numpy(x[:3]))
    x, y = scattered(600, 4, 10, 8)
    data("rows", x=x, y=y)
    script("rows", trained(Rows(), y, x))
    x, y = scattered(600, 2, 6)
    data("binary", x=x, y=y)
    script("binary", trained(dense(6, 24, 1, nn.Sigmoid()), y, x))
    script("flat", trained(dense(6, 24, 1, nn.Flatten(0)), y, x))
    x, y = scattered(5000, 5, 64, noise=4)
    data("points", x=x, y=y)
    script("points", trained(dense(64, 320, 5), y, x))
    x, y = scattered(90, 3, 6)
    data("odd", x=x, y=y)
    data("odd-labels", x=x, y=y + 1)
    data("odd-length", x=x, y=y[:80])
    for way in ("noise", "branch", "batch", "tanh"):
        script(way, Odd(way), torch.from_numpy(x[:8]) if way == "batch" else None)
    (folder / "text.pt").write_text("no model\n")
    (folder / "cut.pt").write_bytes((folder / "lenet.pt").read_bytes()[:50_000])
    (folder / "cut.npz").write_bytes((folder / "digits.npz").read_bytes()[:50_000])
