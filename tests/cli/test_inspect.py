"""incite inspect: layers, groups, pins, the layer graph, and whether decompose will work."""

import json
import os
import pty
import struct
import termios
from collections.abc import Callable
from fcntl import ioctl
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import networks
from conftest import DECOMPOSE, Cli
from networks import CLASSES, FEATURES

INSPECT = ("inspect", "model.pt", "--data", "data.npz", "--threads", "1")
GUESSES = (
    "the model is right on 29.17 % of 72 samples, no better than always predicting class 0 (33.33 %); check the inputs' scale "
    "(--input-scale), the order of their axes and the order of the labels"
)
WithModel = Callable[[nn.Module], Cli]
WithData = Callable[..., Cli]


def inspect(cli: Cli) -> dict[str, Any]:
    return json.loads(cli.done(*INSPECT, "--json"))


def test_its_document(good: Cli) -> None:
    document = inspect(good)
    versions = document.pop("versions")
    assert list(versions) == ["incite", "torch"]
    assert all(layer.pop("source") for layer in document["layers"])
    removable = 83 - (6 + 1 + 3 + 3)  # one hidden unit must stay
    assert document == {
        "schema": 1,
        "parameters": 83,  # 6*8 + 8 + 8*3 + 3
        "removable_parameters": removable,
        "removable_share": removable / 83,
        "smallest_module": 6 + 1 + 2 + 2,  # with a head of its own
        "compression_at_most": 83 / 11,
        "outputs": {"count": 3, "kind": "logits", "head": "2"},
        "refusal": None,
        "warnings": [GUESSES],
        "groups": [
            {"layers": ["0"], "units": 8, "removable": 8, "pinned": 0, "parameters": 56},
            {"layers": ["2"], "units": 3, "removable": 0, "pinned": 3, "parameters": 27},
        ],
        "layers": [
            {"name": "0", "op": "aten::linear", "channels": 8, "group": 0},
            {"name": "2", "op": "aten::linear", "channels": 3, "group": 1},
        ],
        "pins": [{"node": None, "op": None, "source": "", "reason": "output", "layers": ["2"], "units": 3}],
        "kept_whole": [],
    }


def test_its_table(good: Cli) -> None:
    assert good.done(*INSPECT) == (
        "group  layers  units  removable  parameters  pinned by\n"
        "-----  ------  -----  ---------  ----------  ---------\n"
        "    0  0           8          8          56\n"
        "    1  2           3          0          27  output\n"
        "\n"
        "why     operation           places  first at  units  layers\n"
        "------  ------------------  ------  --------  -----  ------\n"
        "output  the model's output       1                3  2\n"
        "\n"
        "Units are pinned, which means that they can't be removed, because\n"
        "  output  they are the model's outputs\n"
        "\n"
        "Parameters: 83, of which 70 (84.34 %) can be removed\n"
        "Compression: at most 7.55x, with a head for one output\n"
        "Outputs: 3 (logits), from layer '2'\n"
        "Decompose: will work\n"
        f"warning: {GUESSES}\n"
    )


def test_quiet_prints_nothing(good: Cli) -> None:
    assert good.done(*INSPECT, "--quiet") == ""


class Residual(nn.Module):
    """Blocks that add to one stream, each with a softmax over its channels."""

    def __init__(self, blocks: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Linear(FEATURES, 8)
        self.blocks = nn.ModuleList(nn.Linear(8, 8) for _ in range(blocks))
        self.gates = nn.ModuleList(nn.Linear(8, 8) for _ in range(blocks))
        self.fc = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block, gate in zip(self.blocks, self.gates):
            x = x + torch.relu(block(x)) * torch.softmax(gate(torch.relu(x)), dim=1).sum(1, keepdim=True)
        return self.fc(x)


def test_the_table_abbreviates_and_full_does_not(with_model: WithModel) -> None:
    cli = with_model(Residual(12))
    short = cli.done(*INSPECT)
    assert "    0  stem +12 " in short
    assert "reduced  aten::softmax           12  test_inspect.py:" in short
    assert len(short.splitlines()) < 35
    full = cli.done(*INSPECT, "--full")
    assert "stem, blocks.0, blocks.1, " in full
    assert full.count("aten::softmax") == 12
    document = inspect(cli)
    assert document["groups"][0]["layers"] == ["stem", *(f"blocks.{i}" for i in range(12))]
    assert len([pin for pin in document["pins"] if pin["op"] == "aten::softmax"]) == 12


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_table_fits_the_terminal(with_model: WithModel, width: int) -> None:
    cli = with_model(Residual(3))
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    with cli.popen(*INSPECT, stdout=slave) as process:
        os.close(slave)
        shown = b""
        try:
            while part := os.read(master, 4096):
                shown += part
        except OSError:  # Linux's end of a terminal
            pass
        assert process.wait() == 0
    os.close(master)
    tables = shown.decode().replace("\r", "").split("Units are pinned")[0].splitlines()
    assert tables[0].startswith("group  layers")
    assert max(map(len, tables)) <= width


def test_a_pin_says_what_and_where(with_model: WithModel) -> None:
    document = inspect(with_model(Residual(1)))
    pin = next(pin for pin in document["pins"] if pin["op"] == "aten::softmax")
    assert (pin["reason"], pin["layers"], pin["units"]) == ("reduced", ["gates.0"], 8)
    assert pin["source"].startswith("test_inspect.py:")


def test_a_model_whose_head_can_be_no_other(with_model: WithModel) -> None:
    cli = with_model(networks.TanhAtTheEnd())
    result = cli.run(*INSPECT)
    message = (
        "a fitted head does not work with the operations after the output layer 'layers.2' (other); use --head original"
    )
    assert (result.code, result.err) == (6, f"error: {message}\n")
    assert result.out.endswith(
        "Outputs: 3 (other), from layer 'layers.2'\nDecompose: will not work, exit code 6\n"
    )
    document = json.loads(cli.run(*INSPECT, "--json").out)
    assert document["outputs"] == {"count": 3, "kind": "other", "head": "layers.2"}
    assert document["refusal"] == {"exit_code": 6, "message": message}


def agrees(cli: Cli) -> int:
    """Checks that inspect and decompose end with the same error. Returns their exit code."""
    inspected = cli.run(*INSPECT)
    assert inspected.out.startswith("group  layers")
    decomposed = cli.run(*DECOMPOSE, "--quiet")
    assert (inspected.code, inspected.err) == (decomposed.code, decomposed.err)
    return inspected.code


@pytest.mark.parametrize(
    ("model", "code"),
    [
        (networks.mlp(), 0),
        (networks.mlp(nn.Softmax(dim=1)), 0),
        (networks.TanhAtTheEnd(), 6),
        (nn.Sequential(nn.Linear(FEATURES, CLASSES)), 6),
        (networks.mlp(outputs=1), 5),
        (networks.mlp(outputs=2), 5),
        (networks.mlp(outputs=4), 5),
    ],
    ids=["good", "softmax", "tanh", "one layer", "one output", "too few outputs", "a class without samples"],
)
def test_the_exit_code_is_decomposes_for_the_model(with_model: WithModel, model: nn.Module, code: int) -> None:
    assert agrees(with_model(model)) == code


@pytest.mark.parametrize(
    ("arrays", "code"),
    [
        ({}, 5),  # logits may be those of classes, or values
        ({"y": np.zeros(20, dtype=np.int64)}, 5),
        ({"y": np.arange(20) % CLASSES}, 0),
        ({"y": np.random.default_rng(0).random((20, CLASSES))}, 0),
    ],
    ids=["no target", "one class", "classes", "values"],
)
def test_the_exit_code_is_decomposes_for_the_data(with_data: WithData, arrays: dict[str, Any], code: int) -> None:
    assert agrees(with_data(x=networks.samples(20)[0], **arrays)) == code


def test_it_writes_nothing(good: Cli) -> None:
    inspect(good)
    assert sorted(path.name for path in good.folder.iterdir()) == ["data.npz", "model.pt"]


def test_the_layer_graph(with_model: WithModel) -> None:
    cli = with_model(Residual(2))
    cli.done(*INSPECT, "--quiet", "--dot", "graphs/model.dot")
    assert [path.name for path in (cli.folder / "graphs").iterdir()] == ["model.dot"]
    lines = (cli.folder / "graphs" / "model.dot").read_text().splitlines()
    assert (lines[0], lines[-1]) == ("digraph incite {", "}")
    assert len([line for line in lines if 'label="blocks.' in line and "8 removable" in line]) == 2
    assert len([line for line in lines if r"softmax\npins: reduced" in line and "dashed" in line]) == 2
    cli.done(*INSPECT, "--quiet", "--dot", "graphs/model.dot")  # replaces its own


def test_the_layer_graph_of_a_model_that_will_be_refused(with_model: WithModel) -> None:
    cli = with_model(networks.TanhAtTheEnd())
    assert cli.run(*INSPECT, "--dot", "model.dot").code == 6
    assert (cli.folder / "model.dot").exists()


def test_a_layer_graph_that_cannot_be_written(good: Cli) -> None:
    (good.folder / "folder").mkdir()
    for name in ("folder", "new/"):
        message = f"--dot {name}: not the name of a file; expected one such as model.dot"
        good.refused(7, message, *INSPECT, "--dot", name)
    message = "--dot model.pt: is the model or the data; expected the name of another file"
    good.refused(7, message, *INSPECT, "--dot", "model.pt")
    good.refused(7, "model.pt: can't create this folder: Not a directory", *INSPECT, "--dot", "model.pt/graph")


@pytest.mark.parametrize("traced", [False, True], ids=["scripted", "traced"])
def test_a_pin_names_the_users_line(cli: Cli, traced: bool) -> None:
    """A trace contains no code, only the Python stack of each call."""
    model = networks.Normalised()
    networks.save(model, cli.folder / "model.pt", torch.randn(2, FEATURES) if traced else None)
    np.savez(cli.folder / "data.npz", x=np.random.default_rng(0).random((6, FEATURES), np.float32), y=np.arange(6) % CLASSES)
    pins = [pin for pin in inspect(cli)["pins"] if pin["op"] == "aten::layer_norm"]
    assert [pin["source"] for pin in pins] == [networks.line_of("hidden = self.norm(hidden)")]


@pytest.mark.parametrize("traced", [False, True], ids=["scripted", "traced"])
def test_a_recurrent_layer_has_all_its_weights(cli: Cli, traced: bool) -> None:
    x = np.random.default_rng(0).random((30, 4, FEATURES), np.float32)
    networks.save(networks.Recurrent(), cli.folder / "model.pt", torch.from_numpy(x[:2]) if traced else None)
    np.savez(cli.folder / "data.npz", x=x, y=np.arange(30) % CLASSES)
    document = inspect(cli)
    assert [layer["name"] for layer in document["layers"]] == ["lstm.l0", "lstm.l1", "head"]
    # Four gates of 5 units, each reading the features or the units below, its own units, and two biases.
    weights = [4 * 5 * (reads + 5 + 2) for reads in (FEATURES, 5)]
    assert [group["parameters"] for group in document["groups"]] == [*weights, 5 * CLASSES + CLASSES]
    assert [group["units"] - group["pinned"] for group in document["groups"]] == [5, 5, 0]


class Bag(nn.Module):
    """A classifier of token sequences, [N, 5] to [N, 3], by the mean of their vectors."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.bag = nn.EmbeddingBag(20, 4, mode="mean")
        self.head = nn.Linear(4, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.bag(x))


def weight_norm() -> nn.Module:
    return nn.Sequential(nn.utils.weight_norm(nn.Linear(FEATURES, 8)), nn.ReLU(), nn.Linear(8, CLASSES))


SEQUENCES = np.random.default_rng(0).standard_normal((30, 4, FEATURES)).astype(np.float32)
TOKENS = np.random.default_rng(0).integers(0, 20, (30, 5))


@pytest.mark.parametrize(
    ("model", "x", "whole"),
    [
        (lambda: networks.Cell(nn.LSTMCell), SEQUENCES, ("cell", "aten::lstm_cell", "unknown", 4, 260)),
        (lambda: networks.Cell(nn.GRUCell), SEQUENCES, ("cell", "aten::gru_cell", "unknown", 4, 195)),
        (weight_norm, SEQUENCES[:, 0], ("0", "aten::linear", "computed", 1, 64)),
        (Bag, TOKENS, ("bag", "aten::embedding_bag", "unknown", 1, 80)),
    ],
    ids=["lstm_cell", "gru_cell", "weight_norm", "embedding_bag"],
)
def test_a_layer_that_nothing_can_be_removed_from_is_listed(
    cli: Cli, model: Callable[[], nn.Module], x: np.ndarray, whole: tuple[str, str, str, int, int]
) -> None:
    example = torch.from_numpy(x[:2]) if model is weight_norm else None
    networks.save(model(), cli.folder / "model.pt", example)
    np.savez(cli.folder / "data.npz", x=x, y=np.arange(30) % CLASSES)
    refused = cli.run(*INSPECT, "--json")
    assert refused.code == 6
    assert refused.err == "error: model.pt: no unit can be removed, since every layer is pinned; 'incite inspect' shows why\n"
    document = json.loads(refused.out)
    layer, *others = document["kept_whole"]
    assert others == [] or model is weight_norm  # its bias too
    assert (layer["name"], layer["op"], layer["reason"], layer["places"]) == whole[:4]
    assert sum(layer["parameters"] for layer in document["kept_whole"]) == whole[4]
    assert sum(group["parameters"] for group in document["groups"]) + whole[4] == document["parameters"]


def test_the_table_says_what_is_kept_whole_and_why(cli: Cli) -> None:
    networks.save(networks.Cell(), cli.folder / "model.pt")
    np.savez(cli.folder / "data.npz", x=SEQUENCES, y=np.arange(30) % CLASSES)
    table = cli.run(*INSPECT).out
    place = networks.line_of("state = self.cell(x[:, 0])")
    assert (
        "kept whole  why      operation        places  first at         parameters\n"
        "----------  -------  ---------------  ------  ---------------  ----------\n"
        f"cell        unknown  aten::lstm_cell       4  {place}         260\n"
        "\n"
        "Weights are kept whole because\n"
        "  unknown  they go into an operation that incite has no rule for\n"
        "\n"
    ) in table


def test_a_squeeze_without_a_dimension_keeps_the_samples_apart(cli: Cli) -> None:
    networks.save(networks.Points(), cli.folder / "model.pt")
    x = np.random.default_rng(0).random((60, 1, 8, 8), np.float32)
    np.savez(cli.folder / "data.npz", x=x, y=np.arange(60) % CLASSES)
    document = inspect(cli)
    assert [(group["units"], group["pinned"]) for group in document["groups"]] == [(12, 0), (8, 0), (CLASSES, CLASSES)]
    cli.done(*DECOMPOSE, "--quiet")
    module = torch.jit.load(cli.folder / "out/module-1.pt")
    with torch.no_grad():
        together, alone = module(torch.from_numpy(x)), module(torch.from_numpy(x[:1]))
    assert alone.shape == (1, 2)
    assert torch.allclose(together[:1], alone, atol=1e-6)
