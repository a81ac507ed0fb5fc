"""Warnings about results of little value: shown once, and written into the document."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import networks
from conftest import DECOMPOSE, Cli, into
from networks import CLASSES, FEATURES

INSPECT = ("inspect", "model.pt", "--data", "data.npz", "--threads", "1")
ADVICE = "check the inputs' scale (--input-scale), the order of their axes and the order of the labels"


def trained() -> nn.Sequential:
    model = networks.mlp()
    networks.train(model, *networks.samples())
    return model


@pytest.fixture
def learnt(cli: Cli) -> Cli:
    """The program with a model that has learnt its data."""
    networks.save(trained(), cli.folder / "model.pt")
    networks.save_data(cli.folder / "data.npz", count=300)
    return cli


@pytest.fixture
def mistaken(learnt: Cli) -> Cli:
    """The same, with labels in another order: always wrong, but confident."""
    x, y = networks.samples(300)
    np.savez(learnt.folder / "data.npz", x=x, y=(y + 1) % CLASSES)
    return learnt


GUESSES = f"the model is right on 0.00 % of 240 samples, no better than always predicting class 0 (33.33 %); {ADVICE}"


def document_of(cli: Cli, folder: str = "out") -> dict[str, Any]:
    return json.loads((cli.folder / folder / "decomposition.json").read_text())


def test_a_model_that_fits_its_data_is_not_warned_of(learnt: Cli) -> None:
    result = learnt.run(*DECOMPOSE, "--target-compression", "1.5")
    assert (result.code, result.err) == (0, "")
    assert "warning" not in result.out
    assert document_of(learnt)["warnings"] == []
    assert json.loads(learnt.done(*INSPECT, "--json"))["warnings"] == []


def test_a_model_at_chance_level_is_warned_of_once(mistaken: Cli) -> None:
    result = mistaken.run(*DECOMPOSE)
    assert (result.code, result.err) == (0, f"warning: {GUESSES}\n")
    assert "warning" not in result.out
    assert document_of(mistaken)["warnings"] == [GUESSES]


def test_it_is_warned_of_before_anything_is_scored(mistaken: Cli) -> None:
    result = mistaken.run(*DECOMPOSE, "--memory", "1")
    assert result.code == 8
    warning, error = result.err.splitlines()
    assert warning == f"warning: {GUESSES}" and error.startswith("error: a memory budget of ")


def test_quiet_shows_no_warning(mistaken: Cli) -> None:
    result = mistaken.run(*DECOMPOSE, "--quiet")
    assert (result.code, result.out, result.err) == (0, "", "")
    assert document_of(mistaken)["warnings"] == [GUESSES]


def test_the_document_on_stdout_stays_one_document(mistaken: Cli) -> None:
    result = mistaken.run(*DECOMPOSE, "--json")
    assert result.err == f"warning: {GUESSES}\n"
    assert json.loads(result.out)["warnings"] == [GUESSES]


def test_inspect_has_the_same_line(mistaken: Cli) -> None:
    assert mistaken.done(*INSPECT).endswith(f"Decompose: will work\nwarning: {GUESSES}\n")
    assert json.loads(mistaken.done(*INSPECT, "--json"))["warnings"] == [GUESSES]


def test_evaluate_has_it_of_all_samples(mistaken: Cli) -> None:
    warning = GUESSES.replace("240", "300")
    assert mistaken.done("evaluate", "model.pt", "--data", "data.npz").endswith(f"\nwarning: {warning}\n")
    mistaken.done(*DECOMPOSE)
    assert mistaken.done("evaluate", "out", "--data", "data.npz").endswith(f"\nwarning: {warning}\n")
    assert json.loads(mistaken.done("evaluate", "out", "--data", "data.npz", "--json"))["warnings"] == [warning]


def test_a_model_is_not_warned_of_by_its_own_outputs(good: Cli) -> None:
    np.savez(good.folder / "data.npz", x=networks.samples(300)[0])
    result = good.run(*DECOMPOSE, "--task", "regression", "--target-compression", "1.2")
    assert (result.code, result.err) == (0, "")
    assert "warning: the model" not in result.out


def test_a_regression_no_better_than_the_mean_is_warned_of(good: Cli) -> None:
    x, _ = networks.samples(300)
    np.savez(good.folder / "data.npz", x=x, y=100 + x[:, :3])
    warning = good.run(*DECOMPOSE).err
    assert warning.startswith("warning: the model predicts the targets no better than their mean (R2 -")
    assert warning.endswith(
        " on 240 samples); check the inputs' scale (--input-scale), the order of their axes, and the targets' scale and order\n"
    )


def test_classes_with_few_samples_are_named(learnt: Cli) -> None:
    x, y = networks.samples(300)
    few = np.concatenate([np.flatnonzero(y == 0), np.flatnonzero(y == 1)[:2], np.flatnonzero(y == 2)[:10]])
    np.savez(learnt.folder / "data.npz", x=x[few], y=y[few])
    networks.save_data(learnt.folder / "test.npz")
    warning = (
        "classes 1 (2 samples) and 2 (10 samples) have fewer than 20 samples to fit on, so their modules may do worse on other "
        "data; add samples"
    )
    assert learnt.run(*DECOMPOSE, "--test", "test.npz").err == f"warning: {warning}\n"
    assert document_of(learnt)["warnings"][0] == warning
    assert learnt.run(*into("zero"), "--test", "test.npz", "--outputs", "0").err == ""


def test_measures_over_few_samples_have_an_interval(learnt: Cli) -> None:
    x, y = networks.samples(90, seed=1)
    few = np.concatenate([np.flatnonzero(y == 0), np.flatnonzero(y == 1), np.flatnonzero(y == 2)[:2]])
    np.savez(learnt.folder / "test.npz", x=x[few], y=y[few])
    lines = learnt.done(*DECOMPOSE, "--target-compression", "1.5", "--test", "test.npz", "--outputs", "2").splitlines()
    place = next(i for i, line in enumerate(lines) if line.startswith("    2  original"))
    assert lines[place].split()[2:] == ["100.00", "%", "100.00", "%", "100.00", "%", "100.00", "%", "100.00", "%", "1.0000"]
    assert lines[place + 1].split() == ["(67-100)", "(34-100)", "(34-100)"]
    assert lines[place + 2].split()[0] == "module-2.pt"
    module = document_of(learnt)["modules"][0]
    assert module["original"]["recall_interval"] == pytest.approx([2 / (2 + 1.96**2), 1])
    assert module["recall_interval"] == pytest.approx([2 / (2 + 1.96**2), 1])
    assert "accuracy_interval" not in module
    table = next(i for i, line in enumerate(lines) if line.startswith("module-2.pt"))
    assert lines[table + 1].split() == ["(67-100)", "(67-100)"]


def test_a_large_loss_names_the_options_against_it(learnt: Cli) -> None:
    x, y = networks.samples(300)
    rng = np.random.default_rng(0)
    np.savez(learnt.folder / "data.npz", x=x + rng.normal(0, 1.5, x.shape).astype(np.float32), y=y)
    out = learnt.done(*DECOMPOSE, "--target-compression", "6", "--metric", "random", "--repair", "none")
    last = out.splitlines()[-1]
    assert last.startswith("warning: the modules together lose ")
    assert last.endswith(" points of accuracy; pass --max-loss, --finetune or a smaller --target-compression")
    assert document_of(learnt)["warnings"] == [last.removeprefix("warning: ")]


def test_a_regression_that_gets_far_worse_is_warned_of(good: Cli) -> None:
    x, _ = networks.samples(300)
    with torch.no_grad():
        y = networks.mlp()(torch.from_numpy(x)).numpy()
    np.savez(good.folder / "data.npz", x=x, y=y + np.random.default_rng(0).normal(0, 1e-3, y.shape))
    last = good.done(*DECOMPOSE, "--target-compression", "6").splitlines()[-1]
    assert last.startswith("warning: the modules' mean absolute error is ")
    assert last.endswith(" % above the original's; pass --max-loss, --finetune or a smaller --target-compression")


# ---- Compression that can't be reached ------------------------------------------------------------------------------


class Chunked(nn.Module):
    """A layer whose one half gates the other, beside a layer of many units."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.both = nn.Linear(FEATURES, 16)
        self.wide = nn.Linear(FEATURES, 300)
        self.head = nn.Linear(308, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.both(x).chunk(2, 1)
        return self.head(torch.cat([torch.relu(a) * torch.sigmoid(b), torch.relu(self.wide(x))], 1))


class Blocks(nn.Module):
    """Residual blocks of convolutions, with global average pooling."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(1, 8, 3, padding=1)
        self.blocks = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1) for _ in range(2))
        self.fc = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        for block in self.blocks:
            x = x + torch.relu(block(x))
        return self.fc(x.mean([2, 3]))


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (networks.mlp(), (FEATURES,)),
        (nn.Sequential(nn.Linear(FEATURES, 300), nn.ReLU(), nn.Linear(300, 200), nn.ReLU(), nn.Linear(200, CLASSES)), (FEATURES,)),
        (networks.ConvNet(), (1, 8, 8)),
        (networks.Squeeze(), (1, 8, 8)),
        (Blocks(), (1, 8, 8)),
        (Chunked(), (FEATURES,)),
        (networks.Recurrent(), (4, FEATURES)),
        (networks.Normalised(), (FEATURES,)),
    ],
    ids=["mlp", "wide", "convolutions", "squeeze", "residual", "chunks", "recurrent", "pinned"],
)
def test_what_inspect_says_is_the_most_is_what_decompose_reaches(cli: Cli, model: nn.Module, shape: tuple[int, ...]) -> None:
    networks.save(model, cli.folder / "model.pt")
    x = np.random.default_rng(0).random((90, *shape), np.float32)
    np.savez(cli.folder / "data.npz", x=x, y=np.arange(90) % CLASSES)
    inspected = json.loads(cli.done(*INSPECT, "--json"))
    document = json.loads(cli.done(*DECOMPOSE, "--json", "--target-compression", "1e6"))
    assert [module["parameters"] for module in document["modules"]] == 3 * [inspected["smallest_module"]]
    assert [module["compression"] for module in document["modules"]] == 3 * [pytest.approx(inspected["compression_at_most"])]
    assert [warning for warning in document["warnings"] if " reach " in warning] == [
        f"3 of 3 modules reach {inspected['compression_at_most']:,.2f}x, not 1,000,000.00x as asked: pinned units, one unit of "
        "each layer and the head must stay; 'incite inspect' lists what is pinned"
    ]


def test_a_compression_that_is_reached_is_not_warned_of(learnt: Cli) -> None:
    assert "not 2.00x as asked" not in learnt.done(*DECOMPOSE, "--target-compression", "2")


def test_modules_are_written_where_no_sample_can_measure_them(learnt: Cli) -> None:
    x, y = networks.samples(60, seed=3)
    np.savez(learnt.folder / "test.npz", x=x[y == 1], y=y[y == 1])
    result = learnt.run(*DECOMPOSE, "--test", "test.npz", "--outputs", "0,2")
    assert result.code == 0, result.err
    assert (learnt.folder / "out/module-0.pt").exists() and (learnt.folder / "out/module-2.pt").exists()
    document = document_of(learnt)
    missing = "the samples to measure on hold none of classes 0, 2, so measures that need them are missing; "
    assert document["warnings"][-1].startswith(missing)
    assert "warning: " + missing in " ".join(result.out.split())
    assert document["evaluation"]["original_accuracy"] is None and document["evaluation"]["combined_accuracy"] is None
    assert document["modules"][0]["recall"] is None and document["modules"][0]["accuracy"] is not None


def test_inspect_takes_the_outputs_that_are_wanted(learnt: Cli) -> None:
    x, y = networks.samples(300)
    np.savez(learnt.folder / "data.npz", x=x[y != 2], y=y[y != 2])
    assert learnt.run(*INSPECT).code == 5  # no sample of class 2
    assert learnt.run(*INSPECT, "--outputs", "0,1").code == 0
    assert learnt.run(*INSPECT, "--outputs", "3").code == 2
