"""incite inspect: layers, groups, pins."""

import json
from collections.abc import Callable
from typing import Any

from torch import nn

import networks
from conftest import Cli
from networks import CLASSES, FEATURES

INSPECT = ("inspect", "model.pt", "--data", "data.npz", "--threads", "1")


def inspect(cli: Cli) -> dict[str, Any]:
    return json.loads(cli.done(*INSPECT, "--json"))


def test_its_document(good: Cli) -> None:
    document = inspect(good)
    versions = document.pop("versions")
    assert list(versions) == ["incite", "torch"]
    layers = document.pop("layers")
    assert [(layer["name"], layer["op"], layer["channels"]) for layer in layers] == [
        ("0", "aten::linear", 8),
        ("2", "aten::linear", 3),
    ]
    pins = document.pop("pins")
    assert [(pin["op"], pin["units"]) for pin in pins] == [(None, 3)]
    assert document == {
        "schema": 1,
        "parameters": 83,  # 6*8 + 8 + 8*3 + 3
        "removable_parameters": 83 - (6 + 1 + 3 + 3),  # one hidden unit must stay
        "outputs": 3,
        "output_kind": "logits",
        "head": "2",
        "groups": [
            {"layers": ["0"], "units": 8, "pinned": 0},
            {"layers": ["2"], "units": 3, "pinned": 3},
        ],
    }


def test_its_table(good: Cli) -> None:
    lines = good.done(*INSPECT).splitlines()
    assert lines[0].split() == ["group", "layers", "units", "pinned", "removable"]
    assert lines[2].split() == ["0", "0", "8", "0", "yes"]
    assert lines[3].split() == ["1", "2", "3", "3", "no"]
    assert lines[-2] == "Parameters: 83, of which 70 (84.34 %) can be removed"
    assert lines[-1] == "Outputs: 3 (logits), from layer '2'"


def test_quiet_prints_nothing(good: Cli) -> None:
    assert good.done(*INSPECT, "--quiet") == ""


def test_a_pin_says_what_and_where(with_model: Callable[[nn.Module], Cli]) -> None:
    model = nn.Sequential(nn.Linear(FEATURES, 8), nn.LayerNorm(8), nn.Linear(8, CLASSES))
    document = inspect(with_model(model))
    pin = next(pin for pin in document["pins"] if pin["op"] == "aten::layer_norm")
    assert pin["units"] == 8
    assert pin["source"].startswith("functional.py:") or pin["source"].startswith("normalization.py:")
    assert document["removable_parameters"] == 0


def test_a_model_without_a_head(with_model: Callable[[nn.Module], Cli]) -> None:
    document = inspect(with_model(networks.TanhAtTheEnd()))
    assert (document["head"], document["output_kind"]) == ("layers.2", "other")


def test_it_writes_nothing(good: Cli) -> None:
    inspect(good)
    assert sorted(path.name for path in good.folder.iterdir()) == ["data.npz", "model.pt"]
