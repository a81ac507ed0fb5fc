"""Models that can't be decomposed: exit code 6. Messages name the line of the user's code."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

import networks
from conftest import DECOMPOSE, Cli
from networks import CLASSES, FEATURES, line_of

WithModel = Callable[[nn.Module], Cli]


def test_a_batch_size_fixed_in_a_trace(good: Cli) -> None:
    networks.save(networks.FixedBatch(), good.folder / "model.pt", torch.zeros(8, FEATURES))
    message = (
        "model.pt: the batch size 8 is fixed in the model, as in a trace of x.view(8, -1): it takes exactly 8 samples "
        "at a time. Export it with torch.jit.script, or trace code that uses x.flatten(1) or x.view(x.size(0), -1)"
    )
    good.refused(6, message, *DECOMPOSE)


def test_a_branch_on_the_input(with_model: WithModel) -> None:
    message = (
        f"model.pt: {line_of('if hidden.sum() > 0')}: a branch depends on the content of the input; incite decomposes "
        "models whose control flow is the same for every sample"
    )
    with_model(networks.Branch()).refused(6, message, *DECOMPOSE)


def test_a_write_to_a_view(with_model: WithModel) -> None:
    place = line_of("hidden.chunk(2, 1)[0].zero_()")
    cli = with_model(networks.WritesToView())
    cli.refused(6, (f"a value is read after {place} wrote to part of it in place",), *DECOMPOSE)


def test_random_numbers(with_model: WithModel) -> None:
    message = (
        f"model.pt: {line_of('noise = torch.randn_like')}: aten::randn_like uses random numbers; incite decomposes "
        "models that give the same output every time"
    )
    with_model(networks.RandomNumbers()).refused(6, message, *DECOMPOSE)


def test_an_output_of_positions_for_targets_without(with_model: WithModel) -> None:
    message = (
        "data.npz: array 'y': shape [90]; expected [N, 1] or [N, 3, 1], as the model's output is [N, 3, 1]. Pass "
        "--target-key for another array."
    )
    with_model(networks.Sequence()).refused(5, message, *DECOMPOSE)


def test_a_model_that_writes_to_its_buffer(with_model: WithModel) -> None:
    cli = with_model(networks.ChangesItself())
    cli.refused(6, (line_of("self.calls.add_"), "'calls'", "must not change itself"), *DECOMPOSE)


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Linear(FEATURES, CLASSES)),
        nn.Sequential(nn.Linear(FEATURES, 8), nn.LayerNorm(8), nn.Linear(8, CLASSES)),
    ],
    ids=["one layer", "layer norm"],
)
def test_no_unit_that_can_be_removed(with_model: WithModel, model: nn.Module) -> None:
    message = "model.pt: no unit can be removed, since every layer is pinned; 'incite inspect' shows why"
    with_model(model).refused(6, message, *DECOMPOSE)


def test_something_after_the_last_layer_that_a_new_head_cannot_pass(with_model: WithModel) -> None:
    cli = with_model(networks.TanhAtTheEnd())
    message = (
        "a fitted head does not work with the operations after the output layer 'layers.2' (other); use --head original"
    )
    cli.refused(6, message, *DECOMPOSE)
    cli.done(*DECOMPOSE, "--head", "original", "--quiet")


def test_a_convolution_of_several_positions_as_the_last_layer(cli: Cli) -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, CLASSES, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    networks.save(model, cli.folder / "model.pt")
    np.savez(cli.folder / "data.npz", x=np.random.default_rng(0).random((30, 1, 6, 6)), y=np.arange(30) % CLASSES)
    message = (
        "no head can be fitted for the output layer '2'; expected a linear layer over [samples, features], or a linear "
        "layer or 1x1 convolution whose positions are averaged or are those of the output; use --head original"
    )
    cli.refused(6, message, *DECOMPOSE)


@pytest.mark.parametrize(("kind", "name"), [(torch.float64, "Double"), (torch.float16, "Half"), (torch.bfloat16, "BFloat16")])
def test_weights_of_another_type_than_float32(with_model: WithModel, kind: torch.dtype, name: str) -> None:
    cli = with_model(networks.mlp().to(kind))
    message = (
        f"model.pt: its weights are of type {name} (0.weight); expected float32. Export model.float(), as in "
        "torch.jit.script(model.float().eval())"
    )
    cli.refused(6, message, *DECOMPOSE)
    cli.refused(6, message, "inspect", "model.pt", "--data", "data.npz")


def test_a_squeeze_of_the_samples_axis(with_model: WithModel) -> None:
    message = (
        f"model.pt: {line_of('x.squeeze(0)')}: squeeze(0) removes the samples' axis when there is one sample; incite "
        "decomposes models that treat samples one by one. Leave it out, or name another axis"
    )
    cli = with_model(networks.SqueezesSamples())
    cli.refused(6, message, *DECOMPOSE)
    cli.refused(6, message, "inspect", "model.pt", "--data", "data.npz")
