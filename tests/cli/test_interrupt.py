"""A stopped run ends soon with one line of error, and leaves at most its checkpoint (exit code 130)."""

import os
import pty
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import networks
from conftest import Cli, into, snapshot, without_warnings

STOPPED = "error: stopped; nothing was written\n"
KEPT = "error: stopped; no module was written. The work so far is kept, "
LONG = ("--clustering", "none", "--memory", "16MB", "--samples", "all")


@pytest.fixture
def slow(cli: Cli) -> Cli:
    """Work for minutes."""
    torch.manual_seed(0)
    layers = [nn.Linear(64, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)]
    networks.save(nn.Sequential(*layers), cli.folder / "model.pt")
    x = np.random.default_rng(0).standard_normal((40_000, 64), np.float32)
    np.savez(cli.folder / "data.npz", x=x, y=np.arange(40_000) % 10)
    return cli


def wait_for(path: Path, process: "subprocess.Popen[str]") -> None:
    """Waits until the program has created its first folder; it handles signals from before that."""
    end = time.monotonic() + 30
    while not path.exists():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_stops_the_run_and_nothing_is_left(slow: Cli, name: str) -> None:
    before = snapshot(slow.folder)
    process = slow.popen(*into("a/out"), *LONG)
    wait_for(slow.folder / "a/out", process)
    process.send_signal(getattr(signal, name))
    out, errors = process.communicate(timeout=30)
    assert (process.returncode, out, without_warnings(errors)) == (130, "", STOPPED)
    assert snapshot(slow.folder) == before


def test_a_signal_while_replacing_leaves_the_earlier_result(slow: Cli) -> None:
    (slow.folder / "out").mkdir()
    (slow.folder / "out/decomposition.json").write_text("{}")
    before = snapshot(slow.folder)
    process = slow.popen(*into("out"), *LONG, "--force")
    wait_for(slow.folder / f"out/.incite-{process.pid}", process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, without_warnings(errors)) == (130, STOPPED)
    assert snapshot(slow.folder) == before


def test_on_a_terminal_the_bar_is_shown_and_wiped_out(slow: Cli) -> None:
    before = snapshot(slow.folder)
    terminal, end = pty.openpty()
    process = slow.popen(*into("out"), *LONG, stderr=end)
    os.close(end)
    shown = b""
    while b"left" not in shown:
        shown += os.read(terminal, 4096)
    assert b"\rscoring " in shown and b"mutant-samples/s" in shown
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    assert process.wait(timeout=30) == 130
    assert time.monotonic() - began < 5
    try:
        while more := os.read(terminal, 4096):
            shown += more
    except OSError:  # the other end is closed
        pass
    os.close(terminal)
    last = shown.decode().replace("\r\n", "\n").rpartition("\r\x1b[K")[2]
    if (slow.folder / "out/checkpoint.npz").exists():  # a first piece of the scores was finished before the signal
        assert last.startswith(KEPT) and last.endswith(" in checkpoint*; continue with --resume\n")
    else:
        assert last == STOPPED
        assert snapshot(slow.folder) == before
