"""Scores from gradients: the option, the choice between them and mutation, and what is said of it."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import networks
from conftest import DECOMPOSE, Cli, into, without_warnings

GRADIENT = ("--scoring", "gradient")


def scoring(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "decomposition.json").read_text())["scoring"]
    return found


def deep(width: int = 16, scale: int = 1) -> nn.Sequential:
    """Convolutions on images of 2 x 3 times a scale. A mutant of the first runs all others."""
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Unflatten(1, (1, 2, 3)), nn.Upsample(scale_factor=scale), nn.Conv2d(1, width, 3, padding=1), nn.ReLU()]
    for _ in range(4):
        layers += [nn.Conv2d(width, width, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(6 * scale**2 * width, networks.CLASSES))


def test_the_document_the_table_and_the_log_say_which_way_and_why(good: Cli) -> None:
    result = good.run(*DECOMPOSE, *GRADIENT, "--verbose", "--json-file", "result.json")
    assert result.code == 0
    assert "Scores are estimates from gradients: as asked for\n" in result.out
    assert "info: scoring: by gradient: as asked for\n" in result.err
    document = json.loads((good.folder / "result.json").read_text())
    found = document["scoring"]
    # A forward pass of 6 x 8 + 8 x 3, and three backwards, for each of 72 samples.
    assert found.pop("chunk") >= 1
    assert found == {
        "method": "gradient", "reason": "as asked for", "mutants": 0, "passes": 3, "multiply_adds": 72 * 72 * 4, "batch": 0,
    }  # fmt: skip
    assert document["settings"]["scoring"] == "gradient"
    good.done(*into("mutated"), "--scoring", "mutation")
    assert "estimates" not in good.done(*into("default"))
    assert scoring(good.folder / "mutated")["method"] == scoring(good.folder / "default")["method"] == "mutation"


def test_gradients_choose_what_mutation_chooses_where_both_are_exact(good: Cli) -> None:
    """Of one hidden layer, logits are linear in what mutants change."""
    modules = []
    for way in ("mutation", "gradient"):
        good.done(*into(way), "--scoring", way, "--samples", "all")
        modules.append([module["kept"] for module in json.loads((good.folder / way / "decomposition.json").read_text())["modules"]])
    assert modules[0] == modules[1]


def test_auto_takes_gradients_where_mutants_are_dear(cli: Cli) -> None:
    # Forwards, 32 x 32 x 9 x 96 x 4 multiply-adds. 32 mutants of the first layer do that for 72 samples: 8e9.
    networks.save(deep(32, 4), cli.folder / "model.pt")
    networks.save_data(cli.folder / "data.npz")
    out = cli.done(*DECOMPOSE)
    found = scoring(cli.folder / "out")
    assert found["method"] == "gradient" and found["reason"].startswith("mutants take ")
    assert f"Scores are estimates from gradients: {found['reason']}\n" in out
    cli.done(*into("paper"), "--preset", "paper", "--epochs", "1")
    assert scoring(cli.folder / "paper")["method"] == "mutation"


class Rounded(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(networks.FEATURES, 8)
        self.fc2 = nn.Linear(8, 8)
        self.fc3 = nn.Linear(8, networks.CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.fc3(torch.round(4 * self.fc2(torch.relu(self.fc1(x)))))
        return y


def test_mutants_run_where_gradients_say_nothing(cli: Cli) -> None:
    torch.manual_seed(0)
    networks.save(Rounded(), cli.folder / "model.pt")
    networks.save_data(cli.folder / "data.npz")
    result = cli.run(*DECOMPOSE, *GRADIENT)
    found = scoring(cli.folder / "out")
    assert result.code == 0 and found["method"] == "mutation" and found["mutants"] > 0
    assert found["reason"].startswith("gradients can't be used: aten::round at ")
    assert f"warning: Mutants run in spite of --scoring gradient; {found['reason']}.\n" in result.err


def test_flips_have_no_gradient(good: Cli) -> None:
    good.refused(
        2,
        "--scoring gradient does not estimate --metric flips; pass another metric, or --scoring mutation",
        *DECOMPOSE,
        *GRADIENT,
        "--metric",
        "flips",
    )
    good.done(*DECOMPOSE, "--metric", "flips")
    assert scoring(good.folder / "out")["reason"] == "gradients do not estimate --metric flips"


@pytest.mark.parametrize("metric", ["random", "magnitude"])
def test_baselines_take_neither(good: Cli, metric: str) -> None:
    good.done(*DECOMPOSE, *GRADIENT, "--metric", metric)
    found = scoring(good.folder / "out")
    assert (found["mutants"], found["passes"], found["reason"]) == (0, 0, "")


def test_scores_serve_runs_for_outputs_that_they_are_for(good: Cli) -> None:
    good.done(*into("all"), *GRADIENT, "--keep-scores")
    good.done(*into("some"), *GRADIENT, "--keep-scores", "--outputs", "0,2")
    assert scoring(good.folder / "some")["passes"] == 3  # two outputs, and the others together
    good.done(*into("a"), "--scores", "all/scores.npz", "--outputs", "1")
    good.done(*into("b"), "--scores", "some/scores.npz", "--outputs", "2")
    assert scoring(good.folder / "a")["method"] == "gradient"
    good.refused(
        2,
        "some/scores.npz: made with --outputs 0,2, but this run has --outputs 1; pass --outputs 0,2 to use it, or leave out --scores to "
        "score again",
        *into("c"),
        "--scores",
        "some/scores.npz",
        "--outputs",
        "1",
    )
    good.refused(
        2,
        "all/scores.npz: made with --scoring gradient, but this run has --scoring mutation; pass --scoring gradient to use it, or leave "
        "out --scores to score again",
        *into("c"),
        "--scores",
        "all/scores.npz",
        "--scoring",
        "mutation",
    )


def test_a_killed_run_goes_on_and_gives_the_same(cli: Cli) -> None:
    torch.manual_seed(0)
    layers = [nn.Linear(32, 192), nn.ReLU(), nn.Linear(192, 192), nn.ReLU(), nn.Linear(192, 5)]
    networks.save(nn.Sequential(*layers), cli.folder / "model.pt")
    x = np.random.default_rng(0).standard_normal((4_000, 32), np.float32)
    np.savez(cli.folder / "data.npz", x=x, y=np.arange(4_000) % 5)
    options = (*GRADIENT, "--agreement", "0.9999", "--clustering", "none", "--memory", "4MB", "--keep-scores")
    cli.done(*into("whole"), *options)
    process = cli.popen(*into("out"), *options)
    while process.poll() is None and not (cli.folder / "out/checkpoint.npz").exists():
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    errors = without_warnings(process.communicate(timeout=30)[1])
    assert errors.startswith("error: stopped; no module was written."), errors
    cli.done(*into("out"), *options, "--resume")
    assert (cli.folder / "out/scores.npz").read_bytes() == (cli.folder / "whole/scores.npz").read_bytes()


def test_scores_do_not_depend_on_the_number_of_threads(cli: Cli) -> None:
    networks.save(deep(), cli.folder / "model.pt")
    networks.save_data(cli.folder / "data.npz")
    sums = []
    for threads in ("1", "2"):
        usual = ("decompose", "model.pt", "--data", "data.npz", "--out", threads, "--threads", threads)
        cli.done(*usual, *GRADIENT, "--outputs", "0,2", "--keep-scores")
        with np.load(cli.folder / threads / "scores.npz") as arrays:
            sums.append(arrays["sums"])
    assert np.array_equal(*sums)


class Attention(nn.Module):
    """An encoder layer, in which a layer norm mixes all channels."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(2, 12)
        self.encoder = nn.TransformerEncoderLayer(12, 2, 24, batch_first=True)
        self.head = nn.Linear(12, networks.CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.encoder(self.embed(x.reshape(-1, 3, 2))).mean(1))
        return y


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.LSTM(2, 9, 2, batch_first=True)
        self.second = nn.GRU(9, 7, batch_first=True, bidirectional=True)
        self.head = nn.Linear(14, networks.CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.second(self.first(x.reshape(-1, 3, 2))[0])[0].mean(1))
        return y


@pytest.mark.parametrize("make", [Attention, Recurrent, deep])
def test_all_kinds_of_layers_have_gradients(cli: Cli, make: Any) -> None:
    torch.manual_seed(0)
    model = make()
    networks.save(model, cli.folder / "model.pt")
    networks.save_data(cli.folder / "data.npz")
    scores = []
    for way in ("mutation", "gradient"):
        cli.done(*into(way), "--scoring", way, "--samples", "all", "--clustering", "none", "--keep-scores")
        assert scoring(cli.folder / way)["method"] == way
        with np.load(cli.folder / way / "scores.npz") as arrays:
            scores.append(arrays["sums"].sum((0, 2)))
    assert np.corrcoef(scores)[0, 1] > 0.9


def test_values_have_gradients(cli: Cli) -> None:
    networks.save(networks.mlp(), cli.folder / "model.pt")
    x, _ = networks.samples()
    np.savez(cli.folder / "data.npz", x=x, y=np.random.default_rng(0).standard_normal((len(x), networks.CLASSES)))
    cli.done(*DECOMPOSE, *GRADIENT)
    assert scoring(cli.folder / "out")["passes"] == 3
