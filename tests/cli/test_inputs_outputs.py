"""Models of several inputs, of token indices, and of outputs in tuples and dicts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Optional

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import networks
from conftest import DECOMPOSE, Cli
from networks import CLASSES, FEATURES, HIDDEN, TwoLayers

INSPECT = ("inspect", "model.pt", "--data", "data.npz", "--threads", "1")
TOKENS = 11
LENGTH = 5


class Scaled(TwoLayers):
    """Three inputs, one of them optional."""

    def forward(self, x: Tensor, scale: Tensor, bias: Optional[Tensor] = None) -> Tensor:
        x = x * scale
        if bias is not None:
            x = x + bias
        return self.second(torch.relu(self.first(x)))


class Masked(TwoLayers):
    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.second(torch.relu(self.first(x.masked_fill(mask, 0.0))))


class Text(TwoLayers):
    """Token indices [N, 5] to classes."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(TOKENS, FEATURES)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.second(torch.relu(self.first(self.embedding(tokens).mean(1))))


class TextAndFeatures(Text):
    def forward(self, tokens: Tensor, features: Tensor) -> Tensor:
        return self.second(torch.relu(self.first(self.embedding(tokens).mean(1) + features)))


class Out(NamedTuple):
    logits: Tensor
    aux: Optional[Tensor]


class Both(NamedTuple):
    logits: Tensor
    aux: Tensor


class LikeGoogLeNet(TwoLayers):
    """Its second output exists only in training."""

    def forward(self, x: Tensor) -> Out:
        hidden = torch.relu(self.first(x))
        aux: Optional[Tensor] = None
        if self.training:
            aux = hidden
        return Out(self.second(hidden), aux)


class Heads(TwoLayers):
    """The base of models with two outputs, of two and three classes, that share a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.aux = nn.Linear(HIDDEN, 2)
        self.extra = nn.Linear(HIDDEN, HIDDEN)


class NamedHeads(Heads):
    def forward(self, x: Tensor) -> Both:
        hidden = torch.relu(self.first(x))
        return Both(self.second(hidden), self.aux(torch.relu(self.extra(hidden))))


class TupleOfTuple(Heads):
    def forward(self, x: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
        hidden = torch.relu(self.first(x))
        return (self.second(hidden), self.aux(torch.relu(self.extra(hidden)))), hidden.sum(1)


class DictOfHeads(Heads):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        out: dict[str, Tensor] = {}
        features = {"low": x}
        features["high"] = torch.relu(self.first(features["low"]))
        if "high" in features and len(features) == 2:
            out["out"] = self.second(features["high"])
        for name, value in features.items():
            if name == "high":
                out["aux"] = self.aux(torch.relu(self.extra(value)))
        return out


class OneInDict(TwoLayers):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        hidden = torch.relu(self.first(x))
        return {"out": self.second(hidden), "mean": hidden.mean(1)}


class NeedsNumber(TwoLayers):
    def forward(self, x: Tensor, times: int) -> Tensor:
        return self.second(torch.relu(self.first(x * times)))


def arrays(count: int = 90, **more: Any) -> dict[str, Any]:
    x, y = networks.samples(count)
    return {"x": x, "y": y, **more}


def token_arrays(count: int = 90, kind: type = np.int64) -> dict[str, Any]:
    return {"tokens": np.random.default_rng(1).integers(0, TOKENS, (count, LENGTH)).astype(kind)}


@pytest.fixture
def made(cli: Cli) -> Callable[..., Cli]:
    """The program with a model and arrays."""

    def make(model: nn.Module, data: dict[str, Any]) -> Cli:
        networks.save(model, cli.folder / "model.pt")
        np.savez(cli.folder / "data.npz", **data)
        return cli

    return make


Made = Callable[..., Cli]


def settings(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "out" / "decomposition.json").read_text())["settings"]


def module(cli: Cli, output: int = 0) -> torch.jit.ScriptModule:
    return torch.jit.load(str(cli.folder / "out" / f"module-{output}.pt"))


def argument_names(model: torch.jit.ScriptModule) -> list[str]:
    return [argument.name for argument in model.forward.schema.arguments[1:]]


def evaluated(cli: Cli) -> dict[str, Any]:
    return json.loads(cli.done("evaluate", "out", "--data", "data.npz", "--threads", "1", "--json"))


# ---- Inputs ----------------------------------------------------------------------------------------------------------


def scale_array(width: int = FEATURES) -> np.ndarray:
    return np.random.default_rng(5).uniform(0.9, 1.1, (90, width)).astype(np.float32)


def test_a_model_of_two_inputs(made: Made) -> None:
    data = arrays(scale=scale_array())
    cli = made(Scaled(), data)
    cli.done(*DECOMPOSE, "--input-key", "x,scale", "--quiet")
    assert settings(cli.folder)["input_key"] == "x,scale"
    part = module(cli)
    assert argument_names(part) == ["x", "scale"]
    assert part(torch.tensor(data["x"]), torch.tensor(data["scale"])).shape == (90, 2)
    assert evaluated(cli)["evaluation"]["samples"] == 90


def test_a_module_that_keeps_all_gives_what_the_model_gives(made: Made) -> None:
    data = arrays(scale=scale_array())
    cli = made(Scaled(), data)
    cli.done(*DECOMPOSE, "--input-key", "x,scale", "--keep", "1", "--head", "original", "--quiet")
    inputs = torch.tensor(data["x"]), torch.tensor(data["scale"])
    assert torch.allclose(module(cli)(*inputs), Scaled().eval()(*inputs), atol=1e-6)


def test_an_optional_input_may_be_given(made: Made) -> None:
    cli = made(Scaled(), arrays(scale=scale_array(), bias=scale_array()))
    cli.done(*DECOMPOSE, "--input-key", "x,scale,bias", "--quiet")
    assert argument_names(module(cli)) == ["x", "scale", "bias"]


def test_a_test_archive_names_its_own_inputs(made: Made) -> None:
    cli = made(Scaled(), arrays(scale=scale_array()))
    x, y = networks.samples(45)
    np.savez(cli.folder / "test.npz", a=x, b=scale_array()[:45], y=y)
    test = ("--test", "test.npz", "--test-input-key")
    cli.done(*DECOMPOSE, "--input-key", "x,scale", *test, "a,b", "--quiet")
    message = "test.npz: 1 inputs (a); expected 2 (x, scale), as in data.npz"
    cli.refused(5, message, *DECOMPOSE, "--force", "--input-key", "x,scale", *test, "a")


@pytest.mark.parametrize(
    ("keys", "given"), [("x", "1 is"), ("x,scale,x,scale", "4 are")], ids=["too few", "too many"]
)
def test_another_number_of_inputs(made: Made, keys: str, given: str) -> None:
    message = (
        f"model.pt: forward takes 3 tensors: x, scale, bias (optional); {given} given. Pass --input-key with the name "
        "of an array for each, in this order"
    )
    made(Scaled(), arrays(scale=scale_array())).refused(5, message, *INSPECT, "--input-key", keys)


def test_an_argument_that_is_no_tensor(made: Made) -> None:
    message = "model.pt: forward's argument 'times' is int; incite can pass only tensors"
    made(NeedsNumber(), arrays()).refused(6, message, *INSPECT)


def test_inputs_of_different_lengths(made: Made) -> None:
    message = "data.npz: array 'scale': 80 samples; expected 90, as in array 'x'. Give all inputs the same number."
    made(Scaled(), arrays(scale=scale_array()[:80])).refused(5, message, *INSPECT, "--input-key", "x,scale")


def test_an_input_shape_is_for_one_input(made: Made) -> None:
    message = "--input-shape is for one input; --input-key x,scale names 2. Leave it out."
    shape = ("--input-key", "x,scale", "--input-shape", "6")
    made(Scaled(), arrays(scale=scale_array())).refused(2, message, *INSPECT, *shape)


def test_inputs_that_do_not_fit_each_other(made: Made) -> None:
    cli = made(Scaled(), arrays(scale=scale_array(4)))
    message = (
        "model.pt: does not take inputs of shapes [N, 6] and [N, 4]: The size of tensor a (6) must match the size of "
        "tensor b (4) at non-singleton dimension 1. Name the arrays of its inputs in forward's order with --input-key"
    )
    cli.refused(5, message, *INSPECT, "--input-key", "x,scale")


# ---- Token indices ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint8])
def test_token_indices_are_given_as_integers(made: Made, kind: type) -> None:
    data = {**token_arrays(kind=kind), "y": np.arange(90) % CLASSES}
    cli = made(Text(), data)
    cli.done(*DECOMPOSE, "--input-key", "tokens", "--head", "original", "--keep", "1", "--quiet")
    tokens = torch.tensor(data["tokens"].astype(np.int64))
    assert torch.allclose(module(cli)(tokens), Text().eval()(tokens), atol=1e-6)
    assert evaluated(cli)["evaluation"]["samples"] == 90


def test_fitted_modules_of_token_indices(made: Made) -> None:
    cli = made(Text(), {**token_arrays(), "y": np.arange(90) % CLASSES})
    cli.done(*DECOMPOSE, "--input-key", "tokens", "--quiet")
    assert module(cli)(torch.zeros(4, LENGTH, dtype=torch.int64)).shape == (4, 2)


def test_integers_that_a_model_takes_as_float32_stay_so(made: Made) -> None:
    whole = np.random.default_rng(2).integers(-3, 4, (90, FEATURES))
    made(networks.mlp(), arrays() | {"x": whole}).done(*DECOMPOSE, "--quiet")


def test_each_input_is_decided_alone(made: Made) -> None:
    features = np.random.default_rng(3).integers(0, 255, (90, FEATURES)).astype(np.uint8)
    cli = made(TextAndFeatures(), {**token_arrays(), "features": features, "y": np.arange(90) % CLASSES})
    cli.done(*DECOMPOSE, "--input-key", "tokens,features", "--quiet")
    assert settings(cli.folder)["input_scale"] is None  # 1/255 for one, 1 for the other
    tokens = torch.zeros(4, LENGTH, dtype=torch.int64)
    assert module(cli)(tokens, torch.zeros(4, FEATURES)).shape == (4, 2)
    assert evaluated(cli)["evaluation"]["samples"] == 90


def test_a_mask_is_given_as_bool(made: Made) -> None:
    cli = made(Masked(), arrays(mask=np.random.default_rng(4).random((90, FEATURES)) < 0.1))
    cli.done(*DECOMPOSE, "--input-key", "x,mask", "--quiet")
    assert module(cli)(torch.zeros(4, FEATURES), torch.ones(4, FEATURES, dtype=torch.bool)).shape == (4, 2)


def test_a_token_outside_the_vocabulary(made: Made) -> None:
    tokens = token_arrays()["tokens"]
    tokens[50, 2] = 99
    cli = made(Text(), {"tokens": tokens, "y": np.arange(90) % CLASSES})
    phrases = ("data.npz: array 'tokens' holds whole numbers from 0 to 99, on which the model fails: ", "out of range")
    cli.refused(5, phrases, *DECOMPOSE, "--input-key", "tokens")


def test_a_token_outside_the_vocabulary_in_the_first_samples(made: Made) -> None:
    tokens = token_arrays()["tokens"]
    tokens[0, 2] = 99
    cli = made(Text(), {"tokens": tokens, "y": np.arange(90) % CLASSES})
    phrases = ("model.pt: does not take inputs of shape [N, 5] (Long): ", "out of range")
    cli.refused(5, phrases, *DECOMPOSE, "--input-key", "tokens")


# ---- Outputs ---------------------------------------------------------------------------------------------------------


def outputs_of(cli: Cli, *arguments: str) -> int:
    # Its exit code is that of decompose, which wants labels that fit the output.
    return json.loads(cli.run(*INSPECT, "--json", *arguments).out)["outputs"]["count"]


@pytest.mark.parametrize("model", [LikeGoogLeNet(), OneInDict()], ids=["others are None", "others have other shapes"])
def test_the_only_output_that_will_do(made: Made, model: nn.Module) -> None:
    assert outputs_of(made(model, arrays())) == CLASSES


@pytest.mark.parametrize(
    ("model", "first", "second"),
    [(NamedHeads(), "logits", "aux"), (TupleOfTuple(), "0.0", "0.1"), (DictOfHeads(), "out", "aux")],
    ids=["NamedTuple", "tuple", "dict"],
)
class TestSeveralOutputs:
    def test_one_is_chosen_by_name(self, made: Made, model: nn.Module, first: str, second: str) -> None:
        cli = made(model, arrays())
        assert outputs_of(cli, "--output", first) == 3
        assert outputs_of(cli, "--output", second) == 2

    def test_what_only_others_need_is_dropped(self, made: Made, model: nn.Module, first: str, second: str) -> None:
        cli = made(model, arrays())
        cli.done(*DECOMPOSE, "--output", first, "--quiet")
        assert settings(cli.folder)["output"] == first
        assert sorted(module(cli).state_dict()) == ["first.bias", "first.weight", "second.bias", "second.weight"]
        assert module(cli)(torch.zeros(2, FEATURES)).shape == (2, 2)
        assert evaluated(cli)["evaluation"]["samples"] == 90

    def test_none_is_taken_at_random(self, made: Made, model: nn.Module, first: str, second: str) -> None:
        message = f"model.pt: forward returns {first} [N, 3], {second} [N, 2]"
        rest = ", 1 [N]" if isinstance(model, TupleOfTuple) else ""
        made(model, arrays()).refused(2, f"{message}{rest}; choose one with --output", *DECOMPOSE)

    def test_one_that_is_not_there(self, made: Made, model: nn.Module, first: str, second: str) -> None:
        message = f"model.pt: --output none: forward returns {first} [N, 3], {second} [N, 2]"
        rest = ", 1 [N]" if isinstance(model, TupleOfTuple) else ""
        made(model, arrays()).refused(2, f"{message}{rest}; choose one of these", *DECOMPOSE, "--output", "none")


def test_a_field_may_be_chosen_by_its_position(made: Made) -> None:
    assert outputs_of(made(NamedHeads(), arrays()), "--output", "1") == 2


def test_a_traced_dict(cli: Cli) -> None:
    networks.save_data(cli.folder / "data.npz")
    traced = torch.jit.trace(DictOfHeads().eval(), torch.zeros(2, FEATURES), strict=False)
    traced.save(str(cli.folder / "model.pt"))
    assert outputs_of(cli, "--output", "aux") == 2


def test_nothing_to_choose(good: Cli) -> None:
    message = "model.pt: --output 0: forward returns one tensor; leave out --output"
    good.refused(2, message, *INSPECT, "--output", "0")


class DeepTuple(TwoLayers):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = torch.relu(self.first(x))
        return self.second(hidden), hidden.unsqueeze(2)


def test_outputs_without_positions_come_before_those_with(made: Made) -> None:
    found = json.loads(made(DeepTuple(), arrays()).done(*INSPECT, "--json"))
    assert (found["outputs"]["count"], found["outputs"]["head"]) == (3, "second")


def test_an_output_that_will_not_do(made: Made) -> None:
    message = (
        "data.npz: array 'y': shape [90]; expected [N, 1] or [N, 8, 1], as the model's output is [N, 8, 1]. Pass "
        "--target-key for another array."
    )
    made(DeepTuple(), arrays()).refused(5, message, *INSPECT, "--output", "1")


def test_an_output_of_one_value_a_sample_is_a_column(made: Made) -> None:
    cli = made(TupleOfTuple(), arrays(y=np.linspace(0, 1, 90)))
    assert "Outputs: 1 " in cli.run(*INSPECT, "--output", "1").out
