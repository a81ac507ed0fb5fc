"""Model files that can't be read: exit code 3, one line, nothing written."""

import zipfile
from typing import Any

import pytest
import torch

import networks
from conftest import DECOMPOSE, Cli

EXPORT = (
    'Export the model with torch.jit.script(model.eval()).save("model.pt"), torch.jit.trace(model.eval(), example) or '
    "torch.export.export(model.eval(), ...)"
)


@pytest.fixture
def data_only(cli: Cli) -> Cli:
    networks.save_data(cli.folder / "data.npz")
    return cli


def test_a_missing_model_file(data_only: Cli) -> None:
    data_only.refused(3, "model.pt: no such file", *DECOMPOSE)


def test_a_missing_model_file_for_inspect(data_only: Cli) -> None:
    data_only.refused(3, "model.pt: no such file", "inspect", "model.pt", "--data", "data.npz")


def test_a_name_longer_than_the_file_system_allows(data_only: Cli) -> None:
    name = "m" * 300
    data_only.refused(3, (name, "File name too long"), "inspect", name, "--data", "data.npz")


def test_a_folder_in_place_of_a_model(data_only: Cli) -> None:
    (data_only.folder / "model.pt").mkdir()
    data_only.refused(3, "model.pt: the file is empty or can't be read; expected a TorchScript or .pt2 file", *DECOMPOSE)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "the file is empty or can't be read; expected a TorchScript or .pt2 file", id="empty"),
        pytest.param(b"x", f"neither a TorchScript nor a .pt2 file. {EXPORT}", id="one byte"),
        pytest.param(bytes(range(17, 200)) * 50, f"neither a TorchScript nor a .pt2 file. {EXPORT}", id="bytes"),
        pytest.param(b"this is not a model\n" * 9, f"neither a TorchScript nor a .pt2 file. {EXPORT}", id="text"),
        pytest.param(b"PK\x03\x04 and no more", "the file is truncated or damaged; copy or export it again", id="PK"),
    ],
)
def test_a_file_that_is_no_model(data_only: Cli, content: bytes, message: str) -> None:
    (data_only.folder / "model.pt").write_bytes(content)
    data_only.refused(3, f"model.pt: {message}", *DECOMPOSE)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_a_truncated_model(good: Cli, share: float) -> None:
    file = good.folder / "model.pt"
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    good.refused(3, "model.pt: the file is truncated or damaged; copy or export it again", *DECOMPOSE)


def test_a_model_whose_code_is_damaged(good: Cli) -> None:
    file = good.folder / "model.pt"
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content.replace(b"def forward", b"def forw ard"))
    good.refused(3, ("model.pt: can't be read as TorchScript, the file may be truncated or damaged: ",), *DECOMPOSE)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_flipped_bit_in_a_weight(good: Cli, share: float) -> None:
    file = good.folder / "model.pt"
    with zipfile.ZipFile(file) as archive:
        weights = [archive.read(name) for name in archive.namelist() if "/data/" in name]
    content = max(weights, key=len)
    damaged = bytearray(file.read_bytes())
    assert damaged.count(content) == 1
    damaged[damaged.find(content) + int(share * len(content))] ^= 1
    file.write_bytes(damaged)
    good.refused(3, "model.pt: the file is truncated or damaged; copy or export it again", *DECOMPOSE)


def test_a_zip_archive_of_something_else(data_only: Cli) -> None:
    with zipfile.ZipFile(data_only.folder / "model.pt", "w") as archive:
        archive.writestr("folder/notes.txt", "nothing")
    data_only.refused(3, ("model.pt: ",), *DECOMPOSE)


@pytest.mark.parametrize("content", [networks.mlp().state_dict(), networks.mlp()], ids=["state_dict", "module"])
def test_what_torch_save_writes(data_only: Cli, content: Any) -> None:
    torch.save(content, data_only.folder / "model.pt")
    message = f"model.pt: saved by torch.save (a state_dict or a pickled nn.Module), not a model with its code. {EXPORT}"
    data_only.refused(3, message, *DECOMPOSE)


def test_what_an_old_torch_save_wrote(data_only: Cli) -> None:
    state = networks.mlp().state_dict()
    torch.save(state, data_only.folder / "model.pt", _use_new_zipfile_serialization=False)
    message = (
        "model.pt: a Python pickle (a state_dict or nn.Module saved by an old torch.save), not a model with its code. " + EXPORT
    )
    data_only.refused(3, message, *DECOMPOSE)


def test_a_scripted_module_without_forward(data_only: Cli) -> None:
    class Other(torch.nn.Module):
        @torch.jit.export
        def run(self, x: torch.Tensor) -> torch.Tensor:
            return x

    networks.save(Other(), data_only.folder / "model.pt")
    data_only.refused(3, "model.pt: has no method forward; export a model, not a part of one", *DECOMPOSE)
