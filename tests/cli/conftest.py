"""Fixtures of the command-line tests: the program in its own folder, with models and data."""

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import networks

BACKTRACE = ("terminate called", "frame #", "Exception raised from", "Traceback", "Segmentation fault")


@dataclass(frozen=True)
class Result:
    """The result of one run."""

    code: int
    out: str
    err: str


def without_warnings(err: str) -> str:
    return "".join(line for line in err.splitlines(keepends=True) if not line.startswith("warning: "))


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """The content of every file below a folder; None for folders."""
    return {str(path.relative_to(folder)): None if path.is_dir() else path.read_bytes() for path in folder.rglob("*")}


class Cli:
    """The program, run in its own folder: names in its messages are relative to it."""

    def __init__(self, binary: Path, folder: Path) -> None:
        self.binary = binary
        self.folder = folder

    def command(self, *arguments: Any) -> list[str]:
        return [str(self.binary), *map(str, arguments)]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "OMP_NUM_THREADS": "1", "LC_ALL": "C"}

    def run(self, *arguments: Any, **options: Any) -> Result:
        """Runs the program. It must never show a C++ backtrace."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=60,
            **options,
        )
        for mark in BACKTRACE:
            assert mark not in done.stderr
        return Result(done.returncode, done.stdout, done.stderr)

    def popen(self, *arguments: Any, **options: Any) -> "subprocess.Popen[str]":
        """Starts the program without waiting for it. stdout and stderr are pipes by default."""
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
        return subprocess.Popen(self.command(*arguments), cwd=self.folder, env=self.environment(), **options)

    def done(self, *arguments: Any, **options: Any) -> str:
        """Runs a command that must succeed with nothing but warnings on stderr; untrained networks cause warnings. Returns
        stdout."""
        result = self.run(*arguments, **options)
        assert (result.code, without_warnings(result.err)) == (0, "")
        return result.out

    def refused(self, code: int, message: str | tuple[str, ...], *arguments: Any, **options: Any) -> None:
        """Runs a command that must fail with this code and one line of error (the whole message, or phrases of it), with
        nothing on stdout and no change in the folder. Warnings may precede the error."""
        before = snapshot(self.folder)
        result = self.run(*arguments, **options)
        err = without_warnings(result.err)
        assert err.startswith("error: ") and err.endswith("\n") and err.count("\n") == 1
        if isinstance(message, str):
            assert err == f"error: {message}\n"
        else:
            assert [phrase for phrase in message if phrase not in err] == [], err
        assert result.code == code
        assert result.out == ""
        assert snapshot(self.folder) == before


def into(folder: str) -> tuple[str, ...]:
    """The usual decomposition, into a folder."""
    return ("decompose", "model.pt", "--data", "data.npz", "--threads", "1", "--out", folder)


DECOMPOSE = into("out")


@pytest.fixture
def cli(binary: Path, tmp_path: Path) -> Cli:
    return Cli(binary, tmp_path)


@pytest.fixture
def good(cli: Cli) -> Cli:
    """The program with a model and data that fit: model.pt, data.npz."""
    networks.save(networks.mlp(), cli.folder / "model.pt")
    networks.save_data(cli.folder / "data.npz")
    return cli


@pytest.fixture
def with_model(cli: Cli) -> Callable[[torch.nn.Module], Cli]:
    """The program with good data and a model from the test."""

    def make(model: torch.nn.Module) -> Cli:
        networks.save(model, cli.folder / "model.pt")
        networks.save_data(cli.folder / "data.npz")
        return cli

    return make


@pytest.fixture
def with_data(cli: Cli) -> Callable[..., Cli]:
    """The program with a good model and arrays from the test."""

    def make(**arrays: Any) -> Cli:
        networks.save(networks.mlp(), cli.folder / "model.pt")
        np.savez(cli.folder / "data.npz", **arrays)
        return cli

    return make


@pytest.fixture(scope="session")
def decomposed(binary: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Cli, str]:
    """One decomposition for many tests, with its --json output. Tests must not change it."""
    made = Cli(binary, tmp_path_factory.mktemp("decomposed"))
    networks.save(networks.mlp(), made.folder / "model.pt")
    networks.save_data(made.folder / "data.npz")
    networks.save_data(made.folder / "test.npz", count=45, seed=1)
    return made, made.done(*DECOMPOSE, "--keep", "0.6", "--test", "test.npz", "--json")
