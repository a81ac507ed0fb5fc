"""The command `incite` of the package: the program itself, in this process's place."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from incite import _program
from incite_lab.paths import ROOT


def run(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "incite", *words]
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT / "python"), **environment}, capture_output=True, text=True, timeout=60)


def test_it_is_the_program(binary: Path) -> None:
    expected = subprocess.run([binary, "decompose", "--help"], capture_output=True, text=True, check=True).stdout
    done = run("decompose", "--help")
    assert (done.returncode, done.stdout, done.stderr) == (0, expected, "")


def test_it_hands_on_the_exit_code(binary: Path) -> None:
    words = ("inspect", "nowhere.pt", "--data", "nowhere.npz")
    expected = subprocess.run([binary, *words], capture_output=True, text=True)
    done = run(*words)
    assert (done.returncode, done.stdout, done.stderr) == (expected.returncode, "", expected.stderr)
    assert done.stderr.startswith("error: nowhere.")


def test_it_does_not_import_torch() -> None:
    code = "import incite, incite._program, sys; incite._program.environment(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT / "python")}, capture_output=True, text=True)
    assert done.stdout == "False\n"


def test_torch_comes_first_on_the_librarys_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/elsewhere")
    first, second = _program.environment()["LD_LIBRARY_PATH"].split(":")
    assert (Path(first) / "libtorch_cpu.so").is_file()
    assert second == "/elsewhere"


def test_a_missing_program() -> None:
    done = run("--version", INCITE_PROGRAM="/nowhere/incite")
    assert done.returncode == 1
    assert done.stderr == "error: /nowhere/incite: no such program; install Incite with pip, or set INCITE_PROGRAM to a program that you built\n"


def with_library(folder: Path, source: str) -> str:
    """A folder with this PyTorch's libraries, and a libtorch_cuda.so made of C. What LD_LIBRARY_PATH must be."""
    for file in _program.torch_libraries().iterdir():
        if "cuda" not in file.name:
            (folder / file.name).symlink_to(file)
    (folder / "cuda.c").write_text(source)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", folder / "libtorch_cuda.so", folder / "cuda.c"], check=True)
    return str(folder)


@pytest.mark.skipif((_program.torch_libraries() / "libtorch_cuda.so").exists(), reason="this PyTorch has CUDA: tests/cli/test_cuda.py runs")
def test_cudas_libraries_are_opened_where_they_stand_beside_libtorch(binary: Path, tmp_path: Path) -> None:
    path = with_library(tmp_path, '#include <stdio.h>\n__attribute__((constructor)) void opened(void) { fputs("opened\\n", stderr); }\n')
    words = ("decompose", "model.pt", "--data", "data.npz", "--out", str(tmp_path / "out"))
    environment = {**os.environ, "LD_LIBRARY_PATH": path}
    on_gpu = subprocess.run([binary, *words, "--device", "cuda"], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert on_gpu.stderr.startswith("opened\nerror: --device cuda: this machine, or this build of LibTorch, has no CUDA device")
    assert on_gpu.returncode == 8
    on_cpu = subprocess.run([binary, *words], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert "opened" not in on_cpu.stderr
    (tmp_path / "libtorch_cuda.so").write_bytes(b"not a library")
    broken = subprocess.run([binary, *words, "--device", "cuda"], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert broken.stderr.startswith("error: --device cuda: LibTorch's CUDA libraries can't be loaded: ")
    assert broken.returncode == 8
