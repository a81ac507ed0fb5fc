"""Classifiers of two classes with one output: a logit or a probability, [N, 1] or [N]."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import networks
from conftest import DECOMPOSE, Cli
from networks import FEATURES

INSPECT = ("inspect", "model.pt", "--data", "data.npz", "--threads", "1")
EVALUATE = ("evaluate", "model.pt", "--data", "data.npz", "--threads", "1", "--json")
COUNT = 300


class Binary(nn.Module):
    """A body, one logit, and an output computed from it."""

    def __init__(self, end: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.end = end
        self.hidden = nn.Linear(FEATURES, 16)
        self.head = nn.Linear(16, 1)

    def logit(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.hidden(x)))

    def forward(self, x: Tensor) -> Tensor:
        z = self.logit(x)
        if self.end == "logit [N]":
            return z.squeeze(1)
        if self.end == "probability":
            return torch.sigmoid(z)
        if self.end == "probability [N]":
            return torch.sigmoid(z.view(-1))
        if self.end == "squeezed probability":
            return torch.sigmoid(z).squeeze(-1)
        if self.end == "squeezed logit":
            return z.squeeze()
        if self.end == "column 0":
            return z[:, 0]
        if self.end == "log-probability":
            return nn.functional.logsigmoid(z)
        return z


ENDS = {
    "logit": "logits",
    "logit [N]": "logits",
    "squeezed logit": "logits",
    "column 0": "logits",
    "probability": "probabilities",
    "probability [N]": "probabilities",
    "squeezed probability": "probabilities",
    "log-probability": "log-probabilities",
}


def samples(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    classes = np.arange(COUNT) % 3 // 2  # a third is of class 1
    centres = np.random.default_rng(9).standard_normal((2, FEATURES))
    return (centres[classes] + random.standard_normal((COUNT, FEATURES))).astype(np.float32), classes


def trained(end: str) -> Binary:
    model = Binary(end)
    x, y = samples()
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(60):
        optimiser.zero_grad()
        loss = nn.functional.binary_cross_entropy_with_logits
        loss(model.logit(torch.from_numpy(x))[:, 0], torch.from_numpy(y.astype(np.float32))).backward()
        optimiser.step()
    return model


Made = Callable[..., Cli]


@pytest.fixture
def made(cli: Cli) -> Made:
    def make(end: str, kind: Any = np.int64, columns: bool = False) -> Cli:
        networks.save(trained(end), cli.folder / "model.pt")
        for name, seed in (("data", 0), ("test", 1)):
            x, y = samples(seed)
            np.savez(cli.folder / f"{name}.npz", x=x, y=y.astype(kind)[:, None] if columns else y.astype(kind))
        return cli

    return make


def logits(seed: int) -> np.ndarray:
    return trained("logit")(torch.from_numpy(samples(seed)[0])).detach().numpy()[:, 0]


@pytest.mark.parametrize("end", ENDS)
def test_one_output_tells_two_classes_apart(made: Made, end: str) -> None:
    cli = made(end)
    cli.done(*INSPECT)
    document = json.loads(cli.done(*DECOMPOSE, "--json", "--test", "test.npz"))
    model = torch.jit.load(cli.folder / "model.pt")
    assert (document["model"]["outputs"], document["model"]["output_kind"]) == (2, ENDS[end])
    assert document["model"]["task"] == "classification"
    assert document["model"]["parameters"] == sum(p.numel() for p in model.parameters())
    z, y = logits(1), samples(1)[1]
    assert document["evaluation"]["original_accuracy"] == pytest.approx(((z > 0) == y).mean())
    assert document["evaluation"]["combined_accuracy"] > 0.8
    auc = (z[y == 1][:, None] > z[y == 0]).mean()
    assert [c["auc"] for c in document["evaluation"]["original_classes"]] == pytest.approx([auc, auc], abs=1e-4)
    for output in (0, 1):
        module = torch.jit.load(cli.folder / f"out/module-{output}.pt")
        assert module.state_dict().keys() == model.state_dict().keys()
        assert module.state_dict()["head.weight"].shape[0] == 2
        with torch.no_grad():
            found = module(torch.from_numpy(samples(1)[0])).numpy()
        assert ((found[:, 1] > found[:, 0]) == (y == output)).mean() == pytest.approx(document["modules"][output]["accuracy"])
        assert document["modules"][output]["compression"] >= 5


@pytest.mark.parametrize("end", ENDS)
def test_keeping_all_keeps_its_probabilities(made: Made, end: str) -> None:
    cli = made(end)
    cli.done(*DECOMPOSE, "--keep", "1", "--head", "original", "--quiet")
    x = torch.from_numpy(samples(1)[0])
    with torch.no_grad():
        found = torch.jit.load(cli.folder / "out/module-1.pt")(x).double()
    if ENDS[end] == "logits":
        found = found.softmax(1)
    if ENDS[end] == "log-probabilities":
        found = found.exp()
    p = torch.sigmoid(torch.from_numpy(logits(1)).double())
    assert torch.allclose(found, torch.stack([1 - p, p], 1), rtol=0, atol=1e-6)


@pytest.mark.parametrize("end", ["logit", "probability [N]"])
def test_all_verbs_agree(made: Made, end: str) -> None:
    cli = made(end)
    cli.done(*DECOMPOSE, "--quiet", "--test", "test.npz")
    decomposition = json.loads((cli.folder / "out/decomposition.json").read_text())
    alone = json.loads(cli.done("evaluate", "model.pt", "--data", "test.npz", "--json"))
    assert alone["evaluation"]["accuracy"] == decomposition["evaluation"]["original_accuracy"]
    assert alone["costs"]["model"] == decomposition["costs"]["original"]
    together = json.loads(cli.done("evaluate", "out", "--data", "test.npz", "--json"))
    assert together["costs"] == decomposition["costs"]
    for name, value in together["evaluation"].items():
        assert value == decomposition["evaluation"][name]
    cli.done("compose", "out", "--out", "combined.pt", "--quiet")
    joined = json.loads(cli.done("evaluate", "combined.pt", "--data", "test.npz", "--json"))
    assert joined["evaluation"]["accuracy"] == decomposition["evaluation"]["combined_accuracy"]
    cli.done(*DECOMPOSE[:-1], "one", "--outputs", "1", "--quiet", "--test", "test.npz")
    module = json.loads(cli.done("evaluate", "one/module-1.pt", "--data", "test.npz", "--json"))
    assert module["model"]["labels"] == [1]
    assert module["evaluation"]["samples"] == COUNT


def test_what_is_said_of_its_outputs(made: Made) -> None:
    cli = made("probability")
    out = cli.done(*INSPECT)
    assert "Outputs: 1 (sigmoid), from layer 'head', taken as two: class 0 and class 1\n" in out
    assert cli.done(*DECOMPOSE).startswith("model.pt: 129 parameters, 1 output for 2 classes (probabilities), scored on ")
    assert cli.done(*EVALUATE[:-1]).startswith("model.pt: 1 output for 2 classes (probabilities)\n")


@pytest.mark.parametrize(("kind", "columns"), [("bool", False), ("float32", False), ("float64", True), ("uint8", True)])
def test_labels_of_any_type_are_taken(made: Made, kind: str, columns: bool) -> None:
    cli = made("logit", kind, columns)
    document = json.loads(cli.done(*EVALUATE))
    assert document["model"]["task"] == "classification"
    assert document["evaluation"]["accuracy"] == pytest.approx(((logits(0) > 0) == samples(0)[1]).mean())


def test_without_a_target_a_sigmoid_says_what_it_does(made: Made) -> None:
    cli = made("probability [N]")
    np.savez(cli.folder / "data.npz", x=samples()[0])
    document = json.loads(cli.done(*DECOMPOSE, "--json"))
    assert (document["model"]["task"], document["evaluation"]["original_accuracy"]) == ("classification", 1)


def test_values_are_a_regression_of_one_output(made: Made) -> None:
    cli = made("logit [N]")
    x = samples()[0]
    np.savez(cli.folder / "data.npz", x=x, y=x[:, 0])
    cli.done(*INSPECT)
    document = json.loads(cli.done(*DECOMPOSE, "--json"))
    assert (document["model"]["task"], document["model"]["outputs"]) == ("regression", 1)
    with torch.no_grad():
        module = torch.jit.load(cli.folder / "out/module-0.pt")
        assert module(torch.from_numpy(x)).shape == (COUNT, 1)
        assert module(torch.from_numpy(x[:1])).shape == (1, 1)


def test_labels_of_one_output_that_are_not_0_and_1(made: Made) -> None:
    cli = made("logit")
    np.savez(cli.folder / "data.npz", x=samples()[0], y=samples()[1] + 1)
    message = (
        "data.npz: array 'y': sample 2 has 2. A model with one output tells class 1 from class 0: label samples 0 or 1, or "
        "pass --task regression if these are values"
    )
    cli.refused(5, message, *DECOMPOSE)
    cli.refused(5, message, *EVALUATE[:-1])
    cli.done(*DECOMPOSE, "--task", "regression", "--quiet")


def test_an_output_that_can_not_be_taken_apart(made: Made) -> None:
    class Tanh(Binary):
        def forward(self, x: Tensor) -> Tensor:
            return torch.tanh(self.logit(x))

    cli = made("logit")
    networks.save(Tanh(""), cli.folder / "model.pt")
    line = next(n for n, text in enumerate(open(__file__), 1) if "return torch.tanh(self.logit(x))" in text)
    message = (
        "model.pt: its single output tells two classes apart, but can't be split into one output for each: aten::tanh at "
        f"test_binary.py:{line} stands after layer 'head' that makes it. Export a model whose last layer has an output for "
        "each class, [N, 2]"
    )
    cli.refused(6, message, *DECOMPOSE)
    cli.refused(6, message, *EVALUATE[:-1])


# Labels of models of several outputs


def test_labels_stored_as_floats_are_classes_where_they_are_whole_numbers(good: Cli) -> None:
    x, y = networks.samples()
    cli = good
    cli.done(*DECOMPOSE, "--quiet")
    np.savez(cli.folder / "data.npz", x=x, y=y.astype(np.float32))
    document = json.loads(cli.done(*DECOMPOSE[:-1], "floats", "--json"))
    assert document["model"]["task"] == "classification"
    for k in range(3):
        one, other = (torch.jit.load(cli.folder / f"{f}/module-{k}.pt").state_dict() for f in ("out", "floats"))
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_fractions_are_no_labels(good: Cli) -> None:
    x, y = networks.samples()
    np.savez(good.folder / "data.npz", x=x, y=np.where(y == 2, 0.5, y))
    message = (
        "data.npz: array 'y': sample 2 has 0.5. For a model with 3 outputs, targets [N] are class labels, whole "
        "numbers, and values of a regression have shape [N, 3]"
    )
    good.refused(5, message, *DECOMPOSE)
    good.refused(5, message, *EVALUATE[:-1])
