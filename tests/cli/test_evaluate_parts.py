"""incite evaluate: a module, and a composition of some classes' modules, on samples of all classes."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import networks
from conftest import Cli

QUICK = ("--threads", "1", "--quiet")
CLASSES = 5
COUNT = 250


def five(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points around one centre for each of five classes."""
    random = np.random.default_rng(seed)
    classes = np.arange(COUNT) % CLASSES
    centres = 1.5 * np.random.default_rng(7).standard_normal((CLASSES, networks.FEATURES))
    return (centres[classes] + random.standard_normal((COUNT, networks.FEATURES))).astype(np.float32), classes


@pytest.fixture(scope="session")
def source(binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """A classifier of five classes and a regression of three values, decomposed into out and values."""
    cli = Cli(binary, tmp_path_factory.mktemp("parts"))
    x, y = five(0)
    np.savez(cli.folder / "data.npz", x=x, y=y)
    x, y = five(1)
    np.savez(cli.folder / "test.npz", x=x, y=y)
    model = networks.mlp(outputs=CLASSES)
    networks.train(model, *five(0))
    networks.save(model, cli.folder / "model.pt")
    cli.done("decompose", "model.pt", "--data", "data.npz", "--out", "out", *QUICK)
    np.savez(cli.folder / "values.npz", x=x, y=x[:, :3])
    networks.save(networks.mlp(), cli.folder / "values.pt")
    cli.done("decompose", "values.pt", "--data", "values.npz", "--out", "values", *QUICK)
    return cli


@pytest.fixture
def made(source: Cli, tmp_path: Path) -> Cli:
    shutil.copytree(source.folder, tmp_path, dirs_exist_ok=True)
    return Cli(source.binary, tmp_path)


def compose(cli: Cli, *arguments: Any) -> None:
    cli.done("compose", *arguments, "--out", "combined.pt", "--force", *QUICK)


def evaluate(cli: Cli, file: str, data: str = "test.npz", *options: Any) -> dict[str, Any]:
    return json.loads(cli.done("evaluate", file, "--data", data, "--threads", "1", "--json", *options))


@torch.no_grad()
def columns(cli: Cli, file: str) -> np.ndarray:
    return torch.jit.load(cli.folder / file)(torch.from_numpy(five(1)[0])).numpy()


def strip(cli: Cli, file: str) -> None:
    """Removes the identity of a module, as if an older program had written it."""
    module = torch.jit.load(cli.folder / file)
    assert hasattr(module, "incite")
    torch.jit.freeze(module.eval(), preserved_attrs=[]).save(str(cli.folder / file))


# A composition of some classes


@pytest.mark.parametrize("arguments", [("out/module-4.pt", "out/module-1.pt"), ("out", "--remove", "0,2,3")])
def test_a_composition_of_some_classes_is_measured_on_samples_of_them(made: Cli, arguments: tuple[str, ...]) -> None:
    compose(made, *arguments)
    labels = torch.jit.load(made.folder / "combined.pt").outputs
    assert sorted(labels) == [1, 4]
    document = evaluate(made, "combined.pt")
    found, y = columns(made, "combined.pt"), five(1)[1]
    covered = np.isin(y, labels)
    assert document["model"]["labels"] == labels
    assert document["evaluation"]["all_samples"] == COUNT
    assert document["evaluation"]["samples"] == covered.sum() == 100
    right = np.array(labels)[found[covered].argmax(1)] == y[covered]
    assert document["evaluation"]["accuracy"] == pytest.approx(right.mean())
    for k, entry in enumerate(document["evaluation"]["alone"]):
        yes, own = found[:, k] > 0, y == labels[k]
        assert (entry["output"], entry["samples"]) == (labels[k], 50)
        assert entry["accuracy"] == pytest.approx((yes == own).mean())
        assert entry["precision"] == pytest.approx((yes & own).sum() / yes.sum())
        assert entry["recall"] == pytest.approx((yes & own).sum() / own.sum())
        above, ties = (found[own, k][:, None] > found[~own, k]), (found[own, k][:, None] == found[~own, k])
        assert entry["auc"] == pytest.approx((above + ties / 2).mean())


def test_its_columns_alone_are_what_a_folders_modules_are(made: Cli) -> None:
    compose(made, "out", "--remove", "0")
    alone = evaluate(made, "combined.pt")["evaluation"]["alone"]
    modules = evaluate(made, "out")["modules"][1:]
    for entry, module in zip(alone, modules, strict=True):
        for name in ("output", "accuracy", "precision", "recall", "f1"):
            assert entry[name] == module[name]


def test_its_table_says_what_measures_are_over(made: Cli) -> None:
    compose(made, "out/module-1.pt", "out/module-4.pt", "--names", "cat,4")
    lines = made.done("evaluate", "combined.pt", "--data", "test.npz", "--threads", "1").splitlines()
    assert lines[0] == "combined.pt: 2 outputs (logits)"
    assert lines[2].split() == ["class", "samples", "accuracy", "precision", "recall", "F1", "AUC"]
    assert lines[4].split()[:3] == ["1", "(cat)", "50"]
    assert lines[5].split()[:2] == ["4", "50"]
    assert lines[6] == "Each column by itself on all 250 samples: it says yes where it is above 0."
    assert lines[-1].startswith("Accuracy on 100 of 250 samples, those of classes 1 and 4: ")


def test_columns_in_another_order_keep_their_classes(made: Cli) -> None:
    compose(made, "out")
    expected = evaluate(made, "combined.pt")["evaluation"]
    compose(made, *(f"out/module-{k}.pt" for k in (3, 0, 4, 1, 2)))
    found = evaluate(made, "combined.pt")["evaluation"]
    assert found["accuracy"] == expected["accuracy"] > 0.8
    assert sorted(found["classes"], key=lambda entry: entry["output"]) == expected["classes"]


def test_a_replacement_is_for_the_class_of_what_it_replaces(made: Cli) -> None:
    shutil.copytree(made.folder / "out", made.folder / "other")
    compose(made, "out", "--replace", "3=other/module-1.pt")
    assert torch.jit.load(made.folder / "combined.pt").outputs == [0, 1, 2, 3, 4]


def test_labels_are_columns_where_two_models_have_the_same_numbers(made: Cli) -> None:
    shutil.copytree(made.folder / "out", made.folder / "other")
    compose(made, "out/module-0.pt", "other/module-0.pt")
    x, y = five(1)
    np.savez(made.folder / "two.npz", x=x, y=y % 2)
    document = evaluate(made, "combined.pt", "two.npz")
    assert document["model"]["labels"] == [0, 1]
    assert document["evaluation"]["samples"] == COUNT
    phrases = ("sample 2 has label 2; expected 0 to 1, a class for each of the model's outputs",)
    made.refused(5, phrases, "evaluate", "combined.pt", "--data", "test.npz")


def test_a_composition_of_some_values_is_measured_on_their_targets(made: Cli) -> None:
    compose(made, "values/module-2.pt", "values/module-0.pt")
    document = evaluate(made, "combined.pt", "values.npz")
    expected = {module["output"]: module["mae"] for module in evaluate(made, "values", "values.npz")["modules"]}
    assert [o["output"] for o in document["evaluation"]["outputs"]] == [2, 0]
    assert [o["mae"] for o in document["evaluation"]["outputs"]] == pytest.approx([expected[2], expected[0]], rel=1e-5)


def test_a_composition_without_samples_of_its_classes(made: Cli) -> None:
    compose(made, "out/module-3.pt", "out/module-4.pt")
    x, y = five(1)
    np.savez(made.folder / "few.npz", x=x[y < 3], y=y[y < 3])
    message = (
        "few.npz: no sample has the label 3 or 4, the classes of combined.pt; expected the labels of the original model"
    )
    made.refused(5, message, "evaluate", "combined.pt", "--data", "few.npz")


# A module


@pytest.mark.parametrize("old", [False, True], ids=["says itself", "by the document"])
def test_a_module_is_measured_as_its_class_against_all_others(made: Cli, old: bool) -> None:
    if old:
        strip(made, "out/module-3.pt")
    document = evaluate(made, "out/module-3.pt")
    expected = evaluate(made, "out")["modules"][3]
    assert document["model"]["labels"] == [3]
    evaluation = document["evaluation"]
    assert evaluation["samples"] == COUNT
    assert evaluation["accuracy"] == expected["accuracy"]
    (own,) = evaluation["classes"]
    assert (own["output"], own["samples"]) == (3, 50)
    for name in ("precision", "recall", "f1", "auc"):
        assert own[name] == pytest.approx(expected[name])
    assert np.sum(evaluation["confusion"], 1).tolist() == [200, 50]


def test_the_table_of_a_module(made: Cli) -> None:
    lines = made.done("evaluate", "out/module-3.pt", "--data", "test.npz", "--threads", "1").splitlines()
    assert lines[0] == "out/module-3.pt: a module for class 3 against all others (logits)"
    assert lines[2].split() == ["class", "samples", "accuracy", "precision", "recall", "F1", "AUC"]
    assert lines[4].split()[:2] == ["3", "50"]
    assert lines[-1].startswith("Accuracy on 250 samples, 50 of class 3 and 200 of others: ")


def test_a_module_with_the_originals_head_is_measured_alike(made: Cli) -> None:
    made.done("decompose", "model.pt", "--data", "data.npz", "--out", "whole", "--head", "original", *QUICK)
    expected = evaluate(made, "whole")["modules"][2]
    assert evaluate(made, "whole/module-2.pt")["evaluation"]["accuracy"] == expected["accuracy"]


def test_one_module_joined_is_measured_as_the_module(made: Cli) -> None:
    compose(made, "out/module-3.pt")
    assert evaluate(made, "combined.pt")["evaluation"] == evaluate(made, "out/module-3.pt")["evaluation"]


def test_a_module_of_a_regression_is_measured_on_its_target(made: Cli) -> None:
    expected = evaluate(made, "values", "values.npz")["modules"][1]
    found = evaluate(made, "values/module-1.pt", "values.npz")["evaluation"]["outputs"]
    assert [(o["output"], o["mae"]) for o in found] == [(1, pytest.approx(expected["mae"]))]
    x = five(1)[0]
    np.savez(made.folder / "one.npz", x=x, y=x[:, 1])
    assert evaluate(made, "values/module-1.pt", "one.npz")["evaluation"]["outputs"] == found


def test_a_module_reads_samples_as_its_original_did(made: Cli) -> None:
    x, y = five(0)
    np.savez(made.folder / "keys.npz", images=2 * x.reshape(-1, 2, 3), labels=y)
    keys = ("--input-key", "images", "--target-key", "labels", "--input-scale", "0.5", "--input-shape", "6")
    made.done("decompose", "model.pt", "--data", "keys.npz", "--out", "keys", *keys, *QUICK)
    expected = evaluate(made, "keys", "keys.npz")["modules"][0]["accuracy"]
    assert evaluate(made, "keys/module-0.pt", "keys.npz")["evaluation"]["accuracy"] == expected
    compose(made, "keys")
    together = evaluate(made, "keys", "keys.npz")["evaluation"]["combined_accuracy"]
    assert evaluate(made, "combined.pt", "keys.npz")["evaluation"]["accuracy"] == together


def test_another_task_than_the_modules(made: Cli) -> None:
    message = "--task regression: out/module-3.pt is for classification; leave out --task"
    made.refused(2, message, "evaluate", "out/module-3.pt", "--data", "test.npz", "--task", "regression")


# A module that was trained further and saved elsewhere


def tune(cli: Cli, file: str, saved: str) -> None:
    module = torch.jit.load(cli.folder / file)
    x, y = five(0)
    own = int(file.split("-")[1].split(".")[0])
    optimiser = torch.optim.SGD(module.parameters(), 0.01)
    for _ in range(3):
        optimiser.zero_grad()
        nn.functional.cross_entropy(module(torch.from_numpy(x)), torch.from_numpy((y == own).astype(np.int64))).backward()
        optimiser.step()
    (cli.folder / saved).parent.mkdir(exist_ok=True)
    torch.jit.save(module, cli.folder / saved)


def test_a_module_says_itself_what_it_is(made: Cli) -> None:
    identity = json.loads(torch.jit.load(made.folder / "out/module-3.pt").incite)
    document = json.loads((made.folder / "out/decomposition.json").read_text())
    assert identity == {
        "schema": 1,
        "output": 3,
        "model": document["model"]["sha256"],
        "outputs": 5,
        "task": "classification",
        "output_kind": "logits",
        "own_head": True,
        "input_key": "x",
        "target_key": "y",
        "input_scale": None,
        "scale": 1.0,
        "input_shape": [],
        "input_layout": "as-stored",
        "shapes": [[6]],
    }
    keys = torch.jit.load(made.folder / "out/module-3.pt").state_dict().keys()
    assert keys == torch.jit.load(made.folder / "model.pt").state_dict().keys()


def test_a_module_that_was_tuned_and_saved_elsewhere_can_be_composed(made: Cli) -> None:
    tune(made, "out/module-3.pt", "mine/three.pt")
    tune(made, "out/module-1.pt", "out/one.pt")
    compose(made, "out/module-0.pt", "mine/three.pt", "out/one.pt")
    combined = torch.jit.load(made.folder / "combined.pt")
    assert (combined.names, combined.outputs) == (["0", "3", "1"], [0, 3, 1])
    found, module = columns(made, "combined.pt"), columns(made, "mine/three.pt")
    assert np.array_equal(found[:, 1], module[:, 1] - module[:, 0])
    assert evaluate(made, "combined.pt")["evaluation"]["samples"] == 150
    compose(made, "out", "--replace", "3=mine/three.pt")
    assert torch.jit.load(made.folder / "combined.pt").outputs == [0, 1, 2, 3, 4]


def test_a_tuned_module_beside_the_one_it_comes_from(made: Cli) -> None:
    tune(made, "out/module-3.pt", "out/tuned.pt")
    compose(made, "out/module-3.pt", "out/tuned.pt")
    assert torch.jit.load(made.folder / "combined.pt").names == ["out-3", "out-3-tuned"]


def test_a_tuned_module_can_be_evaluated_by_itself(made: Cli) -> None:
    tune(made, "out/module-3.pt", "mine/three.pt")
    module = columns(made, "mine/three.pt")
    expected = ((module[:, 1] > module[:, 0]) == (five(1)[1] == 3)).mean()
    assert evaluate(made, "mine/three.pt")["evaluation"]["accuracy"] == pytest.approx(expected)


def test_tuned_modules_alone_are_joined_unchecked(made: Cli) -> None:
    tune(made, "out/module-3.pt", "mine/three.pt")
    out = made.done("compose", "mine/three.pt", "--out", "combined.pt", "--threads", "1")
    assert "Not checked on samples" in out
    compose(made, "mine/three.pt", "--data", "test.npz")


def test_a_module_can_be_decomposed_further(made: Cli) -> None:
    x, y = five(0)
    np.savez(made.folder / "three.npz", x=x, y=(y == 3).astype(np.int64))
    made.done("decompose", "out/module-3.pt", "--data", "three.npz", "--out", "again", "--target-compression", "1.5", *QUICK)
    identity = json.loads(torch.jit.load(made.folder / "again/module-1.pt").incite)
    document = json.loads((made.folder / "again/decomposition.json").read_text())
    assert (identity["output"], identity["outputs"], identity["model"]) == (1, 2, document["model"]["sha256"])
