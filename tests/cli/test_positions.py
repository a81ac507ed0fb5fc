"""Models whose outputs have positions: segmentation, and maps of values."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import networks
from conftest import Cli, into

CLASSES = 3
SIDE = 12


def samples(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images of two colours of squares on noise, and the class of each pixel."""
    random = np.random.default_rng(seed)
    x = 0.3 * random.standard_normal((count, 2, SIDE, SIDE)).astype(np.float32)
    y = np.zeros((count, SIDE, SIDE), np.uint8)
    for image in range(count):
        for shape in (1, 2):
            top, left = random.integers(0, SIDE - 5, 2)
            x[image, shape - 1, top : top + 5, left : left + 5] += 1
            y[image, top : top + 5, left : left + 5] = shape
    return x, y


class Segmenter(nn.Module):
    """Convolutions with a skip connection; perhaps at half of the resolution, with upsampled logits."""

    def __init__(self, outputs: int, half: bool = False) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(2, 12, 3, padding=1, stride=2 if half else 1), nn.BatchNorm2d(12), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(12, 12, 3, padding=1), nn.ReLU())
        self.head = nn.Conv2d(24, outputs, 1)
        self.half = half

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(x)
        y = self.head(torch.cat([first, self.second(first)], 1))
        if self.half:
            y = nn.functional.interpolate(y, size=x.shape[-2:], mode="bilinear", align_corners=False)
        return y


def trained(model: nn.Module, x: np.ndarray, target: Tensor, loss: Any) -> nn.Module:
    torch.manual_seed(0)
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(60):
        optimiser.zero_grad()
        loss(model(torch.from_numpy(x)), target).backward()
        optimiser.step()
    return model


@pytest.fixture(scope="session", params=["full", "half"])
def shapes(request: pytest.FixtureRequest, binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """A trained segmentation network, and a test set, of which some pixels have no label. Tests must not change it."""
    cli = Cli(binary, tmp_path_factory.mktemp(request.param))
    torch.manual_seed(0)
    x, y = samples(120, seed=0)
    model = Segmenter(CLASSES, half=request.param == "half")
    trained(model, x, torch.from_numpy(y).long(), nn.functional.cross_entropy)
    networks.save(model, cli.folder / "model.pt")
    np.savez(cli.folder / "data.npz", x=x, y=y)
    x, y = samples(40, seed=1)
    y[:, 0] = 255
    np.savez(cli.folder / "test.npz", x=x, y=y)
    return cli


def decompose(cli: Cli, folder: str, *options: Any) -> dict[str, Any]:
    return json.loads(cli.done(*into(folder), "--force", "--json", "--test", "test.npz", *options))


@torch.no_grad()
def outputs(cli: Cli, file: str) -> Tensor:
    return torch.jit.load(str(cli.folder / file))(torch.from_numpy(samples(40, seed=1)[0]))


def mean_iou(decided: np.ndarray, truth: np.ndarray) -> float:
    return float(np.mean([((decided == k) & (truth == k)).sum() / ((decided == k) | (truth == k)).sum() for k in range(CLASSES)]))


def test_each_class_gets_a_module_that_tells_where_it_is(shapes: Cli) -> None:
    document = decompose(shapes, "each", "--target-compression", "2")
    evaluation = document["evaluation"]
    y = samples(40, seed=1)[1][:, 1:]
    original = outputs(shapes, "model.pt").argmax(1).numpy()[:, 1:]
    assert evaluation["samples"] == y.size and evaluation["positions"] == SIDE * SIDE
    assert evaluation["original_accuracy"] == pytest.approx((original == y).mean())
    assert evaluation["original_mean_iou"] == pytest.approx(mean_iou(original, y), abs=1e-6)
    assert evaluation["mean_iou_loss"] < 0.05
    for label, module in enumerate(document["modules"]):
        found = outputs(shapes, f"each/{module['file']}")
        assert found.shape == (40, 2, SIDE, SIDE) and module["compression"] >= 2
        yes = (found[:, 1] > found[:, 0]).numpy()[:, 1:]
        assert module["accuracy"] == pytest.approx((yes == (y == label)).mean(), abs=1e-3)
        assert module["iou"] == pytest.approx((yes & (y == label)).sum() / (yes | (y == label)).sum(), abs=1e-3)


def test_a_module_for_all_classes_stands_in_for_the_model(shapes: Cli) -> None:
    document = decompose(shapes, "all", "--modules", "all", "--target-compression", "2", "--finetune", "2")
    found = outputs(shapes, "all/module-all.pt")
    y = samples(40, seed=1)[1][:, 1:]
    assert found.shape == (40, CLASSES, SIDE, SIDE)
    decided = found.argmax(1).numpy()[:, 1:]
    assert document["evaluation"]["combined_mean_iou"] == pytest.approx(mean_iou(decided, y), abs=1e-3)
    assert document["evaluation"]["mean_iou_loss"] < 0.05


def test_evaluate_and_compose_know_positions(shapes: Cli) -> None:
    document = decompose(shapes, "sets", "--modules", "shapes=1,2", "ground=0", "--target-compression", "2")
    evaluated = json.loads(shapes.done("evaluate", "sets", "--data", "test.npz", "--json"))
    for name in ("samples", "positions", "original_mean_iou", "combined_mean_iou"):
        assert evaluated["evaluation"][name] == document["evaluation"][name]
    shapes.done("compose", "sets", "--out", "joined.pt", "--force")
    assert outputs(shapes, "joined.pt").shape == (40, CLASSES, SIDE, SIDE)
    joined = json.loads(shapes.done("evaluate", "joined.pt", "--data", "test.npz", "--json"))
    assert joined["evaluation"]["mean_iou"] == pytest.approx(document["evaluation"]["combined_mean_iou"], abs=1e-3)
    model = json.loads(shapes.done("evaluate", "model.pt", "--data", "test.npz", "--json"))
    assert model["evaluation"]["mean_iou"] == document["evaluation"]["original_mean_iou"]
    module = json.loads(shapes.done("evaluate", "sets/module-shapes.pt", "--data", "test.npz", "--json"))
    assert module["evaluation"]["positions"] == SIDE * SIDE


def test_the_table_speaks_of_positions(shapes: Cli) -> None:
    table = shapes.done(*into("table"), "--force", "--test", "test.npz", "--target-compression", "2")
    assert "Accuracy on 5,280 positions: original" in table
    assert "Mean intersection over union: original" in table
    assert "IoU" in shapes.done("evaluate", "table", "--data", "test.npz")


@pytest.mark.parametrize("options", [["--max-loss", "5"], ["--head", "original"], ["--calibration", "none"], ["--metric", "flips"]])
def test_every_way_to_make_modules_works_for_positions(shapes: Cli, options: list[str]) -> None:
    document = decompose(shapes, "ways", *options)
    assert document["evaluation"]["accuracy_loss"] < (0.5 if "original" in options else 0.1)


def test_one_output_tells_two_classes_apart_at_each_position(cli: Cli) -> None:
    x, y = samples(120, seed=0)
    y = (y > 0).astype(np.uint8)
    model = trained(Segmenter(1), x, torch.from_numpy(y).float()[:, None], nn.functional.binary_cross_entropy_with_logits)
    networks.save(model, cli.folder / "model.pt")
    np.savez(cli.folder / "data.npz", x=x, y=y)
    document = json.loads(cli.done(*into("out"), "--json"))
    assert [module["output"] for module in document["modules"]] == [0, 1]
    assert document["evaluation"]["mean_iou_loss"] < 0.05


class TwoHeads(nn.Module):
    """The sum of two output layers, as in LR-ASPP."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(2, 12, 3, padding=1), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(12, 12, 3, padding=1, stride=2), nn.ReLU())
        self.low, self.high = nn.Conv2d(12, CLASSES, 1), nn.Conv2d(12, CLASSES, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        first = self.first(x)
        second = nn.functional.interpolate(self.second(first), size=first.shape[-2:], mode="bilinear", align_corners=False)
        return {"out": self.low(first) + self.high(second)}


def test_output_layers_that_are_added_up_become_one(cli: Cli) -> None:
    x, y = samples(120, seed=0)
    model = TwoHeads()
    trained(model, x, torch.from_numpy(y).long(), lambda found, truth: nn.functional.cross_entropy(found["out"], truth))
    networks.save(model, cli.folder / "model.pt")
    np.savez(cli.folder / "data.npz", x=x, y=y)
    document = json.loads(cli.done(*into("out"), "--json", "--output", "out", "--target-compression", "2"))
    assert document["model"]["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert document["evaluation"]["mean_iou_loss"] < 0.05
    module = torch.jit.load(str(cli.folder / "out/module-1.pt"))
    assert set(module.state_dict()) <= set(model.state_dict())


class Detector(nn.Module):
    """Boxes and scores at each position, as detectors give them: [N, 4 + classes, positions]."""

    def __init__(self) -> None:
        super().__init__()
        self.body = Segmenter(4 + CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x).flatten(2)


def test_maps_without_labels_follow_the_originals_values(cli: Cli) -> None:
    torch.manual_seed(0)
    networks.save(Detector(), cli.folder / "model.pt")
    np.savez(cli.folder / "data.npz", x=samples(60, seed=0)[0])
    np.savez(cli.folder / "test.npz", x=samples(20, seed=1)[0])
    document = decompose(cli, "out", "--modules", "person=0-4", "--target-compression", "2")
    assert document["model"]["task"] == "regression" and document["data"]["targets"] == "model"
    found = torch.jit.load(str(cli.folder / "out/module-person.pt"))(torch.from_numpy(samples(20, seed=1)[0]))
    original = torch.jit.load(str(cli.folder / "model.pt"))(torch.from_numpy(samples(20, seed=1)[0]))[:, :5]
    assert found.shape == (20, 5, SIDE * SIDE)
    assert document["modules"][0]["mae"] == pytest.approx((found - original).abs().mean().item(), rel=1e-3)
    assert document["modules"][0]["r2"] > 0.8


def test_labels_at_each_position_may_hold_at_once(cli: Cli) -> None:
    x, y = samples(120, seed=0)
    labels = np.stack([y == 1, y > 0], 1)
    model = trained(
        Segmenter(2), x, torch.from_numpy(labels).float(), nn.functional.binary_cross_entropy_with_logits
    )
    networks.save(model, cli.folder / "model.pt")
    np.savez(cli.folder / "data.npz", x=x, y=labels)
    document = json.loads(cli.done(*into("out"), "--json", "--target-compression", "2"))
    assert document["model"]["task"] == "multilabel"
    assert document["evaluation"]["mean_average_precision_loss"] < 0.05


def test_adam_heads_are_refused(shapes: Cli) -> None:
    shapes.refused(2, ("--head adam is not for outputs with positions",), *into("adam"), "--head", "adam")
