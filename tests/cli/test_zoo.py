"""A small part of the zoo (docs/zoo.md): torchvision's models, exported, decomposed and loaded again."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "zoo.py"

# The smallest of each kind: squeezed and joined, shuffled, gated with depthwise convolutions, residual.
MODELS = ("squeezenet1_1", "shufflenet_v2_x0_5", "mobilenet_v3_small", "resnet18")


@pytest.mark.skipif(importlib.util.find_spec("torchvision") is None, reason="torchvision is not installed: scripts/setup.sh does it")
@pytest.mark.parametrize("model", MODELS)
def test_a_zoo_model_decomposes_scripted_traced_and_frozen(binary: Path, tmp_path: Path, model: str) -> None:
    command = [sys.executable, str(SCRIPT), "--check", "--models", model, "--binary", str(binary), "--threads", "1"]
    command += ["--json", str(tmp_path / "zoo.json"), "--out", str(tmp_path / "zoo.md")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=280)
    assert (done.returncode, done.stderr) == (0, "")
    rows = json.loads((tmp_path / "zoo.json").read_text())["rows"]
    assert [(row["form"], row["verdict"]) for row in rows] == [("script", "ok"), ("trace", "ok"), ("frozen", "ok")]
    assert f"| {model} | scripted | 32 |" in (tmp_path / "zoo.md").read_text()
