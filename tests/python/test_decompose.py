"""incite.decompose: what it takes, and what it hands over."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import incite
import networks
from incite import _export

Data = tuple[np.ndarray, np.ndarray]


class TwoInputs(nn.Module):
    """A word's number and an image: [N] int64 and [N, 4] to [N, 3]."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Embedding(5, 16)
        self.image = nn.Linear(4, 16)
        self.head = nn.Linear(16, 3)

    def forward(self, word: Tensor, image: Tensor) -> Tensor:
        return self.head(torch.relu(self.words(word) + self.image(image)))


@pytest.fixture
def two() -> tuple[TwoInputs, Tensor, Tensor, Tensor]:
    """The model, and inputs with the model's own decisions as classes."""
    model = TwoInputs()
    word, image = torch.randint(0, 5, (240,)), torch.randn(240, 4)
    return model, word, image, model(word, image).argmax(1)


def test_measures_and_table_are_those_of_the_document(result: incite.Decomposition) -> None:
    document = json.loads((result.folder / "decomposition.json").read_text())
    evaluation = document["evaluation"]
    assert result.accuracy == evaluation["combined_accuracy"] > 0.9
    assert result.original_accuracy == evaluation["original_accuracy"]
    assert result.compression == evaluation["mean_compression"] >= 1.5
    assert result.overlap == evaluation["mean_overlap"]
    assert (result.mae, result.original_mae) == (None, None)
    assert f"Mean compression {result.compression:.2f}x" in result.table() == str(result)


def test_modules_are_torch_modules_by_index_and_by_name(result: incite.Decomposition, data: Data) -> None:
    assert list(result.modules) == [0, 1, 2]
    assert result.modules["dog"] is result.modules[1]
    assert result.modules.file("dog").name == "module-1-dog.pt"
    assert result.modules.info(1)["parameters"] < result.document["model"]["parameters"]
    x = torch.from_numpy(data[0])
    for index in result.modules:
        right = (result.modules[index](x).argmax(1).numpy() == (data[1] == index)).mean()
        assert right > 0.9
    with pytest.raises(KeyError, match="no module 'mouse'; expected one of 0, 1, 2, 'cat', 'dog', 'cow'"):
        result.modules["mouse"]


def test_a_module_can_be_trained_and_measured(model: nn.Module, data: Data) -> None:
    made = incite.decompose(model, *data, target_compression=1.5)
    module = made.modules[0]
    x, y = torch.from_numpy(data[0]), torch.from_numpy(data[1] == 0).long()
    before = [parameter.detach().clone() for parameter in module.parameters()]
    optimiser = torch.optim.SGD(module.train().parameters(), 0.1)
    nn.functional.cross_entropy(module(x), 1 - y).backward()  # the wrong way round
    optimiser.step()
    assert all(not torch.equal(old, new) for old, new in zip(before, module.parameters(), strict=True))
    trained = incite.evaluate(module.eval(), *data)
    right = (module(x).argmax(1) == y).double().mean()
    assert trained.accuracy == pytest.approx(float(right))


def test_the_model_does_not_change(data: Data) -> None:
    model = nn.Sequential(*networks.mlp(), nn.Dropout(0.5))
    model[1].eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    incite.decompose(model, *data, target_compression=1.2)
    incite.inspect(model, *data)
    assert [part.training for part in model] == [True, False, True, True]
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_what_samples_may_be(model: nn.Module, data: Data, tmp_path: Path) -> None:
    x, y = torch.from_numpy(data[0]), torch.from_numpy(data[1])
    np.savez(tmp_path / "data.npz", images=data[0], labels=data[1])
    dataset = TensorDataset(x, y)
    results = [
        incite.decompose(model, *data),
        incite.decompose(model, x, y),
        incite.decompose(model, dataset),
        incite.decompose(model, DataLoader(dataset, batch_size=7)),
        incite.decompose(model, x.tolist(), y.tolist(), input_scale=1.0),
        incite.decompose(model, tmp_path / "data.npz", input_key="images", target_key="labels"),
    ]
    assert len({json.dumps(made.document["modules"]) for made in results}) == 1


def test_models_may_be_scripted_or_files(model: nn.Module, data: Data, tmp_path: Path) -> None:
    networks.save(model, tmp_path / "model.pt")
    whole = incite.decompose(model, *data).document["modules"]
    assert incite.decompose(torch.jit.script(model), *data).document["modules"] == whole
    assert incite.decompose(tmp_path / "model.pt", *data).document["modules"] == whole


def test_several_inputs_as_a_tuple_a_dict_or_a_data_set(two: tuple[TwoInputs, Tensor, Tensor, Tensor]) -> None:
    model, word, image, y = two
    results = [
        incite.decompose(model, (word, image), y, target_compression=1.5),
        incite.decompose(model, {"image": image, "word": word}, y, target_compression=1.5),  # in another order than forward's
        incite.decompose(model, TensorDataset(word, image, y), target_compression=1.5),
    ]
    assert [made.document["settings"]["input_key"] for made in results] == ["x0,x1", "word,image", "x0,x1"]
    assert len({made.accuracy for made in results}) == 1
    assert results[1].modules[0](word[:5], image[:5]).shape == (5, 2)


def test_a_regression(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 2))
    x = torch.randn(200, 4)
    made = incite.decompose(model, x, model(x), test=(x[:50], model(x[:50])), names=["wind", "rain"], target_compression=1.5)
    assert made.mae is not None and made.mae > 0
    assert made.original_mae == pytest.approx(0, abs=1e-6)
    assert made.accuracy is None
    assert made.modules["wind"](x).shape == (200, 1)
    assert made.document["test"]["samples"] == 50 and not made.document["test"]["held_out"]


class ManyInputs(nn.Module):
    """Takes what scripts can't: any number of arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = networks.mlp()

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.layers(sum(inputs))


def test_a_model_that_cannot_be_scripted_is_exported(data: Data) -> None:
    made = incite.decompose(ManyInputs(), *data, target_compression=1.2)
    assert Path(made.document["model"]["file"]).suffix == ".pt2"
    assert made.modules[0](torch.from_numpy(data[0])[:7]).shape == (7, 2)


def test_another_way_of_export_is_warned_of(model: nn.Module, data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*given: object) -> None:
        raise ValueError("no")

    monkeypatch.setattr(_export, "exported", fails)
    with pytest.warns(incite.InciteWarning, match=r"exported by torch.jit.script \(torch.export.export: ValueError: no\)"):
        incite.inspect(model, *data)
    hidden = "exported by torch.jit.trace, which hides branches .*torch.export.export: ValueError: no; torch.jit.script: "
    with pytest.warns(incite.InciteWarning, match=hidden):
        incite.inspect(ManyInputs(), *data)


def test_sets_of_outputs(model: nn.Module, data: Data) -> None:
    made = incite.decompose(model, *data, modules={"low": [0, 1], "high": 2}, target_compression=1.2)
    assert list(made.modules) == ["low", "high"]
    assert made.modules["low"](torch.from_numpy(data[0])).shape == (300, 3)  # others, 0, 1
    assert len(incite.decompose(model, *data, modules="all").modules) == 1


def test_files_stay_in_out_and_go_with_the_result_without(model: nn.Module, data: Data, tmp_path: Path) -> None:
    made = incite.decompose(model, *data, out=tmp_path / "out")
    assert made.folder == tmp_path / "out"
    again = incite.load(tmp_path / "out")
    assert again.accuracy == made.accuracy
    assert Path(made.document["model"]["file"]).is_file()
    assert incite.evaluate(again, *data).original_accuracy is not None
    temporary = incite.decompose(model, *data)
    folder = temporary.folder
    assert folder.is_dir()
    del temporary
    assert not folder.exists()


def test_force_leaves_no_files_of_the_earlier_result(model: nn.Module, data: Data, tmp_path: Path) -> None:
    incite.decompose(model, *data, out=tmp_path)
    incite.decompose(model, data[0][:200], data[1][:200], out=tmp_path, force=True)
    kinds = sorted(re.sub(r"-[0-9a-f]{8}", "", file.name) for file in (tmp_path / "original").iterdir())
    assert [kind.partition(".")[0] for kind in kinds] == ["data", "model"]


def test_evaluate_inspect_and_compose(result: incite.Decomposition, model: nn.Module, data: Data) -> None:
    measured = incite.evaluate(result, *data)
    assert measured.accuracy is not None and measured.accuracy > 0.9
    assert "Agreement with the original" in measured.table()
    whole = incite.evaluate(model, *data)
    assert whole.accuracy == pytest.approx(float((model(torch.from_numpy(data[0])).argmax(1).numpy() == data[1]).mean()))
    inspection = incite.inspect(model, *data)
    assert inspection.error is None and inspection.document["parameters"] == sum(p.numel() for p in model.parameters())
    composed = incite.compose([result.modules[0], result.modules.file("cow")], data[0], names=["zero", "two"])
    assert composed.names == ["zero", "two"]
    assert composed.model(torch.from_numpy(data[0])).shape == (300, 2)
    assert incite.compose([result], data[0], remove=["dog"]).names == ["cat", "cow"]
    both = incite.evaluate(composed, *data)
    assert both.accuracy is not None and both.accuracy > 0.9


def test_modules_as_exported_programs(model: nn.Module, data: Data, tmp_path: Path) -> None:
    made = incite.decompose(model, *data, out=tmp_path, format="pt2", target_compression=1.5, names=["cat", "dog", "cow"])
    assert made.modules.file("dog").name == "module-1-dog.pt2"
    assert Path(made.document["model"]["file"]).suffix == ".pt2"
    module = made.modules[1]
    assert json.loads(module.incite)["output"] == 1
    x = torch.from_numpy(data[0])
    optimiser = torch.optim.SGD(module.train().parameters(), 0.1)
    nn.functional.cross_entropy(module(x), torch.from_numpy(data[1] != 1).long()).backward()  # the wrong way round
    optimiser.step()
    right = (module.eval()(x).argmax(1).numpy() == (data[1] == 1)).mean()
    assert incite.evaluate(module, *data).accuracy == pytest.approx(right)
    composed = incite.compose([module, made.modules.file(2)], data[0], names=["dog", "cow"])
    odds = module(x)[:, 1] - module(x)[:, 0]
    assert torch.allclose(composed.model(x)[:, 0], odds, atol=1e-4)


def test_an_exported_program_as_the_model(model: nn.Module, data: Data) -> None:
    x = torch.from_numpy(data[0])
    program = torch.export.export(model.eval(), (x[:2],), dynamic_shapes=({0: torch.export.Dim("n")},))
    whole = incite.decompose(model, *data)
    assert incite.decompose(program, *data).accuracy == whole.accuracy
