"""Modules in Python: they load, are readable, compute what the sliced weights define, and can be trained further."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import networks
from conftest import DECOMPOSE, Cli, into
from networks import CLASSES, FEATURES


def load(folder: Path, output: int = 0) -> torch.jit.ScriptModule:
    return torch.jit.load(folder / f"module-{output}.pt")


def inputs(count: int = 90) -> Tensor:
    return torch.from_numpy(networks.samples(count)[0])


@pytest.fixture
def out(decomposed: tuple[Cli, str]) -> Path:
    return decomposed[0].folder / "out"


@pytest.fixture(scope="session")
def images(binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """A convolutional network with batch normalisation, decomposed."""
    cli = Cli(binary, tmp_path_factory.mktemp("images"))
    networks.save(networks.ConvNet(), cli.folder / "model.pt")
    x = np.random.default_rng(0).random((60, 1, 8, 8), np.float32)
    np.savez(cli.folder / "data.npz", x=x, y=np.arange(60) % CLASSES)
    cli.done(*DECOMPOSE, "--quiet", "--keep", "0.6")
    cli.done(*into("sliced"), "--quiet", "--head", "original", "--keep", "0.6")
    return cli


def test_keys_are_the_originals(out: Path, decomposed: tuple[Cli, str]) -> None:
    original = torch.jit.load(decomposed[0].folder / "model.pt").state_dict()
    assert set(load(out).state_dict()) == set(original)


def test_keys_are_among_the_originals_where_forward_reads_not_all(images: Cli) -> None:
    original = torch.jit.load(images.folder / "model.pt").state_dict()
    module = load(images.folder / "out").state_dict()
    assert set(original) - set(module) == {"features.1.num_batches_tracked"}
    assert set(module) <= set(original)


def test_running_statistics_stay_buffers(images: Cli) -> None:
    module = load(images.folder / "out")
    assert {name for name, _ in module.named_buffers()} == {"features.1.running_mean", "features.1.running_var"}


def test_code_is_readable(out: Path) -> None:
    code = load(out).code
    assert code.startswith("def forward(self,\n    input: Tensor) -> Tensor:\n")
    assert code.count("torch.linear(") == 2 and "torch.relu(" in code


def test_a_module_has_two_columns_others_and_its_class(out: Path) -> None:
    x, y = networks.samples()
    for output in range(CLASSES):
        found = load(out, output)(torch.from_numpy(x))
        assert found.shape == (90, 2)
        assert ((found[:, 1] > found[:, 0]).numpy() == (y == output)).mean() > 0.9


def test_a_slice_is_the_original_with_its_weights_cut(good: Cli) -> None:
    document = json.loads(good.done(*DECOMPOSE, "--json", "--head", "original"))
    original = networks.mlp().state_dict()
    for module in document["modules"]:
        kept = module["kept"]["0"]
        weights = {
            "0.weight": original["0.weight"][kept],
            "0.bias": original["0.bias"][kept],
            "2.weight": original["2.weight"][:, kept],
            "2.bias": original["2.bias"],
        }
        loaded = load(good.folder / "out", module["output"])
        assert {name: torch.equal(value, weights[name]) for name, value in loaded.state_dict().items()} == {
            name: True for name in weights
        }
        hidden = torch.relu(inputs() @ weights["0.weight"].T + weights["0.bias"])
        expected = hidden @ weights["2.weight"].T + weights["2.bias"]
        assert torch.allclose(loaded(inputs()), expected, atol=1e-6)


def test_a_new_head_stands_on_the_cut_weights(good: Cli) -> None:
    original = networks.mlp().state_dict()
    for module in json.loads(good.done(*DECOMPOSE, "--json", "--repair", "none", "--calibration", "heads"))["modules"]:
        state = load(good.folder / "out", module["output"]).state_dict()
        kept = module["kept"]["0"]
        assert torch.equal(state["0.weight"], original["0.weight"][kept])
        assert torch.equal(state["0.bias"], original["0.bias"][kept])
        assert state["2.weight"].shape == (2, len(kept))


def test_a_convolutional_slice_is_the_masked_original(images: Cli) -> None:
    document = json.loads((images.folder / "sliced/decomposition.json").read_text())
    x = torch.from_numpy(np.load(images.folder / "data.npz")["x"])
    for module in document["modules"]:
        original = networks.ConvNet().eval()
        kept = torch.zeros(6, dtype=torch.bool)
        kept[module["kept"]["features.0"]] = True
        with torch.no_grad():
            masked = original.features(x) * kept.view(1, 6, 1, 1)
            expected = original.head(masked.flatten(1))
            found = load(images.folder / "sliced", module["output"])(x)
        assert 0 < kept.sum() < 6
        assert torch.allclose(found, expected, atol=1e-6)


def train_a_step(module: Any, x: Tensor, target: Tensor, rate: float = 1e-2) -> tuple[float, float]:
    """The loss before and after one step of gradient descent."""
    optimiser = torch.optim.SGD(module.parameters(), lr=rate)
    before = nn.functional.cross_entropy(module(x), target)
    optimiser.zero_grad()
    before.backward()
    optimiser.step()
    with torch.no_grad():
        return float(before.detach()), float(nn.functional.cross_entropy(module(x), target))


def test_a_module_can_be_trained_saved_and_loaded_again(out: Path, tmp_path: Path) -> None:
    x, y = networks.samples()
    module = load(out, 1)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    assert all(parameter.requires_grad for parameter in module.parameters())
    targets = torch.from_numpy(y != 1).long()  # against what it was made for: there is much to learn
    first, second = train_a_step(module, torch.from_numpy(x), targets)
    assert second < first
    assert [name for name, value in module.state_dict().items() if torch.equal(value, before[name])] == []
    module.save(str(tmp_path / "trained.pt"))
    assert torch.equal(torch.jit.load(tmp_path / "trained.pt")(inputs()), module(inputs()))


def test_a_convolutional_module_can_be_trained(images: Cli) -> None:
    data = np.load(images.folder / "data.npz")
    module = load(images.folder / "out")
    targets = torch.from_numpy(data["y"] != 0).long()
    first, second = train_a_step(module, torch.from_numpy(data["x"]), targets, rate=1e-4)
    assert second < first


def test_train_and_eval_switch_a_module_and_its_batch_norms(images: Cli) -> None:
    x = torch.from_numpy(np.load(images.folder / "data.npz")["x"])
    module = load(images.folder / "out")
    norm = getattr(module.features, "1")
    assert not module.training and not norm.training
    as_saved = module(x)
    before = norm.running_mean.clone()
    module.train()
    assert module.training and norm.training
    assert not torch.allclose(module(x), as_saved)
    assert not torch.equal(norm.running_mean, before)
    module.eval()
    after = norm.running_mean.clone()
    module(x)
    assert torch.equal(norm.running_mean, after)


def test_a_module_with_batch_norms_in_training_is_saved_and_decomposed_again(images: Cli, tmp_path: Path) -> None:
    module = load(images.folder / "sliced")
    module.train()
    module(torch.from_numpy(np.load(images.folder / "data.npz")["x"]))
    module.save(str(tmp_path / "trained.pt"))
    again = torch.jit.load(tmp_path / "trained.pt")
    assert again.training
    cli = Cli(images.binary, tmp_path)
    cli.done("decompose", "trained.pt", "--data", str(images.folder / "data.npz"), "--out", "again", "--quiet")
    assert not torch.jit.load(tmp_path / "again/module-0.pt").training


def test_the_training_of_a_module_as_documented(good: Cli) -> None:
    """The five lines of docs/python.md, verbatim."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "python.md").read_text()
    blocks = [block.split("```")[0] for block in page.split("```python\n")[1:]]
    (lines,) = [block for block in blocks if "tuned.pt" in block]
    good.done(*DECOMPOSE, "--quiet")
    x, y = networks.samples()
    module = load(good.folder / "out", 1)
    targets = torch.from_numpy(y == 1).long()
    with torch.no_grad():
        first = nn.functional.cross_entropy(module(torch.from_numpy(x)), targets)
    names = {"torch": torch, "module": module, "batches": [(torch.from_numpy(x), targets)] * 20}
    exec(compile(lines.replace("tuned.pt", str(good.folder / "tuned.pt")), "python.md", "exec"), names)
    tuned = torch.jit.load(good.folder / "tuned.pt")
    with torch.no_grad():
        second = nn.functional.cross_entropy(tuned(torch.from_numpy(x)), targets)
    assert second < first and not tuned.training


@pytest.mark.parametrize("count", [1, 2, 7, 90])
def test_any_number_of_samples_gives_the_same(out: Path, images: Cli, count: int) -> None:
    with torch.no_grad():
        module = load(out)
        assert torch.allclose(module(inputs()[:count]), module(inputs())[:count], atol=1e-6)
        module = load(images.folder / "out")
        x = torch.from_numpy(np.load(images.folder / "data.npz")["x"])
        assert torch.allclose(module(x[:count]), module(x)[:count], atol=1e-6)


@pytest.mark.parametrize("example", [None, torch.zeros(3, FEATURES)], ids=["scripted", "traced"])
def test_modules_of_scripted_and_traced_originals_are_the_same_function(good: Cli, example: Tensor | None) -> None:
    networks.save(networks.mlp(nn.Softmax(1)), good.folder / "model.pt", example)
    document = json.loads(good.done(*DECOMPOSE, "--json", "--head", "original", "--keep", "0.5"))
    original = networks.mlp(nn.Softmax(1))
    kept = document["modules"][2]["kept"]["0"]
    with torch.no_grad():
        hidden = torch.relu(original[0](inputs()))
        removed = [unit for unit in range(8) if unit not in kept]
        hidden[:, removed] = 0
        expected = torch.softmax(original[2](hidden), 1)
        assert torch.allclose(load(good.folder / "out", 2)(inputs()), expected, atol=1e-6)
    assert len(kept) == 4


def test_a_module_can_be_decomposed_again(good: Cli) -> None:
    good.done(*DECOMPOSE, "--head", "original", "--quiet", "--keep", "0.6")
    (good.folder / "out/module-0.pt").rename(good.folder / "model.pt")
    document = json.loads(good.done(*into("again"), "--json"))
    assert document["groups"][0]["units"] == 5
