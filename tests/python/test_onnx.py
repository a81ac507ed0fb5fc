"""ONNX out and in, each compared with ONNX Runtime. Skipped without the packages of the extra onnx."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import incite

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
pytest.importorskip("onnx2torch")

from incite import onnx as tools  # noqa: E402

Data = tuple[np.ndarray, np.ndarray]
IMAGE = (1, 8, 8)


@pytest.fixture(scope="module")
def images() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """A convolutional network with batch norm, and samples with its own decisions as classes."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(128, 3)).eval()
    x = torch.randn(300, *IMAGE)
    scores = model(x)
    return model, x, (scores - scores.mean(0)).argmax(1)


def session(file: Path) -> "onnxruntime.InferenceSession":
    return onnxruntime.InferenceSession(str(file))


@pytest.mark.parametrize("form", ["torchscript", "pt2"])
def test_modules_as_onnx(images: tuple[nn.Module, torch.Tensor, torch.Tensor], tmp_path: Path, form: str) -> None:
    model, x, y = images
    result = incite.decompose(model, x, y, target_compression=1.5, outputs=[0, 2], format=form)  # type: ignore[call-arg,unused-ignore]
    files = result.to_onnx(tmp_path)
    assert [file.name for file in files] == ["module-0.onnx", "module-2.onnx"]
    assert sorted(tmp_path.iterdir()) == files
    written = onnx.load(files[1])
    assert written.opset_import[0].version == tools.OPSET
    assert written.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert written.graph.output[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    recorded = {entry.key: entry.value for entry in written.metadata_props}
    assert json.loads(recorded["incite"])["output"] == 2
    for count in (1, 7):
        found = session(files[1]).run(None, {"x": x[:count].numpy()})[0]
        assert np.abs(found - result.modules[2](x[:count]).detach().numpy()).max() < 1e-4


def test_a_composition_as_onnx(result: incite.Decomposition, data: Data, tmp_path: Path) -> None:
    composition = incite.compose([result], data[0])
    file = composition.to_onnx(tmp_path / "all.onnx", opset=20)
    assert onnx.load(file).opset_import[0].version == 20
    found = session(file).run(None, {"x": data[0]})[0]
    assert np.abs(found - composition.model(torch.from_numpy(data[0])).detach().numpy()).max() < 1e-3


def test_from_the_shell(result: incite.Decomposition, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "incite.onnx", str(result.folder), "--out", str(tmp_path / "onnx")]
    environment = {**os.environ, "PYTHONPATH": str(Path(incite.__file__).parent.parent)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [str(tmp_path / f"onnx/module-{name}.onnx") for name in ("0-cat", "1-dog", "2-cow")]
    missing = subprocess.run([*command[:3], "nowhere"], capture_output=True, text=True, env=environment)
    assert missing.returncode == 2
    assert missing.stderr == "error: nowhere: no such file; expected a folder of modules, or a module's file\n"


def test_a_file_that_differs_is_not_handed_out(result: incite.Decomposition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = tools.outputs_of
    monkeypatch.setattr(tools, "outputs_of", lambda *given: [output + 1e-2 for output in right(*given)])
    with pytest.raises(incite.Error, match="as ONNX, its outputs for 16 samples differ by .*; expected at most 0.0001"):
        result.to_onnx(tmp_path)
    assert [*tmp_path.iterdir()] == []


def exported(model: nn.Module, x: torch.Tensor, file: Path, **options: object) -> Path:
    torch.onnx.export(model, (x[:2],), str(file), dynamo=False, input_names=["x"], **options)  # type: ignore[arg-type]
    return file


@pytest.mark.parametrize("opset", [13, 17])
def test_from_onnx(images: tuple[nn.Module, torch.Tensor, torch.Tensor], tmp_path: Path, opset: int) -> None:
    model, x, y = images
    file = exported(model, x, tmp_path / "model.onnx", opset_version=opset, dynamic_axes={"x": {0: "n"}})
    made = incite.from_onnx(file)
    assert torch.allclose(made(x), model(x), atol=1e-4)
    result = incite.decompose(made, x, y, target_compression=1.5)
    assert incite.evaluate(made, x, y).accuracy == incite.evaluate(model, x, y).accuracy
    assert result.modules[0](x[:5]).shape == (5, 2)


def test_from_onnx_with_a_fixed_batch(images: tuple[nn.Module, torch.Tensor, torch.Tensor], tmp_path: Path) -> None:
    model, x, _ = images
    made = incite.from_onnx(exported(model, x[:1], tmp_path / "model.onnx", opset_version=17))
    assert torch.allclose(made(x), model(x), atol=1e-4)


def test_weights_that_are_stored_once(tmp_path: Path) -> None:
    """The exporter gives the second layer the weights of the first by Identity."""
    first, second = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
    second.load_state_dict(first.state_dict())
    model, x = nn.Sequential(first, nn.ReLU(), second), torch.randn(3, 4, 2, 2)
    file = exported(model, x, tmp_path / "model.onnx", opset_version=17, dynamic_axes={"x": {0: "n"}})
    assert torch.allclose(incite.from_onnx(file)(x), model(x), atol=1e-4)


def test_an_operator_that_is_not_known_is_named(tmp_path: Path) -> None:
    node = onnx.helper.make_node("Det", ["x"], ["y"])
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 2, 2])
    y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n"])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [x], [y]), opset_imports=[onnx.helper.make_opsetid("", 17)])
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(incite.Error, match="model.onnx: opset 17: operator Det of version 11 is not known to onnx2torch") as caught:
        incite.from_onnx(tmp_path / "model.onnx")
    assert caught.value.code == 6


def test_a_file_that_is_not_onnx(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no")
    with pytest.raises(incite.Error, match="model.onnx: can't be read as ONNX: ") as caught:
        incite.from_onnx(tmp_path / "model.onnx")
    assert caught.value.code == 3
