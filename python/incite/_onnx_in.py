"""From an ONNX file to a torch module."""

import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import nn

from incite import _export
from incite import onnx as tools
from incite._error import MODEL_FILE, UNSUPPORTED, Error

# Opsets to convert to, in turn, if onnx2torch does not know an operator of the file's own.
OPSETS = (18, 17, 16, 13)
BATCH = 3


def from_onnx(file: str | os.PathLike[str]) -> nn.Module:
    """An ONNX model as a torch module, for decompose.

    It is compared with ONNX Runtime on random inputs, within 1e-4 of the largest output, for a batch of three samples if the file allows
    that. Needs `pip install incite[onnx]`. Raises Error that names the operator if one is not known, or if the outputs differ.
    """
    tools.needed("onnx", "onnxruntime", "onnx2torch")
    import onnx

    path = Path(file)
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf's, onnx's and the system's
        raise Error(MODEL_FILE, f"{path}: can't be read as ONNX: {_export.first_line(error)}") from None
    _free_the_batch(model)
    _without_allowzero(model)
    _without_shared_weights(model)
    reasons: dict[int, str] = {}
    for opset, candidate in _candidates(model, reasons):
        try:
            made = _converted(candidate)
        except Exception as error:  # onnx2torch's, of many kinds
            reasons[opset] = _reason(error)
            continue
        difference = _difference(model, made)
        if isinstance(difference, str) or difference > tools.TOLERANCE:
            said = difference if isinstance(difference, str) else f"outputs differ from ONNX Runtime's by {difference:.1g}"
            reasons[opset] = f"{said}; expected at most {tools.TOLERANCE:g}" if not isinstance(difference, str) else said
            continue
        return made
    first = next(iter(reasons.items()))
    rest = "; ".join(f"as opset {opset}: {why}" for opset, why in [*reasons.items()][1:] if why != first[1])
    raise Error(UNSUPPORTED, f"{path}: opset {first[0]}: {first[1]}{f'; {rest}' if rest else ''}. Export the model with another opset, or as TorchScript")


def _candidates(model: Any, reasons: dict[int, str]) -> Iterator[tuple[int, Any]]:
    """The model, and the model in other opsets."""
    from onnx import version_converter

    own = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    yield own, model
    for opset in OPSETS:
        if opset == own:
            continue
        try:
            converted = version_converter.convert_version(model, opset)
        except Exception as error:  # the converter's, from C++
            reasons[opset] = f"onnx.version_converter: {_export.first_line(error)}"
            continue
        yield opset, converted


def _converted(model: Any) -> nn.Module:
    import onnx2torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made: nn.Module = onnx2torch.convert(model)
    return made.eval()


def _reason(error: Exception) -> str:
    """onnx2torch's error, by the operator's name."""
    found = re.search(r"operation_type='(\w+)', version=(\d+)", str(error))
    return f"operator {found[1]} of version {found[2]} is not known to onnx2torch" if found else _export.first_line(error)


def _free_the_batch(model: Any) -> None:
    """Lets the first axis of inputs and outputs be of any size: many exporters write 1. The comparison shows whether it holds."""
    weights = {weight.name for weight in model.graph.initializer}
    for value in (*model.graph.input, *model.graph.output):
        dims = value.type.tensor_type.shape.dim
        if value.name not in weights and len(dims) > 0:
            dims[0].dim_param = "batch"
    del model.graph.value_info[:]


def _without_allowzero(model: Any) -> None:
    """torch.onnx writes allowzero=1, which onnx2torch does not know. It means something only for a size of 0."""
    from onnx import numpy_helper

    known = {weight.name: weight for weight in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "Reshape" or (node.input[1] in known and 0 in numpy_helper.to_array(known[node.input[1]])):
            continue
        for attribute in [*node.attribute]:
            if attribute.name == "allowzero":
                node.attribute.remove(attribute)


def _without_shared_weights(model: Any) -> None:
    """Exporters store equal weights once, and give the others by Identity. onnx2torch looks for weights by their own names."""
    weights = {weight.name for weight in model.graph.initializer}
    outputs = {value.name for value in model.graph.output}
    same: dict[str, str] = {}
    for node in [*model.graph.node]:
        for index, name in enumerate(node.input):
            node.input[index] = same.get(name, name)
        if node.op_type == "Identity" and node.input[0] in weights and node.output[0] not in outputs:
            same[node.output[0]] = node.input[0]
            model.graph.node.remove(node)


def _difference(model: Any, made: nn.Module) -> float | str:
    """From ONNX Runtime, on random inputs; or why the model can't be run."""
    inputs = _random_inputs(model)
    with TemporaryDirectory(prefix="incite-") as folder:
        file = Path(folder) / "model.onnx"
        file.write_bytes(model.SerializeToString())
        try:
            expected = tools.outputs_of(file, inputs)
        except Exception as error:  # ONNX Runtime's exceptions have no common base
            return f"ONNX Runtime can't run it for {BATCH} samples: {_export.first_line(error)}"
    try:
        with torch.no_grad():
            found = made(*map(torch.from_numpy, inputs))
    except Exception as error:  # what a module raises is its own
        return f"the module can't be run: {_export.first_line(error)}"
    outputs = found if isinstance(found, (tuple, list)) else [found]
    return max(tools.difference_of(one, other.numpy()) for one, other in zip(expected, outputs, strict=True))


def _random_inputs(model: Any) -> list[Any]:
    import onnx

    random = np.random.default_rng(0)
    weights = {weight.name for weight in model.graph.initializer}
    made = []
    for value in model.graph.input:
        if value.name in weights:
            continue
        tensor = value.type.tensor_type
        shape = [BATCH, *(dim.dim_value or 1 for dim in tensor.shape.dim[1:])]
        kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        made.append(np.zeros(shape, kind) if np.issubdtype(kind, np.integer) else random.standard_normal(shape).astype(kind))
    return made
