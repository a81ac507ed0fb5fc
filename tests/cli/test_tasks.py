"""What can be decomposed: kinds of targets and outputs, heads, presets."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import networks
from conftest import DECOMPOSE, Cli, into
from networks import CLASSES, FEATURES

WithData = Callable[..., Cli]
WithModel = Callable[[nn.Module], Cli]


def decompose(cli: Cli, *options: Any) -> dict[str, Any]:
    return json.loads(cli.done(*DECOMPOSE, "--json", *options))


def decompose_into(cli: Cli, folder: str, *options: Any) -> dict[str, Any]:
    return json.loads(cli.done(*into(folder), "--json", *options))


def module_outputs(cli: Cli, output: int, x: np.ndarray) -> Tensor:
    with torch.no_grad():
        return torch.jit.load(cli.folder / f"out/module-{output}.pt")(torch.from_numpy(x))


def modules_of(cli: Cli, folder: str) -> list[bytes]:
    return [file.read_bytes() for file in sorted((cli.folder / folder).glob("module-*.pt"))]


# ---- Targets --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_whole_numbers_are_classes(with_data: WithData, dtype: str) -> None:
    x, y = networks.samples()
    document = decompose(with_data(x=x, y=y.astype(dtype)))
    assert document["model"]["task"] == document["settings"]["task"] == "classification"


@pytest.mark.parametrize("dtype", ["uint8", "float32", "bool"])
def test_one_hot_rows_are_classes(with_data: WithData, dtype: str) -> None:
    x, y = networks.samples()
    cli = with_data(x=x, y=np.eye(CLASSES)[y].astype(dtype))
    assert decompose(cli)["model"]["task"] == "classification"
    np.savez(cli.folder / "data.npz", x=x, y=y)
    cli.done(*into("labels"), "--quiet")
    assert modules_of(cli, "out") == modules_of(cli, "labels")


def test_real_values_are_regression(with_data: WithData) -> None:
    x, y = networks.samples()
    values = np.stack([x[:, 0], x[:, 1] * x[:, 2], x.sum(1)], axis=1)
    cli = with_data(x=x, y=values)
    document = decompose(cli)
    assert document["model"]["task"] == "regression"
    assert document["settings"]["metric"] == "absolute"
    assert all("mae" in module and "accuracy" not in module for module in document["modules"])
    evaluation = document["evaluation"]
    assert list(evaluation)[:5] == ["samples", "test_samples", "original_mae", "combined_mae", "mae_gain"]
    assert evaluation["mae_gain"] == pytest.approx(evaluation["combined_mae"] / evaluation["original_mae"] - 1)
    assert evaluation["combined_mae"] == pytest.approx(sum(module["mae"] for module in document["modules"]) / 3)
    assert module_outputs(cli, 1, x).shape == (90, 1)


def test_a_single_value_is_regression_too(with_data: WithData) -> None:
    x, _ = networks.samples()
    cli = with_data(x=x, y=x[:, 0])
    networks.save(networks.mlp(outputs=1), cli.folder / "model.pt")
    document = decompose(cli)
    assert [module["output"] for module in document["modules"]] == [0]
    assert document["evaluation"]["mean_overlap"] == 1


def test_the_error_of_a_regression_module_is_what_python_finds(with_data: WithData) -> None:
    x, _ = networks.samples()
    values = np.stack([x[:, 0], x[:, 1], x[:, 2]], axis=1)
    cli = with_data(x=x, y=values)
    np.savez(cli.folder / "test.npz", x=x[:40] + 1, y=values[:40])
    document = decompose(cli, "--test", "test.npz")
    for module in document["modules"]:
        found = module_outputs(cli, module["output"], x[:40] + 1)[:, 0].numpy()
        assert module["mae"] == pytest.approx(np.abs(found - values[:40, module["output"]]).mean(), rel=1e-5)


def test_the_task_can_be_said(with_data: WithData) -> None:
    x, y = networks.samples()
    cli = with_data(x=x, y=np.eye(CLASSES)[y])
    assert decompose(cli, "--task", "regression")["model"]["task"] == "regression"


# ---- Outputs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("last", "kind"),
    [
        (None, "logits"),
        (nn.Softmax(1), "probabilities"),
        (nn.LogSoftmax(1), "log-probabilities"),
        (nn.Sigmoid(), "sigmoid"),
    ],
)
def test_a_module_gives_outputs_of_the_models_kind(with_model: WithModel, last: nn.Module | None, kind: str) -> None:
    cli = with_model(networks.mlp(last))
    document = decompose(cli, "--keep", "0.6")
    assert document["model"]["output_kind"] == kind
    x, y = networks.samples()
    for output in range(CLASSES):
        found = module_outputs(cli, output, x)
        assert found.shape == (90, 2)
        if kind == "probabilities":
            assert torch.allclose(found.sum(1), torch.ones(90))
        if kind == "log-probabilities":
            assert torch.allclose(found.exp().sum(1), torch.ones(90))
        if kind == "sigmoid":
            assert 0 <= found.min() and found.max() <= 1
        # The second column is the class: these are easy data.
        assert ((found[:, 1] > found[:, 0]).numpy() == (y == output)).mean() > 0.9


@pytest.mark.parametrize(
    "last", [nn.Softmax(1), nn.LogSoftmax(1), nn.Sigmoid()], ids=lambda layer: type(layer).__name__
)
def test_without_a_target_the_models_own_outputs_serve(with_model: WithModel, last: nn.Module) -> None:
    cli = with_model(networks.mlp(last))
    x = 5 * np.random.default_rng(0).standard_normal((300, FEATURES), np.float32)  # some of every class
    np.savez(cli.folder / "data.npz", x=x)
    document = decompose(cli, "--outputs", "0,2")
    assert document["data"]["targets"] == "model"
    assert document["evaluation"]["original_accuracy"] == 1
    assert "own outputs serve as targets" in cli.done(*into("again"), "--outputs", "0,2")


def test_without_a_target_regression_can_be_asked_for(with_data: WithData) -> None:
    document = decompose(with_data(x=networks.samples()[0]), "--task", "regression")
    assert document["data"]["targets"] == "model"
    assert document["evaluation"]["original_mae"] == pytest.approx(0, abs=1e-6)  # in batches of other sizes


def test_only_the_outputs_asked_for_get_modules(good: Cli) -> None:
    document = decompose(good, "--outputs", "2,0,2")
    assert [module["output"] for module in document["modules"]] == [0, 2]
    assert document["settings"]["outputs"] == [0, 2]
    assert [file.name for file in sorted((good.folder / "out").glob("*.pt"))] == ["module-0.pt", "module-2.pt"]


def test_a_single_classifier_has_no_combined_accuracy(good: Cli) -> None:
    evaluation = decompose(good, "--outputs", "1")["evaluation"]
    assert evaluation["combined_accuracy"] is None and evaluation["accuracy_loss"] is None


# ---- Method ---------------------------------------------------------------------------------------------------------


def test_keeping_all_with_the_original_head_changes_nothing(good: Cli) -> None:
    document = decompose(good, "--keep", "1", "--head", "original")
    assert document["evaluation"]["accuracy_loss"] == 0
    x, _ = networks.samples()
    with torch.no_grad():
        expected = torch.jit.load(good.folder / "model.pt")(torch.from_numpy(x))
    for module in document["modules"]:
        assert module["compression"] == 1
        assert module["kept"] == {"0": list(range(8)), "2": [0, 1, 2]}
        assert torch.equal(module_outputs(good, module["output"], x), expected)


def test_the_original_head_keeps_all_columns(good: Cli) -> None:
    document = decompose(good, "--head", "original")
    assert document["modules"][0]["kept"]["2"] == [0, 1, 2]
    assert module_outputs(good, 0, networks.samples()[0]).shape == (90, CLASSES)


def test_a_head_by_adam_gets_better_with_epochs_and_lbfgs_is_best(good: Cli) -> None:
    x, y = networks.samples()
    losses = []
    for head in (("adam", "--epochs", "2"), ("adam", "--epochs", "200"), ("lbfgs",)):
        decompose(good, "--outputs", "1", "--force", "--head", *head)
        answers = torch.from_numpy((y == 1).astype(np.int64))
        share = torch.bincount(answers, minlength=2) / len(answers)  # heads weigh both answers equally
        losses.append(float(nn.functional.cross_entropy(module_outputs(good, 1, x), answers, 1 / share)))
    assert losses[0] > losses[1] + 0.05 > losses[2] + 0.1


def test_the_papers_preset(good: Cli) -> None:
    settings = decompose(good, "--preset", "paper", "--epochs", "2")["settings"]
    names = ("metric", "factors", "clustering", "cluster_size", "keep", "allocation", "repair", "head", "calibration")
    assert {name: settings[name] for name in names} == {
        "metric": "flips",
        "factors": [1.1, 0.9, 0.0],
        "clustering": "agglomerative",
        "cluster_size": 10,
        "keep": 0.6,
        "allocation": "uniform",
        "repair": "none",
        "head": "adam",
        "calibration": "none",
    }


def test_repair_brings_the_layers_behind_the_first_nearer_to_the_original(cli: Cli) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(FEATURES, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, CLASSES)).eval()
    networks.save(model, cli.folder / "model.pt")
    networks.save_data(cli.folder / "data.npz", 300)
    document = decompose(cli, "--outputs", "1", "--repair", "least-squares")
    decompose_into(cli, "plain", "--outputs", "1", "--repair", "none")
    kept = document["modules"][0]["kept"]["2"]
    x = torch.from_numpy(networks.samples(300)[0])
    with torch.no_grad():
        wanted = model[:3](x)[:, kept]
        errors = []
        for folder in ("out", "plain"):
            state = torch.jit.load(cli.folder / folder / "module-1.pt").state_dict()
            hidden = torch.relu(x @ state["0.weight"].T + state["0.bias"])
            errors.append(float((hidden @ state["2.weight"].T + state["2.bias"] - wanted).square().mean()))
    assert errors[0] < errors[1]


def test_the_original_head_goes_with_no_repair_unless_asked_for(good: Cli) -> None:
    original = torch.jit.load(good.folder / "model.pt").state_dict()["2.weight"]
    rows_are_the_models = []
    for repair in ((), ("--repair", "least-squares")):
        (module,) = decompose(good, "--outputs", "0", "--force", "--head", "original", *repair)["modules"]
        found = torch.jit.load(good.folder / "out/module-0.pt").state_dict()["2.weight"]
        rows_are_the_models.append(torch.equal(found, original[:, module["kept"]["0"]]))
    assert rows_are_the_models == [True, False]


def test_options_beside_a_preset_win(good: Cli) -> None:
    options = ("--preset", "paper", "--head", "lbfgs", "--cluster-size", "2", "--metric", "probability", "--factors", "0,2")
    document = decompose(good, *options)
    settings = document["settings"]
    assert document["groups"][0]["clusters"] == 4  # 8 units by 2
    named = {name: settings[name] for name in ("metric", "factors", "clustering", "cluster_size", "head")}
    assert named == {
        "metric": "probability",
        "factors": [0.0, 2.0],
        "clustering": "agglomerative",
        "cluster_size": 2,
        "head": "lbfgs",
    }


@pytest.mark.parametrize("clustering", ["kmeans", "agglomerative", "none"])
def test_every_clustering_covers_the_group(good: Cli, clustering: str) -> None:
    document = decompose(good, "--clustering", clustering, "--cluster-size", "2")
    assert document["groups"][0]["clusters"] == (8 if clustering == "none" else 4)


# ---- Input ----------------------------------------------------------------------------------------------------------


def test_bytes_are_scaled_to_one(cli: Cli) -> None:
    networks.save(networks.ConvNet(), cli.folder / "model.pt")
    x = np.random.default_rng(0).integers(0, 256, (30, 1, 8, 8), np.uint8)
    np.savez(cli.folder / "data.npz", x=x, y=np.arange(30) % CLASSES)
    assert decompose(cli)["settings"]["input_scale"] == 1 / 255
    np.savez(cli.folder / "data.npz", x=x.astype(np.float32) * np.float32(1 / 255), y=np.arange(30) % CLASSES)
    cli.done(*into("floats"), "--quiet")
    for output in range(CLASSES):
        states = [torch.jit.load(cli.folder / f"{name}/module-{output}.pt").state_dict() for name in ("out", "floats")]
        assert all(torch.equal(states[0][key], states[1][key]) for key in states[1])


def test_flat_samples_are_given_the_shape_that_was_said(cli: Cli) -> None:
    networks.save(networks.ConvNet(), cli.folder / "model.pt")
    x = np.random.default_rng(0).random((30, 64), np.float32)
    np.savez(cli.folder / "data.npz", images=x, labels=np.arange(30) % CLASSES)
    keys = ("--input-key", "images", "--target-key", "labels", "--input-shape", "1,8,8")
    settings = decompose(cli, *keys)["settings"]
    assert (settings["input_key"], settings["target_key"]) == ("images", "labels")
    assert settings["input_shape"] == [1, 8, 8]
    evaluation = json.loads(cli.done("evaluate", "out", "--data", "data.npz", "--json", "--threads", "1"))
    assert evaluation["evaluation"]["samples"] == 30


def test_a_trace_is_as_good_as_a_script(good: Cli) -> None:
    decompose(good)
    networks.save(networks.mlp(), good.folder / "model.pt", torch.zeros(2, FEATURES))
    document = json.loads(good.done(*into("traced"), "--json"))
    scripted = json.loads((good.folder / "out/decomposition.json").read_text())
    assert [module["kept"] for module in document["modules"]] == [module["kept"] for module in scripted["modules"]]
    assert document["evaluation"] == scripted["evaluation"]


def test_heads_that_read_no_unit_are_fitted_together_too(with_model: WithModel) -> None:
    document = decompose(with_model(networks.Gated()))
    assert len(document["head_losses"]) >= 1
    assert all(len(module["kept"]["hidden"]) < networks.HIDDEN for module in document["modules"])
