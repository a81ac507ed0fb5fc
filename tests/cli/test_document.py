"""decomposition.json: every field, and that it is what --json prints."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conftest import DECOMPOSE, Cli

Decomposed = tuple[Cli, str]


@pytest.fixture
def document(decomposed: Decomposed) -> dict[str, Any]:
    return json.loads(decomposed[1])


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def parameters(file: Path) -> int:
    return sum(parameter.numel() for parameter in torch.jit.load(file).parameters())


def test_what_json_prints_is_the_file(decomposed: Decomposed) -> None:
    cli, printed = decomposed
    assert printed == (cli.folder / "out/decomposition.json").read_text()


def test_the_fields_are_these(document: dict[str, Any]) -> None:
    assert list(document) == [
        "schema", "model", "data", "test", "settings", "groups", "scoring", "scores", "search",
        "head_losses", "last_layer_losses", "finetuning_losses", "modules", "evaluation", "costs", "warnings", "timing",
        "versions",
    ]  # fmt: skip
    assert document["schema"] == 1


def test_the_model_is_described(decomposed: Decomposed, document: dict[str, Any]) -> None:
    file = decomposed[0].folder / "model.pt"
    assert document["model"] == {
        "file": "model.pt",
        "sha256": sha256(file),
        "parameters": parameters(file),
        "outputs": 3,
        "output_kind": "logits",
        "task": "classification",
    }


def test_the_data_is_described(decomposed: Decomposed, document: dict[str, Any]) -> None:
    folder = decomposed[0].folder
    assert document["data"] == {
        "file": "data.npz",
        "sha256": sha256(folder / "data.npz"),
        "samples": 90,
        "fit_samples": 90,
        "validation_samples": 18,
        "scored_samples": 90,
        "targets": "data",
    }
    assert document["test"] == {
        "file": "test.npz",
        "sha256": sha256(folder / "test.npz"),
        "samples": 45,
        "held_out": False,
    }


def test_the_settings_are_all_options_in_force(document: dict[str, Any]) -> None:
    settings = dict(document["settings"])
    assert settings.pop("memory") == 0  # half of what is free
    assert settings == {
        "task": "classification",
        "input_key": "x",
        "target_key": "y",
        "input_scale": 1.0,
        "input_shape": [],
        "input_layout": "as-stored",
        "output": "",
        "metric": "probability",
        "scoring": "mutation",
        "factors": [0.0],
        "clustering": "kmeans",
        "cluster_size": 0,
        "keep": 0.6,
        "target_compression": None,
        "max_loss": None,
        "allocation": "uniform",
        "samples": 0,
        "agreement": 0.99,
        "repair": "least-squares",
        "head": "lbfgs",
        "epochs": 128,
        "calibration": "layers",
        "finetune": 0,
        "outputs": [0, 1, 2],
        "modules": "each",
        "names": "",
        "held_out": 0.0,
        "seed": 0,
        "device": "cpu",
        "tf32": False,
        "format": "torchscript",
        "threads": 1,
    }


def test_the_groups_are_the_layers_and_their_units(document: dict[str, Any]) -> None:
    assert document["groups"] == [
        {"layers": ["0"], "units": 8, "clusters": 8, "pinned": 0, "scored_samples": 90, "agreement": 1.0},
        {"layers": ["2"], "units": 3, "clusters": 0, "pinned": 3, "scored_samples": 0, "agreement": 1.0},
    ]


def test_the_scoring_is_described(document: dict[str, Any]) -> None:
    scoring = dict(document["scoring"])
    assert scoring.pop("chunk") >= 1 and scoring.pop("batch") >= 1
    # A unit of 8 gone: one column of the output layer's three rows, for each of 8 mutants and 90 samples.
    assert scoring == {"method": "mutation", "reason": "mutants take little", "mutants": 8, "passes": 0, "multiply_adds": 8 * 90 * 3}


def test_the_modules_are_described(decomposed: Decomposed, document: dict[str, Any]) -> None:
    folder = decomposed[0].folder / "out"
    assert [module["output"] for module in document["modules"]] == [0, 1, 2]
    for module in document["modules"]:
        assert list(module) == [
            "output", "file", "parameters", "bytes", "compression", "slice_difference", "multiply_adds", "calibration", "accuracy",
            "balanced_accuracy", "balanced_accuracy_interval", "precision", *(["precision_interval"] if "precision_interval" in module else []), "recall", "recall_interval", "f1", "auc", "original", "kept",
        ]  # fmt: skip
        file = folder / module["file"]
        assert module["file"] == f"module-{module['output']}.pt"
        assert module["bytes"] == file.stat().st_size
        assert module["parameters"] == parameters(file)
        assert module["compression"] == pytest.approx(document["model"]["parameters"] / module["parameters"])
        assert 0 <= module["slice_difference"] <= 1e-5
        assert 0 <= module["accuracy"] <= 1


def test_a_module_keeps_the_share_asked_for(document: dict[str, Any]) -> None:
    for module in document["modules"]:
        assert len(module["kept"]["0"]) == 5  # ceil(0.6 * 8) clusters of one unit
        assert module["kept"]["0"] == sorted(set(module["kept"]["0"]))
        assert set(module["kept"]["0"]) <= set(range(8))
        assert module["kept"]["2"] == [module["output"]]


def test_the_evaluation_is_in_the_document(document: dict[str, Any]) -> None:
    evaluation = document["evaluation"]
    assert list(evaluation) == [
        "samples", "test_samples", "original_accuracy", "combined_accuracy", "accuracy_loss", "agreement_with_original",
        "original_ece", "combined_ece", "original_classes", "combined_classes", "original_confusion",
        "combined_confusion", "mean_overlap", "mean_compression", "overlap",
    ]  # fmt: skip
    assert evaluation["samples"] == 45
    assert evaluation["accuracy_loss"] == evaluation["original_accuracy"] - evaluation["combined_accuracy"]
    modules = document["modules"]
    assert evaluation["mean_compression"] == pytest.approx(sum(m["compression"] for m in modules) / 3)
    kept = [set(module["kept"]["0"]) for module in modules]
    overlaps = [len(kept[a] & kept[b]) / len(kept[a] | kept[b]) for a, b in ((0, 1), (0, 2), (1, 2))]
    assert evaluation["mean_overlap"] == pytest.approx(sum(overlaps) / 3)
    found = evaluation["overlap"]
    assert [found[0][1], found[0][2], found[1][2]] == pytest.approx(overlaps)
    assert [found[i][i] for i in range(3)] == [1, 1, 1]


def test_the_costs_are_counted(decomposed: Decomposed, document: dict[str, Any]) -> None:
    # Two linear layers, 6 inputs, 8 units, 3 outputs; a module keeps some of the units and has 2 outputs.
    for module in document["modules"]:
        units = len(module["kept"]["0"])
        assert module["multiply_adds"] == 6 * units + units * 2
    assert document["costs"] == {
        "original": {
            "parameters": document["model"]["parameters"],
            "bytes": (decomposed[0].folder / "model.pt").stat().st_size,
            "multiply_adds": 6 * 8 + 8 * 3,
        },
        "modules": {
            name: sum(module[name] for module in document["modules"])
            for name in ("parameters", "bytes", "multiply_adds")
        },
    }


def test_timing_and_versions_are_in_the_document(document: dict[str, Any], decomposed: Decomposed) -> None:
    timing = document["timing"]
    assert list(timing) == ["load", "analysis", "clustering", "scoring", "modules", "evaluation", "total"]
    assert timing["total"] == pytest.approx(sum(timing.values()) - timing["total"])
    version = decomposed[0].done("--version").split()[1]
    assert document["versions"] == {"incite": version, "torch": torch.__version__.split("+")[0]}


def test_the_original_accuracy_is_what_python_finds(decomposed: Decomposed, document: dict[str, Any]) -> None:
    folder = decomposed[0].folder
    data = np.load(folder / "test.npz")
    with torch.no_grad():
        found = torch.jit.load(folder / "model.pt")(torch.from_numpy(data["x"])).argmax(1).numpy()
    assert document["evaluation"]["original_accuracy"] == pytest.approx((found == data["y"]).mean())


def test_held_out_samples_are_said(good: Cli) -> None:
    document = json.loads(good.done(*DECOMPOSE, "--json", "--held-out", "0.3", "--samples", "40"))
    assert document["data"]["samples"] == 90
    assert document["data"]["fit_samples"] == 63
    assert document["data"]["scored_samples"] == 40
    assert document["settings"]["agreement"] is None and document["groups"][0]["agreement"] is None
    assert document["test"] == {
        "file": "data.npz",
        "sha256": document["data"]["sha256"],
        "samples": 27,
        "held_out": True,
    }
    assert document["settings"]["held_out"] == 0.3
    assert document["settings"]["samples"] == 40
