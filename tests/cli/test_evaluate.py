"""incite evaluate: the modules together against the original, on other data."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import networks
from conftest import DECOMPOSE, Cli, into, without_warnings

EVALUATE = ("evaluate", "out", "--data", "test.npz", "--threads", "1")


@pytest.fixture
def made(decomposed: tuple[Cli, str], tmp_path: Path) -> Cli:
    """A copy of a decomposition, with its model and data."""
    source, _ = decomposed
    shutil.copytree(source.folder, tmp_path, dirs_exist_ok=True)
    return Cli(source.binary, tmp_path)


def evaluate(cli: Cli, *options: Any) -> dict[str, Any]:
    return json.loads(cli.done(*EVALUATE, "--json", *options))


def edit(cli: Cli, **changes: Any) -> None:
    file = cli.folder / "out/decomposition.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_it_agrees_with_decompose_on_the_same_data(made: Cli) -> None:
    document = json.loads((made.folder / "out/decomposition.json").read_text())
    found = evaluate(made)
    for name, value in found["evaluation"].items():
        assert value == document["evaluation"][name]
    assert [m["accuracy"] for m in found["modules"]] == [m["accuracy"] for m in document["modules"]]


def test_it_agrees_for_regression(good: Cli) -> None:
    x, _ = networks.samples()
    np.savez(good.folder / "data.npz", x=x, y=x[:, :3])
    np.savez(good.folder / "test.npz", x=x[:50], y=x[:50, :3] + 0.1)
    document = json.loads(good.done(*DECOMPOSE, "--test", "test.npz", "--json"))
    found = evaluate(good)
    for name, value in found["evaluation"].items():
        assert value == document["evaluation"][name]
    assert [m["mae"] for m in found["modules"]] == [m["mae"] for m in document["modules"]]


def test_its_document(made: Cli) -> None:
    document = evaluate(made)
    decomposition = json.loads((made.folder / "out/decomposition.json").read_text())
    assert list(document) == ["schema", "model", "data", "modules", "evaluation", "costs", "warnings", "versions"]
    assert document["schema"] == 1
    assert document["model"] == {"file": "model.pt", "sha256": decomposition["model"]["sha256"]}
    sha256 = hashlib.sha256((made.folder / "test.npz").read_bytes()).hexdigest()
    assert document["data"] == {"file": "test.npz", "sha256": sha256}
    for module, as_made in zip(document["modules"], decomposition["modules"], strict=True):
        assert list(module) == [
            "output", "file", "parameters", "bytes", "compression", "multiply_adds", "accuracy", "balanced_accuracy", "balanced_accuracy_interval",
            "precision", *(["precision_interval"] if "precision_interval" in module else []), "recall", "recall_interval", "f1", "auc",
            "original",
        ]  # fmt: skip
        assert module == {name: as_made[name] for name in module}
    assert list(document["evaluation"]) == [
        "samples", "test_samples", "original_accuracy", "combined_accuracy", "accuracy_loss", "agreement_with_original",
        "original_ece", "combined_ece", "original_classes", "combined_classes", "original_confusion",
        "combined_confusion",
    ]  # fmt: skip
    assert document["costs"] == decomposition["costs"]
    assert document["versions"] == decomposition["versions"]


def test_its_table(made: Cli) -> None:
    lines = without_warnings(made.done(*EVALUATE)).splitlines()
    # 15 samples a class are few: their shares have intervals below.
    rows = [line.split() for line in lines[2:] if not line.startswith(" " * 20)]
    assert [row[:2] for row in rows[:6:2]] == [["0", "original"], ["1", "original"], ["2", "original"]]
    assert [row[0] for row in rows[1:6:2]] == ["module-0.pt", "module-1.pt", "module-2.pt"]
    assert [row[:1] for row in rows[6:11]] == [[], ["cost"], [11 * "-"], ["original"], ["all"]]
    assert lines[-3].startswith("Accuracy on 45 samples: original ")
    assert lines[-2].startswith("Agreement with the original: ")
    assert lines[-1].startswith("Expected calibration error: original ")
    assert max(map(len, lines[:-3])) <= 80


def test_its_measures_are_those_that_python_finds(made: Cli) -> None:
    found = evaluate(made)
    data = np.load(made.folder / "test.npz")
    x, y = torch.from_numpy(data["x"]), data["y"]
    with torch.no_grad():
        original = torch.jit.load(made.folder / "model.pt")(x).numpy()
        outputs = [torch.jit.load(made.folder / f"out/module-{k}.pt")(x).double().numpy() for k in range(3)]
    odds = np.stack([output[:, 1] - output[:, 0] for output in outputs], 1)
    together = odds.argmax(1)
    evaluation = found["evaluation"]
    assert evaluation["combined_accuracy"] == pytest.approx((together == y).mean())
    assert evaluation["agreement_with_original"] == pytest.approx((together == original.argmax(1)).mean())
    counts = np.zeros((3, 3), int)
    np.add.at(counts, (y, together), 1)
    assert evaluation["combined_confusion"] == counts.tolist()
    confidence = (np.exp(odds) / np.exp(odds).sum(1, keepdims=True)).max(1)
    bins = np.clip(np.ceil(15 * confidence).astype(int) - 1, 0, 14)
    gaps = [abs(((together == y).astype(float) - confidence)[bins == b].sum()) for b in range(15)]
    assert evaluation["combined_ece"] == pytest.approx(sum(gaps) / len(y))
    for k, module in enumerate(found["modules"]):
        yes, own = odds[:, k] > 0, y == k
        assert module["precision"] == pytest.approx((yes & own).sum() / yes.sum())
        assert module["recall"] == pytest.approx((yes & own).sum() / own.sum())
        pairs = odds[own, k][:, None] - odds[~own, k][None]
        assert module["auc"] == pytest.approx(((pairs > 0) + (pairs == 0) / 2).mean())


def test_latency_is_measured_when_asked_for(made: Cli) -> None:
    document = evaluate(made, "--latency")
    entries = [*document["modules"], *document["costs"].values()]
    assert all(entry["latency_ms"]["batch_1"] > 0 and entry["latency_ms"]["batch_256"] > 0 for entry in entries)
    together = sum(module["latency_ms"]["batch_1"] for module in document["modules"])
    assert document["costs"]["modules"]["latency_ms"]["batch_1"] == pytest.approx(together)
    assert "ms for 1  ms for 256" in made.done(*EVALUATE, "--latency")


def test_quiet_prints_nothing(made: Cli) -> None:
    assert made.done(*EVALUATE, "--quiet") == ""


def test_it_writes_nothing(made: Cli) -> None:
    names = sorted(path.name for path in made.folder.rglob("*"))
    evaluate(made)
    assert sorted(path.name for path in made.folder.rglob("*")) == names


def test_modules_for_some_classes_leave_out_samples_of_the_others(made: Cli) -> None:
    made.done(*into("some"), "--outputs", "0,2", "--quiet")
    document = json.loads(made.done("evaluate", "some", "--data", "test.npz", "--json", "--threads", "1"))
    assert document["evaluation"]["samples"] == 30


def test_a_model_that_was_moved(made: Cli) -> None:
    before = evaluate(made)
    (made.folder / "model.pt").rename(made.folder / "moved.pt")
    made.refused(3, "model.pt: the original model is not there; pass its file with --model", *EVALUATE)
    assert evaluate(made, "--model", "moved.pt")["evaluation"] == before["evaluation"]


def test_a_model_that_was_changed(made: Cli) -> None:
    networks.save(networks.mlp(seed=1), made.folder / "model.pt")
    message = "model.pt: not the model that out was decomposed from (the SHA-256 differs); pass that model with --model"
    made.refused(5, message, *EVALUATE)


def test_a_folder_without_a_decomposition(made: Cli) -> None:
    message = "nowhere/decomposition.json: no such file; expected the folder that 'incite decompose --out' wrote"
    made.refused(4, message, "evaluate", "nowhere", "--data", "test.npz")


@pytest.mark.parametrize("content", ["", "[]", "{", '{"schema": "one"}', '{"schema": 1}', "\x00"])
def test_a_damaged_document(made: Cli, content: str) -> None:
    (made.folder / "out/decomposition.json").write_text(content)
    made.refused(4, ("out/decomposition.json: not a decomposition, or damaged: ", "; decompose again"), *EVALUATE)


def test_a_document_of_another_schema(made: Cli) -> None:
    edit(made, schema=2)
    message = (
        "out/decomposition.json: schema 2; this version of incite reads schema 1. Decompose again, or use the version that wrote it"
    )
    made.refused(4, message, *EVALUATE)


def test_a_document_with_fields_of_a_newer_version_is_read(made: Cli) -> None:
    edit(made, more={"of": "this"})
    evaluate(made)


NOT_ITS_MODULES = (
    "out/decomposition.json: not a decomposition, or damaged: its modules do not match its model; decompose again"
)


def test_a_document_without_modules(made: Cli) -> None:
    edit(made, modules=[])
    made.refused(4, NOT_ITS_MODULES, *EVALUATE)


@pytest.mark.parametrize("change", [{"output": 7}, {"output": -1}, {"file": "../module-0.pt"}, {"file": ""}])
def test_a_document_with_a_module_that_can_not_be(made: Cli, change: dict[str, Any]) -> None:
    document = json.loads((made.folder / "out/decomposition.json").read_text())
    document["modules"][0].update(change)
    edit(made, modules=document["modules"])
    made.refused(4, NOT_ITS_MODULES, *EVALUATE)


def test_a_missing_module(made: Cli) -> None:
    (made.folder / "out/module-1.pt").unlink()
    made.refused(3, "out/module-1.pt: no such file", *EVALUATE)


def test_a_damaged_module(made: Cli) -> None:
    (made.folder / "out/module-1.pt").write_bytes(b"PK\x03\x04")
    made.refused(3, "out/module-1.pt: the file is truncated or damaged; copy or export it again", *EVALUATE)


def test_samples_of_another_shape(made: Cli) -> None:
    np.savez(made.folder / "test.npz", x=np.zeros((9, 7), np.float32), y=np.arange(9) % 3)
    made.refused(5, ("model.pt: does not take inputs of shape [N, 7]: ",), *EVALUATE)


def test_data_without_targets(made: Cli) -> None:
    np.savez(made.folder / "test.npz", x=networks.samples()[0])
    made.refused(4, "test.npz: no array 'y'; it holds: x. Pass --target-key.", *EVALUATE)


def test_data_without_a_sample_of_a_class_that_has_a_module(made: Cli) -> None:
    made.done(*into("some"), "--outputs", "0,2", "--quiet")
    x, y = networks.samples()
    np.savez(made.folder / "test.npz", x=x[y == 1], y=y[y == 1])
    message = "test.npz: no sample is of a class with a module; expected samples of these classes"
    made.refused(5, message, "evaluate", "some", "--data", "test.npz")


def test_other_keys(made: Cli) -> None:
    before = evaluate(made)
    x, y = networks.samples(45, seed=1)
    np.savez(made.folder / "test.npz", images=2 * x, labels=y)
    keys = ("--input-key", "images", "--target-key", "labels", "--input-scale", "0.5")
    assert evaluate(made, *keys)["evaluation"] == before["evaluation"]


class Composed(torch.nn.Module):
    """The log-odds of several modules side by side: [N, modules]."""

    def __init__(self, modules: list[torch.jit.ScriptModule]) -> None:
        super().__init__()
        self.parts = torch.nn.ModuleList(modules)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        odds = []
        for part in self.parts:
            outputs = part(x)
            odds.append(outputs[:, 1] - outputs[:, 0])
        return torch.stack(odds, 1)


def of_model(cli: Cli, *arguments: Any) -> dict[str, Any]:
    return json.loads(cli.done("evaluate", *arguments, "--threads", "1", "--json"))


def test_a_model_by_itself(made: Cli) -> None:
    document = of_model(made, "model.pt", "--data", "test.npz")
    beside = evaluate(made)
    assert list(document) == ["schema", "model", "data", "evaluation", "costs", "warnings", "versions"]
    assert document["model"] == {
        "file": "model.pt",
        "sha256": beside["model"]["sha256"],
        "outputs": 3,
        "output_kind": "logits",
        "task": "classification",
    }
    assert document["data"] == beside["data"]
    assert document["costs"] == {"model": beside["costs"]["original"]}
    assert document["evaluation"] == {
        "samples": 45,
        "accuracy": beside["evaluation"]["original_accuracy"],
        "ece": beside["evaluation"]["original_ece"],
        "classes": beside["evaluation"]["original_classes"],
        "confusion": beside["evaluation"]["original_confusion"],
    }


def test_a_model_composed_of_modules(made: Cli) -> None:
    modules = [torch.jit.load(made.folder / f"out/module-{k}.pt") for k in range(3)]
    networks.save(Composed(modules), made.folder / "composed.pt")
    found = of_model(made, "composed.pt", "--data", "test.npz")
    expected = evaluate(made)
    assert found["model"]["output_kind"] == "logits"
    for name, value in found["evaluation"].items():
        of_modules = "samples" if name == "samples" else f"combined_{name}"
        if name == "ece":  # log-odds in float32, not float64
            assert value == pytest.approx(expected["evaluation"][of_modules], abs=1e-6)
        else:
            assert value == expected["evaluation"][of_modules]
    for name in ("parameters", "multiply_adds"):
        assert found["costs"]["model"][name] == expected["costs"]["modules"][name]


def test_a_regression_by_itself(good: Cli) -> None:
    x, _ = networks.samples()
    np.savez(good.folder / "data.npz", images=x, y=x[:, :3])
    document = of_model(good, "model.pt", "--data", "data.npz", "--input-key", "images", "--input-scale", "2")
    with torch.no_grad():
        errors = torch.jit.load(good.folder / "model.pt")(torch.from_numpy(2 * x)).numpy() - x[:, :3]
    assert document["model"]["task"] == "regression"
    assert document["evaluation"]["mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-5)
    for k, output in enumerate(document["evaluation"]["outputs"]):
        assert list(output) == ["output", "mae", "rmse", "r2"]
        assert output["rmse"] == pytest.approx(np.sqrt((errors[:, k] ** 2).mean()), rel=1e-5)
        assert output["r2"] == pytest.approx(1 - (errors[:, k] ** 2).mean() / x[:, k].var(), rel=1e-4)


def test_the_table_of_a_model(made: Cli) -> None:
    lines = without_warnings(made.done("evaluate", "model.pt", "--data", "test.npz", "--latency")).splitlines()
    assert lines[0] == "model.pt: 3 outputs (logits)"
    rows = [line for line in lines[4:] if not line.startswith(" ")]
    assert [row.split()[0] for row in rows[:3]] == ["0", "1", "2"]
    assert lines[-1].startswith("Accuracy on 45 samples: ")


def test_a_model_that_is_not_there(made: Cli) -> None:
    made.refused(3, "none.pt: no such file", "evaluate", "none.pt", "--data", "test.npz")


def test_options_of_the_other_way(made: Cli) -> None:
    message = "--model: the first argument is already a model; leave out --model"
    made.refused(2, message, "evaluate", "model.pt", "--data", "test.npz", "--model", "model.pt")
    message = "--task: the modules of a folder keep the task and output that they were made for; leave out --task"
    made.refused(2, message, *EVALUATE, "--task", "regression")


def test_a_model_with_one_output_is_no_classifier_of_three_classes(made: Cli) -> None:
    networks.save(networks.mlp(outputs=1), made.folder / "one.pt")
    message = (
        "test.npz: array 'y': sample 2 has 2. A model with one output tells class 1 from class 0: label samples 0 or 1, or "
        "pass --task regression if these are values"
    )
    made.refused(5, message, "evaluate", "one.pt", "--data", "test.npz")
