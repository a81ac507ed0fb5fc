"""Models that average the output of their last layer over positions: with default options, modules get their own heads."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import networks
from conftest import DECOMPOSE, Cli
from networks import CLASSES, FEATURES


def images() -> tuple[np.ndarray, np.ndarray]:
    """Noise with a bright band whose position is the class."""
    y = np.arange(90) % CLASSES
    x = 0.3 * np.random.default_rng(0).random((90, 1, 8, 8), np.float32)
    for sample, place in zip(x, y):
        sample[0, :, 2 * place : 2 * place + 2 + place] += 0.7  # the widths differ, as averages know no place
    return x, y


def sequences() -> tuple[np.ndarray, np.ndarray]:
    points, y = networks.samples()
    noise = np.random.default_rng(0).standard_normal((90, 5, FEATURES)).astype(np.float32)
    return points[:, None] + noise, y


def save(cli: Cli, model: nn.Module, x: np.ndarray, y: np.ndarray, traced: bool) -> None:
    networks.train(model, x, y)
    networks.save(model, cli.folder / "model.pt", torch.from_numpy(x[:2]) if traced else None)
    np.savez(cli.folder / "data.npz", x=x, y=y)


@pytest.mark.parametrize("traced", [False, True], ids=["scripted", "traced"])
@pytest.mark.parametrize(("make", "data"), [(networks.Squeeze, images), (networks.Tokens, sequences)])
def test_modules_have_heads_of_their_own(
    cli: Cli, make: Callable[[], nn.Module], data: Callable[[], Any], traced: bool
) -> None:
    x, y = data()
    model = make()
    save(cli, model, x, y, traced)
    document = json.loads(cli.done(*DECOMPOSE, "--json", "--keep", "0.6"))
    assert document["model"]["output_kind"] == "logits"
    head = "classifier.1" if make is networks.Squeeze else "layers.2"
    shape = model.state_dict()[head + ".weight"].shape
    for output in range(CLASSES):
        module = torch.jit.load(cli.folder / "out" / f"module-{output}.pt")
        found = module(torch.from_numpy(x))
        assert found.shape == (90, 2)
        assert ((found[:, 1] > found[:, 0]).numpy() == (y == output)).mean() > 0.9
        weight = module.state_dict()[head + ".weight"]
        assert weight.shape[0] == 2 and weight.shape[2:] == shape[2:]
        # Without a relu after it the head's two rows mirror each other.
        torch.testing.assert_close(found[:, 0], -found[:, 1])
    measured = json.loads(cli.done("evaluate", "out", "--data", "data.npz", "--threads", "1", "--json"))
    assert measured["evaluation"]["combined_accuracy"] > 0.9


def test_inspect_says_that_decompose_will_work(cli: Cli) -> None:
    save(cli, networks.Squeeze(), *images(), traced=False)
    cli.done("inspect", "model.pt", "--data", "data.npz", "--threads", "1")


@pytest.mark.parametrize("dense", [True, False], ids=["dense", "squeeze"])
def test_a_regression_that_ends_in_a_relu_gives_nothing_negative(cli: Cli, dense: bool) -> None:
    x, classes = networks.samples() if dense else images()
    model = networks.mlp(nn.ReLU()) if dense else networks.Squeeze()
    head = model[2] if dense else model.classifier[1]
    nn.init.ones_(head.bias)  # above 0 at first, or it would never learn
    networks.train(model, x, classes)
    networks.save(model, cli.folder / "model.pt")
    with torch.no_grad():
        y = model(torch.from_numpy(x)).numpy()
    np.savez(cli.folder / "data.npz", x=x, y=y)
    document = json.loads(cli.done(*DECOMPOSE, "--json", "--task", "regression"))
    assert document["model"]["output_kind"] == "logits"
    for output in range(CLASSES):
        module = torch.jit.load(cli.folder / "out" / f"module-{output}.pt")
        found = module(torch.from_numpy(x)).detach().numpy()
        assert found.shape == (90, 1)
        assert found.min() >= 0
        assert np.abs(found[:, 0] - y[:, output]).mean() < 0.3 * y[:, output].mean()


@pytest.mark.parametrize("traced", [False, True], ids=["scripted", "traced"])
def test_modules_take_images_of_other_sizes_where_the_original_does(cli: Cli, traced: bool) -> None:
    x, y = images()
    model = networks.Squeeze()
    save(cli, model, x, y, traced)
    cli.done(*DECOMPOSE, "--quiet", "--head", "original", "--repair", "none")
    module = torch.jit.load(cli.folder / "out" / "module-1.pt")
    for height, width in ((8, 8), (12, 9), (20, 31)):
        images_of_size = torch.rand(2, 1, height, width, generator=torch.Generator().manual_seed(height))
        found = module(images_of_size)
        assert found.shape == model(images_of_size).shape == (2, CLASSES)
        assert torch.isfinite(found).all()
