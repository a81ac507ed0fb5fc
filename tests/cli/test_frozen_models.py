"""Frozen models: torch.jit.freeze turns weights into constants. They are still weights."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import networks
from conftest import DECOMPOSE, Cli, into
from networks import CLASSES, FEATURES


def images(count: int = 60) -> np.ndarray:
    return np.random.default_rng(0).random((count, 1, 8, 8), np.float32)


def sequences(count: int = 60) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, 4, FEATURES)).astype(np.float32)


class Normalised(nn.Module):
    """A batch norm that can't be folded into a convolution: it reads the input."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        self.layers = networks.ConvNet()

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(torch.relu(self.norm(x)))


class Twice(nn.Module):
    """One layer, run twice."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(FEATURES, 8)
        self.again = nn.Linear(8, 8)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x))
        return self.head(torch.relu(self.again(torch.relu(self.again(x)))))


MODELS: dict[str, tuple[Callable[[], nn.Module], Callable[[], np.ndarray]]] = {
    "linear": (networks.mlp, lambda: networks.samples(60)[0]),
    "convolutions": (networks.ConvNet, images),
    "1x1 convolutions": (networks.Squeeze, images),
    "batch norm": (Normalised, images),
    "recurrent": (networks.Recurrent, sequences),
    "a layer run twice": (Twice, lambda: networks.samples(60)[0]),
}


def frozen(model: nn.Module, x: Tensor, how: str) -> Any:
    model.eval()
    if how == "traced":
        return torch.jit.freeze(torch.jit.trace(model, x[:2]))
    return torch.jit.freeze(torch.jit.script(model))


def prepare(cli: Cli, name: str, how: str) -> Any:
    """Writes model.pt, frozen, whole.pt, the same not frozen, and data.npz. Returns the frozen model."""
    make, samples = MODELS[name]
    x = samples()
    model = make().eval()
    made = frozen(model, torch.from_numpy(x), how)
    made.save(str(cli.folder / "model.pt"))
    networks.save(model, cli.folder / "whole.pt")
    np.savez(cli.folder / "data.npz", x=x, y=np.arange(len(x)) % CLASSES)
    return made


@pytest.mark.parametrize("how", ["scripted", "traced"])
@pytest.mark.parametrize("name", MODELS)
def test_a_frozen_model_is_inspected_and_decomposed(cli: Cli, name: str, how: str) -> None:
    model = prepare(cli, name, how)
    inspected = json.loads(cli.done("inspect", "model.pt", "--data", "data.npz", "--json"))
    assert inspected["parameters"] > 0 and inspected["removable_parameters"] > 0
    assert all(layer["name"] for layer in inspected["layers"])
    document = json.loads(cli.done(*DECOMPOSE, "--keep", "0.6", "--json"))
    assert document["model"]["parameters"] == inspected["parameters"]
    assert all(module["compression"] > 1 for module in document["modules"])
    cli.done(*into("whole"), "--keep", "1", "--head", "original", "--quiet")
    x = torch.from_numpy(np.load(cli.folder / "data.npz")["x"])
    with torch.no_grad(), torch.jit.optimized_execution(False):
        kept = torch.jit.load(cli.folder / "whole/module-0.pt")
        assert torch.allclose(kept(x), model(x), rtol=1e-5, atol=1e-6)
    assert len(list(kept.parameters())) > 0


def test_a_frozen_model_has_the_units_and_parameters_of_the_model(cli: Cli) -> None:
    prepare(cli, "a layer run twice", "scripted")
    inspected = [json.loads(cli.done("inspect", file, "--data", "data.npz", "--json")) for file in ("model.pt", "whole.pt")]
    for field in ("parameters", "removable_parameters", "compression_at_most"):
        assert inspected[0][field] == inspected[1][field]
    assert [group["units"] for group in inspected[0]["groups"]] == [group["units"] for group in inspected[1]["groups"]]


def test_the_weights_of_a_frozen_model_are_named_after_operations(cli: Cli) -> None:
    prepare(cli, "convolutions", "scripted")
    cli.done(*DECOMPOSE, "--quiet")
    names = set(torch.jit.load(cli.folder / "out/module-1.pt").state_dict())
    assert names == {"conv2d_1.weight", "conv2d_1.bias", "linear_1.weight", "linear_1.bias"}


def test_equal_weights_of_a_frozen_model_do_not_tie_its_layers(cli: Cli) -> None:
    model = nn.Sequential(
        nn.Linear(FEATURES, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, CLASSES)
    )
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.zeros_(layer.bias)
    torch.jit.freeze(torch.jit.script(model.eval())).save(str(cli.folder / "model.pt"))
    networks.save_data(cli.folder / "data.npz")
    inspected = json.loads(cli.done("inspect", "model.pt", "--data", "data.npz", "--json"))
    assert [group["units"] for group in inspected["groups"]] == [8, 8, 8, CLASSES]


def test_linear_layers_that_were_optimized_for_inference(cli: Cli) -> None:
    torch.jit.optimize_for_inference(torch.jit.script(networks.mlp().eval())).save(str(cli.folder / "model.pt"))
    networks.save_data(cli.folder / "data.npz")
    document = json.loads(cli.done(*DECOMPOSE, "--json"))
    assert document["model"]["parameters"] == sum(parameter.numel() for parameter in networks.mlp().parameters())
    assert set(torch.jit.load(cli.folder / "out/module-0.pt").state_dict()) == {
        f"linear_{layer}.{kind}" for layer in (1, 2) for kind in ("weight", "bias")
    }


def test_modules_of_a_frozen_model_are_those_of_the_model(cli: Cli) -> None:
    prepare(cli, "linear", "scripted")
    cli.done(*DECOMPOSE, "--quiet")
    cli.done("decompose", "whole.pt", "--data", "data.npz", "--threads", "1", "--out", "plain", "--quiet")
    for output in range(CLASSES):
        found, expected = (load(cli.folder / folder, output) for folder in ("out", "plain"))
        assert [torch.equal(a, b) for a, b in zip(found.parameters(), expected.parameters(), strict=True)] == [True] * 4


class Halves(nn.Module):
    """A body and a head, one of them from a file: frozen parts can be traced, but not scripted."""

    def __init__(self, body: Any, linear_1: Any) -> None:
        super().__init__()
        self.body = body
        self.linear_1 = linear_1  # the name that its weight would get if it were a constant

    def forward(self, x: Tensor) -> Tensor:
        return self.linear_1(self.body(x))


@pytest.mark.parametrize("part", ["body", "head"])
def test_a_part_that_is_frozen_has_weights_too(cli: Cli, part: str) -> None:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(FEATURES, 12), nn.ReLU(), nn.Linear(12, 8), nn.ReLU())
    head = nn.Sequential(nn.Linear(8, CLASSES))
    x, y = networks.samples()
    networks.train(nn.Sequential(body, head), x, y)
    parts: dict[str, Any] = {"body": body, "head": head}
    torch.jit.freeze(torch.jit.script(parts[part].eval())).save(str(cli.folder / "part.pt"))
    parts[part] = torch.jit.load(cli.folder / "part.pt")
    networks.save(Halves(parts["body"], parts["head"]), cli.folder / "model.pt", torch.zeros(2, FEATURES))
    np.savez(cli.folder / "data.npz", x=x, y=y)
    document = json.loads(cli.done(*DECOMPOSE, "--target-compression", "3", "--json"))
    assert document["model"]["parameters"] == 6 * 12 + 12 + 12 * 8 + 8 + 8 * CLASSES + CLASSES
    assert document["evaluation"]["combined_accuracy"] > 0.9
    names = set(load(cli.folder / "out", 0).state_dict())
    assert len(names) == 6 and ("linear_2.weight" in names) == (part == "body")
    cli.done(*into("sliced"), "--head", "original", "--quiet")


def load(folder: Path, output: int) -> torch.jit.ScriptModule:
    return torch.jit.load(folder / f"module-{output}.pt")
