"""Models of several labels a sample: --task multilabel."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import networks
from conftest import DECOMPOSE, Cli, into

LABELS = 4
KINDS = {"label-logits": None, "sigmoid": nn.Sigmoid()}


def samples(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Each label holds where a direction of its own is in a sample; none excludes another."""
    directions = 2 * np.random.default_rng(1).standard_normal((LABELS, 10))
    random = np.random.default_rng(seed)
    y = random.random((count, LABELS)) < [0.5, 0.3, 0.4, 0.2]
    return (y @ directions + random.standard_normal((count, 10))).astype(np.float32), y.astype(np.float32)


@pytest.fixture(scope="session", params=KINDS)
def tags(request: pytest.FixtureRequest, binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """A trained model of four labels, that ends in logits or in a sigmoid, and a test set. Tests must not change it."""
    cli = Cli(binary, tmp_path_factory.mktemp(request.param))
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 24), nn.ReLU(), nn.Linear(24, LABELS))
    x, y = samples(800, seed=0)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(150):
        optimiser.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(model(torch.from_numpy(x)), torch.from_numpy(y)).backward()
        optimiser.step()
    last = KINDS[request.param]
    networks.save(model if last is None else nn.Sequential(*model, last), cli.folder / "model.pt")
    np.savez(cli.folder / "data.npz", x=x, y=y)
    test_x, test_y = samples(500, seed=1)
    np.savez(cli.folder / "test.npz", x=test_x, y=test_y.astype(bool))
    return cli


def decompose(cli: Cli, folder: str, *options: Any) -> dict[str, Any]:
    return json.loads(cli.done(*into(folder), "--force", "--json", "--test", "test.npz", *options))


@torch.no_grad()
def outputs(cli: Cli, file: str) -> Tensor:
    return torch.jit.load(str(cli.folder / file))(torch.from_numpy(samples(500, seed=1)[0]))


def average_precision(scores: np.ndarray, positive: np.ndarray) -> float:
    """Of scores that are all different."""
    hits = positive[np.argsort(-scores)].astype(bool)
    return float((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean())


def test_each_label_gets_a_module_of_one_output(tags: Cli) -> None:
    document = decompose(tags, "each", "--target-compression", "2")
    assert document["model"]["task"] == document["settings"]["task"] == "multilabel"
    assert document["model"]["output_kind"] == tags.folder.name.rstrip("0")
    evaluation = document["evaluation"]
    assert evaluation["original_mean_average_precision"] - evaluation["combined_mean_average_precision"] < 0.02
    assert evaluation["original_mean_average_precision"] > 0.9
    y = samples(500, seed=1)[1]
    for label, module in enumerate(document["modules"]):
        found = outputs(tags, f"each/{module['file']}")
        assert found.shape == (500, 1) and module["compression"] >= 2
        # Probabilities that float32 rounds to 1 are tied.
        assert module["average_precision"] == pytest.approx(average_precision(found[:, 0].numpy(), y[:, label]), abs=2e-3)
        threshold = 0.5 if document["model"]["output_kind"] == "sigmoid" else 0
        yes = found[:, 0].numpy() > threshold
        assert module["recall"] == pytest.approx(yes[y[:, label] > 0].mean())
    means = [module["average_precision"] for module in document["modules"]]
    assert evaluation["combined_mean_average_precision"] == pytest.approx(np.mean(means))


def test_a_set_has_an_output_for_each_of_its_labels_and_all_stand_in_for_the_model(tags: Cli) -> None:
    document = decompose(tags, "sets", "--modules", "pair=0,2", "--target-compression", "2")
    (module,) = document["modules"]
    assert outputs(tags, "sets/module-pair.pt").shape == (500, 2)
    assert [entry["output"] for entry in module["classes"]] == [0, 2]
    assert len(module["calibration"]["scale"]) == len(module["calibration"]["offset"]) == 2
    assert module["average_precision"] > 0.85
    decompose(tags, "all", "--modules", "all", "--target-compression", "2")
    whole = outputs(tags, "all/module-all.pt")
    original = outputs(tags, "model.pt")
    threshold = 0.5 if tags.folder.name.startswith("sigmoid") else 0
    assert whole.shape == original.shape
    assert ((whole > threshold) == (original > threshold)).float().mean() > 0.95


@pytest.mark.parametrize("options", [["--finetune", "2"], ["--head", "adam"], ["--head", "original"], ["--max-loss", "1"]])
def test_every_way_to_make_modules_works_for_labels(tags: Cli, options: list[str]) -> None:
    document = decompose(tags, "ways", "--modules", "pair=1,3", "rest=0,2", *options)
    assert document["evaluation"]["mean_average_precision_loss"] < (0.15 if "original" in options else 0.05)
    if options[0] == "--max-loss":
        assert document["search"]


def test_evaluate_finds_what_decompose_found(tags: Cli) -> None:
    document = decompose(tags, "again", "--modules", "pair=1,3", "rest=0,2", "--target-compression", "2")
    evaluated = json.loads(tags.done("evaluate", "again", "--data", "test.npz", "--json"))
    for name in ("original_mean_average_precision", "combined_mean_average_precision", "combined_labels", "combined_mean_f1"):
        assert evaluated["evaluation"][name] == document["evaluation"][name]
    alone = json.loads(tags.done("evaluate", "again/module-pair.pt", "--data", "test.npz", "--json"))
    assert alone["model"]["task"] == "multilabel"
    assert alone["evaluation"]["mean_average_precision"] == pytest.approx(document["modules"][0]["average_precision"])
    model = json.loads(tags.done("evaluate", "model.pt", "--data", "test.npz", "--json"))
    assert model["evaluation"]["mean_average_precision"] == document["evaluation"]["original_mean_average_precision"]
    assert [entry["output"] for entry in model["evaluation"]["labels"]] == [0, 1, 2, 3]


def test_a_composition_has_the_log_odds_of_each_label(tags: Cli) -> None:
    document = decompose(tags, "parts", "--modules", "pair=1,3", "first=0", "--target-compression", "2")
    tags.done("compose", "parts", "--out", "joined.pt", "--force")
    joined = outputs(tags, "joined.pt")
    pair = outputs(tags, "parts/module-pair.pt")
    odds = torch.logit(pair.double()).float() if document["model"]["output_kind"] == "sigmoid" else pair
    clear = odds.abs() < 10  # beyond it, float32 rounds probabilities to 1
    assert torch.allclose(joined[:, :2][clear], odds[clear], atol=1e-2)
    evaluated = json.loads(tags.done("evaluate", "joined.pt", "--data", "test.npz", "--json"))
    assert evaluated["model"]["labels"] == [1, 3, 0]
    found = [entry["average_precision"] for entry in evaluated["evaluation"]["labels"]]
    assert found == pytest.approx([entry["average_precision"] for entry in document["evaluation"]["combined_labels"]], abs=1e-4)


def test_the_table_speaks_of_average_precision(tags: Cli) -> None:
    table = tags.done(*into("table"), "--force", "--test", "test.npz", "--target-compression", "2")
    assert "average precision" in table.splitlines()[2]
    assert "Mean average precision on 500 samples: original " in table
    evaluated = tags.done("evaluate", "table", "--data", "test.npz")
    assert "Mean F1 (labels with log-odds above 0): original " in evaluated


def test_labels_that_no_sample_has_are_left_out_on_request(tags: Cli) -> None:
    x, y = samples(800, seed=0)
    y[:, 2] = 0
    np.savez(tags.folder / "three.npz", x=x, y=y)
    tags.refused(5, ("three.npz: no sample of label 2",), *DECOMPOSE[:2], "--data", "three.npz", "--out", "three")
    result = tags.run(*DECOMPOSE[:2], "--data", "three.npz", "--out", "three", "--outputs", "present", "--json", "--force")
    assert [module["output"] for module in json.loads(result.out)["modules"]] == [0, 1, 3]


def test_a_set_of_which_every_sample_has_a_label(tags: Cli) -> None:
    x, y = samples(800, seed=0)
    y[:, 1] = 1 - y[:, 0]
    np.savez(tags.folder / "either.npz", x=x, y=y)
    tags.done(*DECOMPOSE[:2], "--data", "either.npz", "--out", "either", "--modules", "either=0,1", "--force", "--quiet")


def test_a_model_of_probabilities_that_add_up_to_1_has_no_labels(cli: Cli) -> None:
    networks.save(networks.mlp(nn.Softmax(1)), cli.folder / "model.pt")
    x, y = networks.samples()
    np.savez(cli.folder / "data.npz", x=x, y=np.eye(3)[y])
    cli.refused(5, ("--task multilabel: the model's outputs are probabilities",), *into("out"), "--task", "multilabel")
