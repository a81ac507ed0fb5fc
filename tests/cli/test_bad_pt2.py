"""The .pt2 archives that incite refuses: one line, a documented exit code, nothing written."""

import json
import os
import random
import resource
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import exported
import networks
from conftest import BACKTRACE, Cli

MODEL_FILE, UNSUPPORTED = 3, 6
INSPECT = ("inspect", "model.pt2", "--data", "data.npz")
EXAMPLE = torch.zeros(4, networks.FEATURES)
DAMAGED = int(os.environ.get("INCITE_DAMAGED", "24"))  # files to damage in all
Edit = Callable[[Any], None]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The members of a good archive: two linear layers."""
    file = tmp_path_factory.mktemp("archive") / "model.pt2"
    exported.save(networks.mlp(), file, [EXAMPLE])
    with zipfile.ZipFile(file) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


@pytest.fixture
def with_archive(cli: Cli, archive: dict[str, bytes]) -> Callable[..., Cli]:
    """The program with good data and the archive, some members changed; None leaves one out."""

    def make(changed: dict[str, bytes | None], compression: int = zipfile.ZIP_STORED) -> Cli:
        networks.save_data(cli.folder / "data.npz")
        write(cli.folder / "model.pt2", archive | changed, compression)
        return cli

    return make


def write(file: Path, members: dict[str, bytes | None], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(file, "w", compression) as opened:
        for name, content in members.items():
            if content is not None:
                opened.writestr(name, content)


def edited(content: bytes, edit: Edit) -> bytes:
    document = json.loads(content)
    edit(document)
    return json.dumps(document).encode()


MODEL, WEIGHTS = "model/models/model.json", "model/data/weights/model_weights_config.json"
CHANGED = "The file is damaged or was changed; export the model again"


def graph_of(document: Any) -> Any:
    return document["graph_module"]["graph"]


def meta_of(document: Any) -> Any:
    return document["config"]["0.weight"]["tensor_meta"]


def test_the_archive_itself_is_good(with_archive: Callable[..., Cli]) -> None:
    assert with_archive({}).done(*INSPECT)


@pytest.mark.parametrize(
    ("member", "edit", "code", "phrases"),
    [
        pytest.param(MODEL, lambda d: d["schema_version"].update(major=9), 3, ("schema 9; expected schema 8",), id="schema"),
        pytest.param(MODEL, lambda d: d.pop("graph_module"), 3, ("no 'graph_module'; expected one", CHANGED), id="no graph"),
        pytest.param(MODEL, lambda d: graph_of(d).update(nodes=7), 3, ("graph.nodes: number; expected a list",), id="type"),
        pytest.param(MODEL, lambda d: graph_of(d)["nodes"].reverse(), 3, ("is made by no node before",), id="order"),
        pytest.param(
            MODEL, lambda d: graph_of(d)["nodes"].append(graph_of(d)["nodes"][0]), 3, ("is made twice",), id="twice"
        ),
        pytest.param(
            MODEL, lambda d: graph_of(d)["nodes"][0].update(target="torch.ops.aten.nothing.default"), 6,
            ("operation torch.ops.aten.nothing.default is not known to incite",), id="operation",
        ),
        pytest.param(
            MODEL, lambda d: graph_of(d)["nodes"][0].update(target="torch.ops.higher_order.cond"), 6,
            ("control flow",), id="control flow",
        ),
        pytest.param(
            MODEL, lambda d: graph_of(d)["nodes"][0]["inputs"][0].update(arg={"as_custom_obj": {}}), 6,
            ("a custom object; write forward with tensors alone",), id="custom object",
        ),
        pytest.param(
            MODEL, lambda d: graph_of(d)["nodes"][0]["inputs"][0].update(arg={"as_new": 1}), 6,
            ("kind 'as_new', which is not known",), id="argument",
        ),
        pytest.param(
            MODEL, lambda d: graph_of(d)["nodes"][0]["inputs"].pop(0), 3, ("no 'input'; expected one",), id="operand"
        ),
        pytest.param(
            MODEL,
            lambda d: d["graph_module"]["signature"]["output_specs"].append(
                {"buffer_mutation": {"arg": {"name": "x"}, "buffer_name": "calls"}}
            ),
            6, ("buffer_mutation ('calls')", "Call model.eval() before torch.export.export"), id="mutation",
        ),
        pytest.param(WEIGHTS, lambda d: meta_of(d)["sizes"][0].update(as_int=9), 3, ("a tensor [9, 6]",), id="larger"),
        pytest.param(WEIGHTS, lambda d: meta_of(d)["sizes"][0].update(as_int=7), 3, ("192 bytes; expected",), id="smaller"),
        pytest.param(WEIGHTS, lambda d: meta_of(d)["sizes"][0].update(as_int=1 << 62), 3, ("a tensor [",), id="huge"),
        pytest.param(WEIGHTS, lambda d: meta_of(d)["sizes"][0].update(as_int=-1), 3, ("-1; expected 0",), id="negative"),
        pytest.param(WEIGHTS, lambda d: meta_of(d).update(dtype=40), 6, ("type 40",), id="quantized"),
        pytest.param(WEIGHTS, lambda d: meta_of(d).update(device={"type": "cuda", "index": 0}), 6, ("device cuda",), id="device"),
        pytest.param(WEIGHTS, lambda d: d["config"]["0.weight"].update(use_pickle=True), 6, ("a pickled object",), id="pickle"),
        pytest.param(
            WEIGHTS, lambda d: d["config"]["0.weight"].update(path_name="../../models/model.json"), 3,
            ("is outside its folder",), id="path",
        ),
        pytest.param(
            WEIGHTS, lambda d: d["config"]["0.weight"].update(path_name="weight_99"), 3, ("no 'weight_99'",), id="missing"
        ),
        pytest.param(WEIGHTS, lambda d: d["config"].pop("0.weight"), 3, ("has no tensor '0.weight'",), id="no weight"),
    ],
)  # fmt: skip
def test_json_that_was_changed(
    with_archive: Callable[..., Cli], archive: dict[str, bytes], member: str, edit: Edit, code: int, phrases: tuple[str, ...]
) -> None:
    with_archive({member: edited(archive[member], edit)}).refused(code, ("model.pt2: ", *phrases), *INSPECT)


@pytest.mark.parametrize("content", [b"{", b"[" * 100_000, b"7", b"", b"\xff\xfe"])
def test_json_that_is_none(with_archive: Callable[..., Cli], content: bytes) -> None:
    with_archive({MODEL: content}).refused(MODEL_FILE, ("model.pt2: ", "export the model again"), *INSPECT)


def test_a_weight_that_is_missing(with_archive: Callable[..., Cli]) -> None:
    cli = with_archive({"model/data/weights/weight_0": None})
    cli.refused(MODEL_FILE, ("the archive has no 'weight_0'", CHANGED), *INSPECT)


def test_compressed_members(with_archive: Callable[..., Cli]) -> None:
    cli = with_archive({}, zipfile.ZIP_DEFLATED)
    cli.refused(MODEL_FILE, ("is compressed; expected stored members, as torch.export.save writes",), *INSPECT)


def test_a_member_that_states_a_size_far_over_the_files(with_archive: Callable[..., Cli]) -> None:
    cli = with_archive({})
    file = cli.folder / "model.pt2"
    content = bytearray(file.read_bytes())
    entry = content.rfind(b"model/data/weights/weight_0") - 46  # in the directory at the end
    content[entry + 20 : entry + 28] = (0xF0000000).to_bytes(4, "little") * 2
    file.write_bytes(content)
    cli.refused(MODEL_FILE, ("model.pt2: the file is truncated or damaged",), *INSPECT)


def test_an_archive_of_pytorch_before_2_8(cli: Cli) -> None:
    networks.save_data(cli.folder / "data.npz")
    write(cli.folder / "model.pt2", {"serialized_exported_program.json": b"{}", "version": b"5.1"})
    cli.refused(
        MODEL_FILE,
        "model.pt2: a .pt2 archive of PyTorch before 2.8. Export it again with PyTorch 2.8 or newer: "
        'torch.export.save(program, "model.pt2")',
        *INSPECT,
    )


def test_weights_that_are_a_pickle(with_archive: Callable[..., Cli]) -> None:
    cli = with_archive({WEIGHTS: None, "model/data/weights/model.pt": b"PK"})
    cli.refused(MODEL_FILE, ("a .pt2 archive whose tensors are a pickle",), *INSPECT)


def test_two_programs_in_an_archive(with_archive: Callable[..., Cli], archive: dict[str, bytes]) -> None:
    cli = with_archive({"model/models/other.json": archive[MODEL]})
    cli.refused(MODEL_FILE, ("of 2 exported programs; expected one",), *INSPECT)


def test_a_package_without_a_program(with_archive: Callable[..., Cli]) -> None:
    with_archive({MODEL: None}).refused(MODEL_FILE, ("a .pt2 archive without an exported program",), *INSPECT)


def save(cli: Cli, model: nn.Module, **options: Any) -> Cli:
    networks.save_data(cli.folder / "data.npz")
    exported.save(model, cli.folder / "model.pt2", [EXAMPLE], **options)
    return cli


def test_a_fixed_batch_size(cli: Cli) -> None:
    save(cli, networks.mlp(), dynamic_shapes=None).refused(
        UNSUPPORTED,
        "model.pt2: the batch size 4 is fixed in the model: its input 'input' takes exactly 4 samples at a time. Export "
        'it with dynamic_shapes={"input": {0: torch.export.Dim("n")}}',
        *INSPECT,
    )


def test_a_model_in_training(cli: Cli) -> None:
    networks.save_data(cli.folder / "data.npz")
    model = nn.Sequential(nn.Linear(networks.FEATURES, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)).train()
    program = torch.export.export(model, (EXAMPLE,), dynamic_shapes=({0: torch.export.Dim("n", min=2)},))
    torch.export.save(program, cli.folder / "model.pt2")
    cli.refused(UNSUPPORTED, ("model.pt2: ", "Call model.eval() before torch.export.export"), *INSPECT)


def test_a_model_that_changes_itself(cli: Cli) -> None:
    cli = save(cli, networks.ChangesItself())
    cli.refused(UNSUPPORTED, (networks.line_of("self.calls.add_(1.0)"), "changes the model's 'calls'"), *INSPECT)


def test_samples_of_another_size_than_exported(cli: Cli) -> None:
    class Flexible(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv2d(1, 4, 3), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.relu(self.conv(x)).mean([2, 3]))

    save(cli, networks.mlp())
    exported.save(Flexible(), cli.folder / "model.pt2", [torch.zeros(4, 1, 8, 8)])
    exported.save_data("lenet", cli.folder / "data.npz")
    cli.refused(5, ("x has another size along dimension 2 than the 8 that it was exported with",), *INSPECT)


# ---- Damage of any kind


def damage(content: bytes, members: dict[str, bytes], choice: random.Random, file: Path) -> None:
    """Writes a damaged archive: bits flipped, cut short, or JSON edited."""
    kind = choice.randrange(4)
    if kind == 0:
        changed = bytearray(content)
        for _ in range(choice.choice([1, 1, 8])):
            changed[choice.randrange(len(changed))] ^= 1 << choice.randrange(8)
        file.write_bytes(changed)
    elif kind == 1:
        file.write_bytes(content[: choice.randrange(len(content))])
    else:
        name = choice.choice([name for name in members if name.endswith(".json")])
        write(file, members | {name: edited(members[name], lambda document: edit_somewhere(document, choice))})


def edit_somewhere(document: Any, choice: random.Random) -> None:
    """Walks to a random place in a document and changes what is there."""
    parent, key = document, next(iter(document))
    while isinstance(parent[key], (dict, list)) and parent[key] and choice.random() < 0.9:
        parent = parent[key]
        key = choice.choice(list(parent)) if isinstance(parent, dict) else choice.randrange(len(parent))
    if choice.random() < 0.2:
        del parent[key]
    else:
        values = [None, -1, 7, 1 << 62, 0.5, "x", [], {}, [[]], True, {"as_int": 3}, {"as_tensor": {"name": "x"}}]
        parent[key] = choice.choice(values)


def test_damaged_files_are_answered_by_one_line(cli: Cli, archive: dict[str, bytes]) -> None:
    networks.save_data(cli.folder / "data.npz")
    exported.save(exported.model_of("mlp"), cli.folder / "good.pt2", [EXAMPLE])
    content = (cli.folder / "good.pt2").read_bytes()
    codes: dict[int, int] = {}
    for seed in range(DAMAGED):
        damage(content, archive, random.Random(seed), cli.folder / "model.pt2")
        done = subprocess.run(cli.command(*INSPECT), cwd=cli.folder, env=cli.environment(), capture_output=True, text=True, timeout=60)
        codes[done.returncode] = codes.get(done.returncode, 0) + 1
        lines = [line for line in done.stderr.splitlines() if not line.startswith("warning: ")]
        assert not any(mark in done.stderr for mark in BACKTRACE), (seed, done.stderr)
        assert done.returncode in (0, 3, 5, 6), (seed, done.returncode, done.stderr)
        assert len(lines) == (0 if done.returncode == 0 else 1), (seed, done.stderr)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 2 << 20  # KiB
    print(codes)
    assert codes.get(3, 0) > DAMAGED / 3
