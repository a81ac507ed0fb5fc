"""Modules for sets of outputs: --modules, and --outputs present."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import networks
from conftest import DECOMPOSE, Cli, into

CLASSES = 5
KINDS = {"logits": None, "probabilities": nn.Softmax(1), "log-probabilities": nn.LogSoftmax(1), "sigmoid": nn.Sigmoid()}


def samples(count: int = 600, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    centres = 2 * np.random.default_rng(1).standard_normal((CLASSES, 8))
    y = np.arange(count) % CLASSES
    return (centres[y] + np.random.default_rng(seed).standard_normal((count, 8))).astype(np.float32), y


@pytest.fixture(scope="session", params=KINDS)
def five(request: pytest.FixtureRequest, binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """A trained classifier of five classes with outputs of each kind, and a test set. Tests must not change it."""
    cli = Cli(binary, tmp_path_factory.mktemp(request.param))
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, 16), nn.ReLU(), nn.Linear(16, CLASSES))
    x, y = samples()
    networks.train(model, x, y)
    last = KINDS[request.param]
    networks.save(model if last is None else nn.Sequential(*model, last), cli.folder / "model.pt")
    np.savez(cli.folder / "data.npz", x=x, y=y)
    test_x, test_y = samples(400, seed=1)
    np.savez(cli.folder / "test.npz", x=test_x, y=test_y)
    return cli


def decompose(cli: Cli, folder: str, *options: Any) -> dict[str, Any]:
    return json.loads(cli.done(*into(folder), "--force", "--json", "--test", "test.npz", *options))


@torch.no_grad()
def outputs(cli: Cli, file: str) -> Tensor:
    return torch.jit.load(str(cli.folder / file))(torch.from_numpy(samples(400, seed=1)[0]))


def test_a_module_for_all_outputs_stands_in_for_the_model(five: Cli) -> None:
    document = decompose(five, "all", "--modules", "all", "--target-compression", "2")
    (module,) = document["modules"]
    assert (module["file"], module["name"], module["outputs"]) == ("module-all.pt", "all", [0, 1, 2, 3, 4])
    assert 2 <= module["compression"] < 3
    found = outputs(five, "all/module-all.pt")
    accuracy = (found.argmax(1).numpy() == samples(400, seed=1)[1]).mean()
    assert found.shape == (400, CLASSES) and accuracy > 0.9
    assert accuracy == module["accuracy"] == document["evaluation"]["combined_accuracy"]
    if document["model"]["output_kind"] == "probabilities":
        assert torch.allclose(found.sum(1), torch.ones(400))


def test_a_module_for_a_set_tells_its_classes_and_the_others(five: Cli) -> None:
    document = decompose(five, "sets", "--modules", "odd=1,3", "even=0,2,4", "--target-compression", "2")
    assert [module["name"] for module in document["modules"]] == ["odd", "even"]
    assert document["settings"]["modules"] == "odd=1,3 even=0,2,4"
    y = samples(400, seed=1)[1]
    found = outputs(five, "sets/module-odd.pt")
    assert found.shape == (400, 3)
    wanted = np.select([y == 1, y == 3], [1, 2], 0)
    assert (found.argmax(1).numpy() == wanted).mean() > 0.9
    recalls = [(found.argmax(1).numpy() == wanted)[wanted == row].mean() for row in range(3)]
    assert document["modules"][0]["balanced_accuracy"] == pytest.approx(np.mean(recalls))
    assert [entry["output"] for entry in document["modules"][0]["classes"]] == [1, 3]
    assert document["evaluation"]["combined_accuracy"] > 0.9


def test_evaluate_finds_what_decompose_found(five: Cli) -> None:
    document = decompose(five, "again", "--modules", "odd=1,3", "even=0,2,4")
    evaluated = json.loads(five.done("evaluate", "again", "--data", "test.npz", "--json", "--threads", "1"))
    for module, other in zip(document["modules"], evaluated["modules"], strict=True):
        assert {key: module[key] for key in other} == other
    assert evaluated["evaluation"]["combined_accuracy"] == document["evaluation"]["combined_accuracy"]
    alone = json.loads(five.done("evaluate", "again/module-odd.pt", "--data", "test.npz", "--json", "--threads", "1"))
    assert alone["model"]["labels"] == [1, 3] and alone["evaluation"]["samples"] == 160
    for entry, other in zip(alone["evaluation"]["alone"], document["modules"][0]["classes"], strict=True):
        assert {key: entry[key] for key in ("output", "recall", "f1", "auc")} == {key: other[key] for key in ("output", "recall", "f1", "auc")}


def test_modules_of_sets_are_composed(five: Cli) -> None:
    decompose(five, "sets", "--modules", "odd=1,3", "even=0,2,4")
    decompose(five, "one", "--outputs", "3")
    document = json.loads(five.done("compose", "sets", "--out", "both.pt", "--json", "--force"))
    assert document["checked_on"] == "data.npz"
    assert [(module["key"], module["outputs"], module["columns"]) for module in document["modules"]] == [
        ("module_odd", [1, 3], ["1", "3"]),
        ("module_even", [0, 2, 4], ["0", "2", "4"]),
    ]
    both = torch.jit.load(str(five.folder / "both.pt"))
    assert both.names == ["1", "3", "0", "2", "4"] and both.outputs == [1, 3, 0, 2, 4]
    found = outputs(five, "both.pt")
    accuracy = (np.array(both.outputs)[found.argmax(1).numpy()] == samples(400, seed=1)[1]).mean()
    evaluated = json.loads(five.done("evaluate", "both.pt", "--data", "test.npz", "--json"))["evaluation"]
    assert evaluated["accuracy"] == pytest.approx(accuracy) and accuracy > 0.9
    five.done("compose", "sets", "--remove", "3,even", "--out", "less.pt", "--force")
    assert torch.equal(outputs(five, "less.pt")[:, 0], found[:, 0]) and outputs(five, "less.pt").shape == (400, 1)
    five.done("compose", "sets", "one", "--remove", "sets-3", "--out", "mixed.pt", "--force")
    assert torch.jit.load(str(five.folder / "mixed.pt")).names == ["sets-1", "sets-0", "sets-2", "sets-4", "one-3"]
    five.refused(2, "--replace odd=one/module-3.pt: a module for output 3; expected one for 2 outputs",
                 "compose", "sets", "--replace", "odd=one/module-3.pt", "--out", "new.pt")  # fmt: skip
    five.refused(2, "--replace 3: a column of odd; name the whole module",
                 "compose", "sets", "--replace", "3=one/module-3.pt", "--out", "new.pt")  # fmt: skip


def test_a_set_of_one_has_the_bytes_of_a_module_for_one_output(five: Cli) -> None:
    decompose(five, "each", "--outputs", "1,4")
    decompose(five, "ones", "--modules", "b=1", "e=4")
    for output, name in ((1, "b"), (4, "e")):
        one, other = (torch.jit.load(str(five.folder / file)) for file in (f"each/module-{output}.pt", f"ones/module-{name}.pt"))
        assert one.code == other.code
        states = one.state_dict(), other.state_dict()
        assert list(states[0]) == list(states[1]) and all(torch.equal(states[0][key], states[1][key]) for key in states[0])


@pytest.mark.parametrize("options", [("--finetune", "2"), ("--max-loss", "3"), ("--head", "adam"), ("--preset", "paper"), ("--head", "original", "--keep", "0.9")])
def test_sets_go_with_the_other_options(five: Cli, options: tuple[str, ...]) -> None:
    for modules in (("all",), ("odd=1,3", "even=0,2,4"), ("some=0,1",)):
        document = decompose(five, "out", "--modules", *modules, *options)
        assert document["evaluation"]["combined_accuracy"] > 0.8
        assert all(module["compression"] > 1 for module in document["modules"])


def test_one_module_is_calibrated_once_it_is_fine_tuned(five: Cli) -> None:
    def scale(epochs: str) -> float:
        document = decompose(five, "out", "--modules", "all", "--finetune", epochs)
        return document["modules"][0]["calibration"]["scale"]

    assert scale("0") == 1
    # The scale of a softmax could drive several sigmoids to 1.
    assert (scale("2") == 1) == five.folder.name.startswith("sigmoid")


def test_sets_of_a_regression(cli: Cli) -> None:
    x, _ = networks.samples(300)
    y = np.stack([x[:, 0], x[:, 1] * x[:, 2], x.sum(1)], axis=1)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(networks.FEATURES, 32), nn.ReLU(), nn.Linear(32, 3))
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(300):
        optimiser.zero_grad()
        nn.functional.l1_loss(model(torch.from_numpy(x)), torch.from_numpy(y)).backward()
        optimiser.step()
    networks.save(model, cli.folder / "model.pt")
    np.savez(cli.folder / "data.npz", x=x, y=y)
    np.savez(cli.folder / "test.npz", x=x[:90], y=y[:90])
    document = decompose(cli, "out", "--modules", "pair=0,2", "rest=1", "--target-compression", "1.5")
    with torch.no_grad():
        found = torch.jit.load(str(cli.folder / "out/module-pair.pt"))(torch.from_numpy(x[:90])).numpy()
    errors = np.abs(found - y[:90][:, [0, 2]]).mean(0)
    assert document["modules"][0]["mae"] == pytest.approx(errors.mean(), rel=1e-5)
    cli.done("compose", "out", "--out", "both.pt")
    assert torch.jit.load(str(cli.folder / "both.pt")).outputs == [0, 2, 1]
    evaluated = json.loads(cli.done("evaluate", "both.pt", "--data", "test.npz", "--json"))["evaluation"]
    assert [entry["mae"] for entry in evaluated["outputs"][:2]] == pytest.approx(errors, rel=1e-5)
    whole = decompose(cli, "out", "--modules", "all", "--target-compression", "1.5")
    assert whole["modules"][0]["outputs"] == [0, 1, 2]


def test_sets_are_read_from_a_file(good: Cli) -> None:
    (good.folder / "sets.txt").write_text("# of the digits\nfirst=0-1   # two\n\nlast=2\n")
    document = json.loads(good.done(*DECOMPOSE, "--json", "--modules", "sets.txt"))
    assert [(module["name"], module["outputs"]) for module in document["modules"]] == [("first", [0, 1]), ("last", [2])]


def test_outputs_narrow_what_modules_are_made_for(good: Cli) -> None:
    document = json.loads(good.done(*DECOMPOSE, "--json", "--modules", "a=0-1", "b=2", "--outputs", "1-2"))
    assert [(module["name"], module["outputs"]) for module in document["modules"]] == [("a", [1]), ("b", [2])]


def test_outputs_without_samples_are_left_out_on_request(good: Cli) -> None:
    x, y = networks.samples()
    np.savez(good.folder / "data.npz", x=x[y != 1], y=y[y != 1])
    good.refused(
        5, "data.npz: no sample of class 1, so it can't get a module; add some, or pass --outputs present to leave it out", *DECOMPOSE
    )
    result = good.run(*DECOMPOSE, "--json", "--outputs", "present")
    assert "warning: there are no samples of class 1, so 1 of 3 outputs get no module\n" in result.err
    document = json.loads(result.out)
    assert [module["output"] for module in document["modules"]] == [0, 2] and document["settings"]["outputs"] == [0, 2]


ANY = "expected each, all, sets such as digits=0-4 rest=5,7-9, or a file of such sets"


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        (("every",), f"--modules every: {ANY}"),
        (("model.pt",), f"--modules model.pt: not a text file; {ANY}"),
        (("a=0-1", "b=1"), "--modules: output 1 is in a and in b; expected each output in one set"),
        (("a=0-3",), "--modules a: the model has outputs 0 to 2; found 3"),
        (("a=0-",), "--modules a=0-: expected numbers of outputs such as 0,3-7 after '='"),
        (("a=0", "a=1"), "--modules: two sets have the name a; expected different names"),
        (("",), f"--modules: no text; {ANY}"),
        (("3=0",), "--modules 3=0: expected a name of letters, digits, '-', '_' and '.', and not a number, before '='"),
        (("a=2", "--outputs", "0"), "--modules a: --outputs names none of its outputs; leave the set out"),
    ],
)
def test_sets_that_make_no_sense_are_refused(good: Cli, modules: tuple[str, ...], message: str) -> None:
    good.refused(2, message, *DECOMPOSE, "--modules", *modules)
