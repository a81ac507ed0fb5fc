"""The examples of python/examples and of the documents run as they stand there."""

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from incite_lab.paths import ROOT

EXAMPLES = ROOT / "python/examples"


def need(*packages: str) -> None:
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


def run(code: str, folder: Path, *arguments: str) -> str:
    """Runs a script in an empty folder. Returns what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "python"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def share_after(text: str, said: str) -> float:
    """The percentage that stands after some words."""
    found = re.search(rf"{said} ([\d.]+) ?%", text)
    assert found, text
    return float(found[1])


def test_the_notebook(tmp_path: Path) -> None:
    need("sklearn")
    notebook = json.loads((EXAMPLES / "digits.ipynb").read_text())
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code), "clear the notebook's outputs"
    text = run("\n".join("".join(cell["source"]) for cell in code), tmp_path)
    assert share_after(text, "modules together") > 90
    assert share_after(text, "right on") > 95
    assert "Accuracy on" in text.rpartition("is it a 3?")[2]


def test_the_regression(tmp_path: Path) -> None:
    text = run((EXAMPLES / "regression.py").read_text(), tmp_path)
    found = re.search(r"product: mean absolute error ([\d.]+), after more training ([\d.]+)", text)
    assert found, text
    assert float(found[2]) < 1.2 * float(found[1]) < 0.5


def test_from_onnx(tmp_path: Path) -> None:
    need("onnx", "onnx2torch", "onnxruntime", "onnxscript")
    text = run((EXAMPLES / "from_onnx.py").read_text(), tmp_path, str(tmp_path / "files"))
    assert share_after(text, "right on") > 90
    assert len([*(tmp_path / "files/modules").glob("module-*.onnx")]) == 5


def test_the_example_of_the_page(tmp_path: Path) -> None:
    need("sklearn")
    page = (ROOT / "docs/python.md").read_text()
    code = re.findall(r"```python\n(.*?)```", page, re.S)
    assert share_after(run(code[0], tmp_path), "modules together") > 85


def test_the_example_of_the_readme(tmp_path: Path) -> None:
    (tmp_path / "models").symlink_to(ROOT / "models")
    code = next(block for block in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S) if "import incite" in block)
    text = run(code + "\nprint(is_three.sum())", tmp_path)
    assert "modules together 98." in text


def test_the_command_of_the_readme(tmp_path: Path) -> None:
    (tmp_path / "models").symlink_to(ROOT / "models")
    shown = (ROOT / "README.md").read_text().split("```console\n$ build/release/incite ")[1].split("```")[0].splitlines()
    command, wide = [os.environ["INCITE_PROGRAM"], *shown[0].split()], {**os.environ, "COLUMNS": "150"}
    done = subprocess.run(command, cwd=tmp_path, env=wide, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    printed = done.stdout.splitlines()
    assert len(printed) == len(shown) - 1
    assert printed[1:4] == shown[2:5]  # the table's head
    assert share_after(done.stdout, "modules together") > 98
