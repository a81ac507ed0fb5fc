"""A run that fails or is stopped: one exception that says why, and a folder as it was, or one that can go on."""

import os
import pickle
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import incite

Data = tuple[np.ndarray, np.ndarray]


def test_an_error_of_the_program(model: nn.Module, data: Data, tmp_path: Path) -> None:
    with pytest.raises(incite.Error, match=r"array 'y': sample 0 has label 5; expected 0 to 2") as caught:
        incite.decompose(model, data[0], data[1] + 5, out=tmp_path / "out")
    assert caught.value.code == 5
    assert caught.value.message == str(caught.value)
    assert not (tmp_path / "out").exists()
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (copy.code, copy.message) == (caught.value.code, caught.value.message)


def test_an_existing_result_is_kept(model: nn.Module, data: Data, tmp_path: Path) -> None:
    incite.decompose(model, *data, out=tmp_path)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    with pytest.raises(incite.Error, match="already holds a decomposition; pass force=True to replace it, or another out") as caught:
        incite.decompose(model, data[0][:200], data[1][:200], out=tmp_path)
    assert caught.value.code == 7
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((4, 6)), np.zeros(3), "arrays of different lengths: {'x': 4, 'y': 3}; expected one row for each sample"),
        ("data.npz", np.zeros(3), "data.npz: a file and an array of targets; expected both in the file"),
        (3, None, "x: int; expected an array or a tensor with one row for each sample"),
        (np.zeros((4, 9)), np.zeros(4), r"Sequential does not take the samples, \[2, 9\]: RuntimeError: mat1 and mat2 .*"),
    ],
)
def test_data_that_is_not_data(model: nn.Module, x: object, y: object, message: str) -> None:
    with pytest.raises(incite.Error) as caught:
        incite.decompose(model, x, y)  # type: ignore[arg-type]
    assert str(caught.value) == message or re.fullmatch(message, str(caught.value))


def test_something_else_than_a_model(data: Data) -> None:
    with pytest.raises(incite.Error, match="a model of type int; expected a torch.nn.Module, an ExportedProgram, a ScriptModule, or a file's name"):
        incite.decompose(3, *data)  # type: ignore[arg-type]


def test_a_model_that_decompose_refuses(data: Data) -> None:
    class Branch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(6, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if x.sum() > 0:
                return self.layer(x)
            return -self.layer(x)

    with pytest.raises(incite.Error, match="depends on the content of the input") as caught:
        incite.decompose(Branch(), *data)
    assert caught.value.code == 6
    assert incite.inspect(nn.Sequential(nn.Linear(6, 3), nn.Softplus()), *data).error is not None


def test_warnings_are_warnings_at_the_callers_line(model: nn.Module, data: Data) -> None:
    with pytest.warns(incite.InciteWarning, match="fewer than 20 samples") as caught:
        made = incite.decompose(model, data[0][:60], data[1][:60])
    assert {warning.filename for warning in caught} == {__file__}
    assert any("fewer than 20 samples" in text for text in made.warnings)


def test_no_program(model: nn.Module, data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INCITE_PROGRAM", "/nowhere/incite")
    with pytest.raises(incite.Error, match="/nowhere/incite: no such program; install Incite with pip"):
        incite.decompose(model, *data)


@pytest.fixture
def slow() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """Work for minutes."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))
    return model, torch.randn(20_000, 64), torch.arange(20_000) % 10


def test_an_interrupt_leaves_a_folder_that_can_go_on(slow: tuple[nn.Module, torch.Tensor, torch.Tensor], tmp_path: Path) -> None:
    out = tmp_path / "out"

    def interrupt() -> None:
        end = time.monotonic() + 60
        while not (out / "checkpoint.npz").exists() and time.monotonic() < end:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    watcher = threading.Thread(target=interrupt)
    watcher.start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt, match="stopped; no module was written.*continue with resume=True"):
        incite.decompose(*slow, out=out, clustering="none", samples=1000, memory="16MB", finetune=0, threads=1)
    watcher.join()
    assert time.monotonic() - began < 60
    assert [*out.glob("checkpoint*")] and not [*out.glob("module-*")]
    model, x, y = slow
    again = incite.decompose(model, x, y, out=out, clustering="none", samples=1000, memory="16MB", finetune=0, threads=1, resume=True)
    assert len(again.modules) == 10
    assert not [*out.glob("checkpoint*")]


def test_an_interrupt_in_the_beginning_leaves_nothing(slow: tuple[nn.Module, torch.Tensor, torch.Tensor], tmp_path: Path) -> None:
    out = tmp_path / "out"

    def interrupt() -> None:
        while not [*out.glob(".incite-*")]:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    watcher = threading.Thread(target=interrupt, daemon=True)
    watcher.start()
    with pytest.raises(KeyboardInterrupt, match="stopped; no"):
        incite.decompose(*slow, out=out, clustering="none", samples="all", memory="16MB")
    assert not out.exists() or [*out.glob("checkpoint*")]  # a first piece of the scores was finished before the signal


def test_ctrl_c_in_another_process_stops_the_program_too(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import sys, torch, incite
        from torch import nn
        model = nn.Sequential(nn.Linear(64, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
        try:
            incite.decompose(model, torch.randn(40_000, 64), torch.arange(40_000) % 10, out=sys.argv[1], clustering="none", samples="all", memory="16MB")
        except KeyboardInterrupt as stop:
            print(stop)
            sys.exit(130)
        """
    )
    package = str(Path(incite.__file__).parent.parent)
    out = tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-c", script, out], env={**os.environ, "PYTHONPATH": package}, stdout=subprocess.PIPE)
    end = time.monotonic() + 60
    while not [*out.glob(".incite-*")]:
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.02)
    (folder,) = out.glob(".incite-*")
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said.startswith(b"stopped; no")
    with pytest.raises(ProcessLookupError):
        os.kill(int(folder.name.removeprefix(".incite-")), 0)
