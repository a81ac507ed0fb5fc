"""The order of image axes: errors about a wrong one, and --input-layout."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import networks
from conftest import DECOMPOSE, Cli, into
from networks import CLASSES

INSPECT = ("inspect", "model.pt", "--data", "data.npz", "--threads", "1")
EVALUATE = ("evaluate", "model.pt", "--data", "data.npz", "--threads", "1")
NHWC = ("--input-layout", "nhwc")


def images(count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Colour images [N, 3, 8, 8], brighter in the channel of their class."""
    classes = np.arange(count) % CLASSES
    x = np.random.default_rng(0).random((count, 3, 8, 8)).astype(np.float32)
    x[np.arange(count), classes] += 1
    return x, classes


@pytest.fixture
def rgb(cli: Cli) -> Cli:
    """The program with a model of colour images; data.npz has their channels last, moved.npz first."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(96, CLASSES))
    x, y = images()
    networks.train(model, x, y, 60)
    networks.save(model, cli.folder / "model.pt")
    np.savez(cli.folder / "data.npz", x=x.transpose(0, 2, 3, 1), y=y)
    np.savez(cli.folder / "moved.npz", x=x, y=y)
    return cli


def modules_of(cli: Cli, folder: str) -> list[dict[str, torch.Tensor]]:
    return [torch.jit.load(file).state_dict() for file in sorted((cli.folder / folder).glob("module-*.pt"))]


def accuracy(cli: Cli, *arguments: Any) -> float:
    return json.loads(cli.done(*arguments, "--json"))["evaluation"]["accuracy"]


def test_images_whose_channels_come_last_are_recognised(rgb: Cli) -> None:
    message = (
        "model.pt: does not take inputs of shape [N, 8, 8, 3]: Given groups=1, weight of size [6, 3, 3, 3], expected "
        "input[2, 8, 8, 3] to have 3 channels, but got 8 channels instead. It takes [N, 3, 8, 8]: transpose the array, "
        "x.transpose(0, 3, 1, 2), or pass --input-layout nhwc"
    )
    rgb.refused(5, message, *INSPECT)
    rgb.refused(5, message, *DECOMPOSE)
    rgb.refused(5, message, *EVALUATE)


def test_other_orders_of_axes_are_recognised(rgb: Cli) -> None:
    x, y = images()
    np.savez(rgb.folder / "data.npz", x=x.transpose(0, 2, 1, 3), y=y)
    phrases = ("inputs of shape [N, 8, 3, 8]", "It takes [N, 3, 8, 8]: transpose the array, x.transpose(0, 2, 1, 3)\n")
    rgb.refused(5, phrases, *INSPECT)


def test_sequences_whose_channels_come_last_are_recognised(rgb: Cli) -> None:
    torch.manual_seed(0)
    networks.save(nn.Sequential(nn.Conv1d(3, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3)), rgb.folder / "model.pt")
    x, y = images()
    np.savez(rgb.folder / "data.npz", x=x[:, :, 0].transpose(0, 2, 1), y=y)
    phrases = ("inputs of shape [N, 8, 3]", "It takes [N, 3, 8]: transpose the array, x.transpose(0, 2, 1)\n")
    rgb.refused(5, phrases, *INSPECT)


def test_a_shape_never_changes_the_order_of_axes(rgb: Cli) -> None:
    message = (
        "data.npz: array 'x': each sample has shape [8, 8, 3]; --input-shape 3,8,8 has these axes in another order, and "
        "reshaping would mix up the values. Transpose the array, x.transpose(0, 3, 1, 2), or pass --input-layout nhwc."
    )
    for command in (INSPECT, DECOMPOSE, EVALUATE):
        rgb.refused(5, message, *command, "--input-shape", "3,8,8")
    x, y = images()
    np.savez(rgb.folder / "data.npz", x=x.reshape(60, 3, 64).transpose(0, 2, 1), y=y)
    rgb.refused(5, ("x.transpose(0, 2, 1).\n",), *INSPECT, "--input-shape", "3,8,8")


def test_a_shape_that_leaves_the_order_as_it_is_is_taken(rgb: Cli) -> None:
    x, y = images()
    for shape in ((60, 192), (60, 3, 64), (60, 3, 1, 8, 8)):
        np.savez(rgb.folder / "data.npz", x=x.reshape(shape), y=y)
        assert accuracy(rgb, *EVALUATE, "--input-shape", "3,8,8") == 1


def test_an_axis_of_one_may_be_moved_by_a_shape(cli: Cli) -> None:
    networks.save(networks.ConvNet(), cli.folder / "model.pt")
    x = np.random.default_rng(0).random((30, 1, 8, 8), np.float32)
    y = np.arange(30) % CLASSES
    np.savez(cli.folder / "data.npz", x=x, y=y)
    first = accuracy(cli, *EVALUATE)
    np.savez(cli.folder / "data.npz", x=x.reshape(30, 8, 8, 1), y=y)
    assert accuracy(cli, *EVALUATE, "--input-shape", "1,8,8") == first
    assert accuracy(cli, *EVALUATE, *NHWC) == first


def test_a_layout_gives_what_the_transposed_array_gives(rgb: Cli) -> None:
    rgb.done(*into("last"), *NHWC, "--quiet")
    rgb.done("decompose", "model.pt", "--data", "moved.npz", "--threads", "1", "--out", "first", "--quiet")
    for last, first in zip(modules_of(rgb, "last"), modules_of(rgb, "first"), strict=True):
        assert last.keys() == first.keys()
        assert all(torch.equal(last[name], first[name]) for name in first)
    assert accuracy(rgb, *EVALUATE, *NHWC) == accuracy(rgb, *EVALUATE[:3], "moved.npz", "--threads", "1") == 1
    rgb.done(*INSPECT, *NHWC)


def test_a_layout_goes_with_a_shape(rgb: Cli) -> None:
    assert accuracy(rgb, *EVALUATE, *NHWC, "--input-shape", "3,8,8") == 1
    assert accuracy(rgb, *EVALUATE, *NHWC, "--input-shape", "8,8,3") == 1
    x, y = images()
    np.savez(rgb.folder / "data.npz", x=x.transpose(0, 2, 3, 1).reshape(60, -1), y=y)
    assert accuracy(rgb, *EVALUATE, *NHWC, "--input-shape", "8,8,3") == 1


def test_a_layout_is_kept_for_evaluate_and_compose(rgb: Cli) -> None:
    rgb.done(*into("out"), *NHWC, "--quiet")
    document = json.loads((rgb.folder / "out/decomposition.json").read_text())
    assert document["settings"]["input_layout"] == "nhwc"
    evaluation = json.loads(rgb.done("evaluate", "out", "--data", "data.npz", "--threads", "1", "--json"))["evaluation"]
    moved = ("evaluate", "out", "--data", "moved.npz", "--threads", "1", "--json")
    assert json.loads(rgb.done(*moved, "--input-layout", "as-stored"))["evaluation"] == evaluation
    composition = json.loads(rgb.done("compose", "out", "--out", "combined.pt", "--threads", "1", "--json"))
    assert composition["checked_on"] == "data.npz"
    assert accuracy(rgb, "evaluate", "combined.pt", "--data", "data.npz") == evaluation["combined_accuracy"]
    given = ("compose", "out", "--out", "again.pt", "--data", "moved.npz", "--input-layout", "as-stored", "--threads", "1")
    rgb.done(*given)
    message = "--input-layout describes the images of --data; expected --data as well"
    rgb.refused(2, message, "compose", "out", "--out", "third.pt", *NHWC)


def test_scores_are_of_one_layout(rgb: Cli) -> None:
    rgb.done(*into("out"), *NHWC, "--quiet", "--keep-scores")
    rgb.done(*into("again"), *NHWC, "--quiet", "--scores", "out/scores.npz")
    x, y = images()
    np.savez(rgb.folder / "square.npz", x=x[:, :, :3, :3], y=y)
    torch.manual_seed(0)
    networks.save(nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6, 3)), rgb.folder / "square.pt")
    square = ("decompose", "square.pt", "--data", "square.npz", "--threads", "1", "--quiet")
    rgb.done(*square, "--out", "stored", "--keep-scores")
    rgb.done(*square, "--out", "moved", *NHWC, "--keep-scores")
    message = (
        "{0}/scores.npz: made with --input-layout {1}, but this run has --input-layout {2}; pass --input-layout {1} to use it, or "
        "leave out --scores to score again"
    )
    other = ("--out", "other", "--scores")
    rgb.refused(2, message.format("stored", "as-stored", "nhwc"), *square, *NHWC, *other, "stored/scores.npz")
    rgb.refused(2, message.format("moved", "nhwc", "as-stored"), *square, *other, "moved/scores.npz")


def test_a_layout_that_the_data_does_not_have(rgb: Cli) -> None:
    (rgb.folder / "moved.npz").rename(rgb.folder / "data.npz")
    message = "data.npz: the model takes the images as they are stored; leave out --input-layout nhwc"
    rgb.refused(5, message, *INSPECT, *NHWC)


def test_a_layout_without_images(good: Cli) -> None:
    message = (
        "data.npz: array 'x': --input-layout nhwc is for images [N, H, W, C]; each sample has shape [6]. Leave it out, or "
        "give the shape of one image with --input-shape H,W,C"
    )
    good.refused(2, message, *INSPECT, *NHWC)
