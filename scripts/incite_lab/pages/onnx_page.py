"""Writes the table of docs/onnx.md: networks as ONNX, what incite.from_onnx makes of them, and whether Incite takes the result.

Needs the Python package's extra onnx and torchvision. The networks have random weights.
"""

import argparse
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from incite_lab.pages.sections import write_section
from incite_lab.pages.tables import markdown
from incite_lab.paths import DOCS, PROGRAM
from incite_lab.run.program import executable

if TYPE_CHECKING:
    from torch import Tensor, nn

# By exporter: torch.onnx.export with dynamo=False and with dynamo=True. The last is the newest that it writes.
OPSETS = {False: (13, 17, 20), True: (13, 17, 23)}
WORDS = """\
Networks with random weights, exported by `torch.onnx.export`. `decompose`: what `incite.inspect` says of it, with images of 64 × 64 for
torchvision's networks. `incite-lab onnx-page` writes this table."""
HEADER = ["network", "exporter", "opset", "from_onnx", "decompose"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--binary", type=Path, default=PROGRAM, help="the program (default: the release build)")
    parser.add_argument("--out", type=Path, default=DOCS / "onnx.md", help="the page (default: docs/onnx.md)")


def main(args: argparse.Namespace) -> None:
    os.environ["INCITE_PROGRAM"] = str(executable(args.binary).resolve())
    write_section("What works", [WORDS, "", *markdown(HEADER, rows(), "l")], args.out)


def networks() -> "dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]]":
    from torch import nn
    from torchvision import models

    from incite_lab.models.lenet5 import LeNet5

    return {
        "LeNet-5": (LeNet5, (1, 28, 28)),
        "ResNet-18": (lambda: models.resnet18(num_classes=10), (3, 64, 64)),
        "MobileNetV2": (lambda: models.mobilenet_v2(num_classes=10), (3, 64, 64)),
        "MobileNetV3-Small": (lambda: models.mobilenet_v3_small(num_classes=10), (3, 64, 64)),
        "MLP with softmax": (lambda: nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 10), nn.Softmax(1)), (20,)),
    }


def rows() -> Iterator[list[str]]:
    import torch

    for name, (make, shape) in networks().items():
        torch.manual_seed(0)
        model = make().eval()
        for dynamo, opsets in OPSETS.items():
            for opset in opsets:
                row = [name, f"dynamo={dynamo}", str(opset), *outcome(model, shape, dynamo, opset)]
                print(row, flush=True)
                yield row


def outcome(model: "nn.Module", shape: tuple[int, ...], dynamo: bool, opset: int) -> tuple[str, str]:
    """What from_onnx and inspect say; the reason where one refuses."""
    import numpy as np
    import torch

    import incite

    random = np.random.default_rng(0)
    x = random.standard_normal((60, *shape)).astype(np.float32)
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file = Path(folder) / "model.onnx"
        try:
            export(model, torch.from_numpy(x[:2]), file, dynamo, opset)
        except Exception as error:
            return f"not tried: {first(error)}", ""
        try:
            made = incite.from_onnx(file)
        except incite.Error as error:
            return str(error).partition("model.onnx: ")[2], ""
        try:
            inspection = incite.inspect(made, x, np.arange(60) % 10)
        except incite.Error as error:
            return "works", str(error)
        if inspection.error is not None:
            return "works", str(inspection.error)
        share = inspection.document["removable_parameters"] / inspection.document["parameters"]
        return "works", f"works, {share:.0%} of the parameters removable"


def export(model: "nn.Module", x: "Tensor", file: Path, dynamo: bool, opset: int) -> None:
    """Raises an error if another opset was written than was asked for."""
    import torch

    if dynamo:
        torch.onnx.export(model, (x,), str(file), dynamo=True, opset_version=opset, dynamic_shapes=({0: torch.export.Dim("batch")},), verbose=False)
    else:
        torch.onnx.export(model, (x,), str(file), dynamo=False, opset_version=opset, input_names=["x"], dynamic_axes={"x": {0: "batch"}})
    if (found := written_opset(file)) != opset:
        raise ValueError(f"torch.onnx wrote opset {found} in its place")


def written_opset(file: Path) -> int:
    import onnx

    return int(onnx.load(file).opset_import[0].version)


def first(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
