"""The progress bar: drawn where someone watches, as the program draws it, and wiped out."""

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from torch import nn

import incite
from incite._screen import Screen, is_watched

Data = tuple[np.ndarray, np.ndarray]


def test_what_the_program_draws_is_drawn_again() -> None:
    lines: list[str] = []
    drawn = io.StringIO()
    screen = Screen(drawn, lines.append)
    for piece in ("\rscoring [##", "--] 50 %\x1b[K\r\x1b[Kwarn", "ing: a\n", "\rmodules 1\x1b[K", "\r\x1b[K\x1b[32minfo\x1b[m: b\nerror: c"):
        screen.feed(piece)
    screen.close()
    assert lines == ["warning: a", "info: b", "error: c"]
    blank = "\r" + " " * len("scoring [##--] 50 %") + "\r"
    assert drawn.getvalue() == f"\rscoring [##--] 50 %{blank}\rmodules 1\r{' ' * 9}\r"


def test_nothing_is_drawn_where_no_one_watches(model: nn.Module, data: Data, capfd: pytest.CaptureFixture[str]) -> None:
    incite.decompose(model, *data)
    assert capfd.readouterr() == ("", "")


def test_a_notebook_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    class OutStream(io.StringIO):
        """What a kernel has for stderr: no terminal."""

    OutStream.__module__ = "ipykernel.iostream"
    monkeypatch.setattr(sys, "stderr", OutStream())
    assert is_watched()
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert not is_watched()


def test_on_a_terminal_the_bar_is_drawn(tmp_path: Path) -> None:
    program = tmp_path / "incite"  # draws two bars as the program does: on a terminal, and wiped out at the end
    program.write_text(
        "#!/bin/sh\n[ -t 2 ] || exit 1\n"
        r"""printf '\rscoring [#--] 33 %%  1 s left\033[K\rscoring [##-] 66 %%  0 s left\033[K\r\033[K' >&2""" + "\n"
    )
    program.chmod(0o755)
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(Path(incite.__file__).parent.parent), "INCITE_PROGRAM": str(program)}
    code = "from incite._run import checked, run; checked(run(['decompose']))"
    process = subprocess.Popen([sys.executable, "-c", code], stderr=theirs, env=environment, cwd=tmp_path)
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    assert process.wait(timeout=120) == 0, shown
    bars = [b"scoring [#--] 33 %  1 s left", b"scoring [##-] 66 %  0 s left"]
    assert shown == b"".join(b"\r" + bar for bar in bars) + b"\r" + b" " * len(bars[0]) + b"\r"
