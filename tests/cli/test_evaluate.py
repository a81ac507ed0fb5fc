"""incite evaluate: the modules together against the original, on other data."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import networks
from conftest import DECOMPOSE, Cli, into

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
    assert list(document) == ["schema", "model", "data", "modules", "evaluation", "versions"]
    assert document["schema"] == 1
    assert document["model"] == {"file": "model.pt", "sha256": decomposition["model"]["sha256"]}
    sha256 = hashlib.sha256((made.folder / "test.npz").read_bytes()).hexdigest()
    assert document["data"] == {"file": "test.npz", "sha256": sha256}
    assert [list(module) for module in document["modules"]] == [
        ["output", "file", "parameters", "compression", "accuracy"]
    ] * 3
    assert list(document["evaluation"]) == ["samples", "original_accuracy", "combined_accuracy", "accuracy_loss"]
    assert document["versions"] == decomposition["versions"]


def test_its_table(made: Cli) -> None:
    lines = made.done(*EVALUATE).splitlines()
    assert [line.split()[0] for line in lines[2:5]] == ["module-0.pt", "module-1.pt", "module-2.pt"]
    assert lines[-1].startswith("Accuracy on 45 samples: original ")


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
    made.refused(3, "model.pt: the original model is not there; say where it is with --model", *EVALUATE)
    assert evaluate(made, "--model", "moved.pt")["evaluation"] == before["evaluation"]


def test_a_model_that_was_changed(made: Cli) -> None:
    networks.save(networks.mlp(seed=1), made.folder / "model.pt")
    message = "model.pt: not the model that out was decomposed from (its SHA-256 differs); pass that one with --model"
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
        "out/decomposition.json: schema 2; this incite reads schema 1. Decompose again, or use the incite that wrote it"
    )
    made.refused(4, message, *EVALUATE)


def test_a_document_with_fields_of_a_newer_version_is_read(made: Cli) -> None:
    edit(made, more={"of": "this"})
    evaluate(made)


NOT_ITS_MODULES = (
    "out/decomposition.json: not a decomposition, or damaged: its modules are not those of its model; decompose again"
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
    message = "test.npz: no sample is of a class that has a module, so there is nothing to evaluate"
    made.refused(5, message, "evaluate", "some", "--data", "test.npz")


def test_other_keys(made: Cli) -> None:
    before = evaluate(made)
    x, y = networks.samples(45, seed=1)
    np.savez(made.folder / "test.npz", images=2 * x, labels=y)
    keys = ("--input-key", "images", "--target-key", "labels", "--input-scale", "0.5")
    assert evaluate(made, *keys)["evaluation"] == before["evaluation"]
