"""The package is typed."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from incite_lab.paths import ROOT

needs_mypy = pytest.mark.skipif(find_spec("mypy") is None, reason="mypy is not installed")


def mypy(*arguments: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(folder / "cache"), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)


@needs_mypy
def test_mypy_strict_finds_nothing_and_callers_are_checked(tmp_path: Path) -> None:
    (tmp_path / "caller.py").write_text(
        "import incite, torch\n"
        "result = incite.decompose(torch.nn.Linear(2, 2), torch.zeros(4, 2), target_compression=5, names=['a', 'b'])\n"
        "reveal_type(result.modules[0])\n"
        "incite.decompose('model.pt', 'data.npz', head='newton')\n"
        "incite.decompose('model.pt', 'data.npz', target_compresion=5)\n"
    )
    whole = mypy(folder=tmp_path)
    assert whole.returncode == 0, whole.stdout
    said = mypy("--config-file", str(ROOT / "pyproject.toml"), str(tmp_path / "caller.py"), folder=tmp_path).stdout
    assert 'Revealed type is "torch.nn.modules.module.Module"' in said
    assert 'caller.py:4: error: Argument "head" to "decompose" has incompatible type' in said
    assert 'caller.py:5: error: Unexpected keyword argument "target_compresion"' in said
    assert said.count("error:") == 2, said
