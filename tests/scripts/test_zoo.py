"""A small part of the zoo (docs/zoo.md): torchvision's models, exported, decomposed and loaded again."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

# The smallest of each kind: squeezed and joined, shuffled, gated with depthwise convolutions, residual.
MODELS = ("squeezenet1_1", "shufflenet_v2_x0_5", "mobilenet_v3_small", "resnet18")

pytestmark = pytest.mark.skipif(find_spec("torchvision") is None, reason="torchvision is not installed: scripts/setup.sh does it")

# Of a CUDA build beside a PyTorch without CUDA the C++ operators are missing, which torchvision says itself.
PLAIN_IMPORT = """
import torch, torchvision
assert torchvision.models.resnet18()(torch.zeros(2, 3, 32, 32)).shape == (2, 1000)
try:
    print(torchvision.ops.nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]] * 2), torch.tensor([0.5, 0.9]), 0.5).tolist())
except RuntimeError as error:
    assert str(error).startswith("Couldn't load custom C++ ops."), error
    print([1])
"""


def test_torchvision_is_imported_as_anywhere_else(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", PLAIN_IMPORT], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[1]\n", "")


@pytest.mark.parametrize("model", MODELS)
def test_a_zoo_model_decomposes_scripted_traced_exported_and_frozen(binary: Path, tmp_path: Path, model: str) -> None:
    command = [sys.executable, "-m", "incite_lab", "zoo", "--check", "--models", model, "--forms", "script,trace,export,frozen"]
    command += ["--binary", str(binary), "--threads", "1", "--json", str(tmp_path / "zoo.json"), "--out", str(tmp_path / "zoo.md")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=280)
    assert (done.returncode, done.stderr) == (0, "")
    rows = json.loads((tmp_path / "zoo.json").read_text())["rows"]
    assert [(row["form"], row["verdict"]) for row in rows] == [(form, "ok") for form in ("script", "trace", "export", "frozen")]
    assert f"| {model} | scripted | 32 |" in (tmp_path / "zoo.md").read_text()
