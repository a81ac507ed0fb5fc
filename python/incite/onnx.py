"""Modules and compositions as ONNX. `python -m incite.onnx modules/` writes an ONNX file for each module of a folder.

Needs `pip install incite[onnx]`.
"""

import argparse
import json
import logging
import re
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from incite import _data, _export
from incite._error import DATA_MISMATCH, UNSUPPORTED, USAGE, Error
from incite._results import Document, load_document

OPSET = 18  # what torch.onnx writes without a conversion
TOLERANCE = 1e-4
SAMPLES = 16

log = logging.getLogger("incite")


def convert(file: Path, out: Path, *, opset: int | None = None, settings: Mapping[str, Any] | None = None) -> Path:
    """Writes a module's or a composition's file as ONNX, with an axis "batch", and returns `out`.

    settings: the archive of the samples to compare on, `file`, and how the module takes them; without the archive, samples are random.
    ONNX Runtime must give the same for 16 samples and for one, within 1e-4 of the largest output. Raises Error otherwise, or if an
    operator can't be converted.
    """
    needed("onnx", "onnxruntime", "onnxscript")
    model, identity = _export.load(file).eval(), _export.identity_of(file)
    example = _examples(file, model, {**identity, **(settings or {})})
    with warnings.catch_warnings(), _export.quiet("torch"):
        warnings.simplefilter("ignore")
        proto = _proto(file, model, example, opset or OPSET)
    _name_the_batch(proto)
    if identity:
        entry = proto.metadata_props.add()
        entry.key, entry.value = "incite", json.dumps(identity)
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".new-", dir=out.parent) as folder:
        staged = Path(folder) / out.name
        staged.write_bytes(proto.SerializeToString())
        _compare(file, model, staged, example)
        return staged.rename(out)


def convert_all(document: Document, folder: Path, out: Path, opset: int | None = None) -> list[Path]:
    """Each module of a decomposition, whose files are in `folder`."""
    settings = {**document["settings"], "file": document["data"]["file"]}
    files = [folder / row["file"] for row in document["modules"]]
    return [convert(file, out / f"{file.stem}.onnx", opset=opset, settings=settings) for file in files]


def needed(*packages: str) -> None:
    """Raises Error if a package is not installed."""
    if missing := [name for name in packages if find_spec(name) is None]:
        raise Error(USAGE, f"{', '.join(missing)}: not installed; run pip install 'incite[onnx]'")


def _examples(file: Path, model: nn.Module, settings: Mapping[str, Any]) -> tuple[Tensor, ...]:
    """Samples of the data, as the module takes them."""
    archive = Path(settings.get("file") or "")
    if archive.is_file():
        options = {**settings, "input_scale": settings.get("scale") or settings.get("input_scale")}
        found = _data.examples_of(_data.Samples(file=archive), options, SAMPLES)
    else:
        shapes = settings.get("shapes") or ()
        found = [tuple(torch.randn(SAMPLES, *shape) for shape in shapes), tuple(torch.zeros(SAMPLES, *shape).long() for shape in shapes)]
    reasons = []
    for example in found:
        try:
            with torch.no_grad():
                model(*example)
        except Exception as error:  # what a model raises is its own
            reasons.append(_export.first_line(error))
            continue
        return example
    raise Error(DATA_MISMATCH, f"{file}: does not take the samples of {archive}: {reasons[0]}")


def _proto(file: Path, model: nn.Module, example: tuple[Tensor, ...], opset: int) -> Any:
    try:
        program = getattr(model, "program", None) or _exported(model, example)
        names = [f"x{index}" for index in range(len(example))] if len(example) > 1 else ["x"]
        made = torch.onnx.export(program, dynamo=True, verbose=False, opset_version=opset, input_names=names, output_names=["output"])
    except Exception as error:  # exporters raise whatever they meet
        raise Error(UNSUPPORTED, f"{file}: can't be converted to ONNX of opset {opset}: {_cause(error)}") from None
    assert made is not None
    return made.model_proto


def _exported(model: Any, example: tuple[Tensor, ...]) -> ExportedProgram:
    """A TorchScript module as an exported program, for batches of any size."""
    from torch._export.converter import TS2EPConverter

    program: ExportedProgram = TS2EPConverter(model, example, {}).convert()
    return torch.export.export(program.module(), example, dynamic_shapes=tuple({0: Dim("batch")} for _ in example))


def _cause(error: Exception) -> str:
    """The first line of what an exporter met first; what it wraps that in is about itself."""
    while isinstance(error.__cause__, Exception):
        error = error.__cause__
    return _export.first_line(error)


def _name_the_batch(proto: Any) -> None:
    """Calls the axis of samples "batch": the exporter's name is a number."""
    first = proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    if not first:
        return
    word = re.compile(rf"\b{re.escape(first)}\b")
    for value in (*proto.graph.input, *proto.graph.output, *proto.graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_param = word.sub("batch", dim.dim_param)


def _compare(file: Path, model: nn.Module, converted: Path, example: tuple[Tensor, ...]) -> None:
    """Raises Error if ONNX Runtime gives something else than the module."""
    for count in (len(example[0]), 1):
        samples = [tensor[:count] for tensor in example]
        with torch.no_grad():
            expected = model(*samples).numpy()
        try:
            found = outputs_of(converted, [tensor.numpy() for tensor in samples])[0]
        except Exception as error:  # ONNX Runtime's exceptions have no common base
            raise Error(UNSUPPORTED, f"{file}: ONNX Runtime can't run it as ONNX: {_export.first_line(error)}") from None
        if (difference := difference_of(expected, found)) > TOLERANCE:
            raise Error(UNSUPPORTED, f"{file}: as ONNX, its outputs for {count} samples differ by {difference:.1g}; expected at most {TOLERANCE:g}")


def outputs_of(file: Path, inputs: Sequence[Any]) -> list[Any]:
    """What ONNX Runtime makes of inputs, in the order of the model's."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, {declared.name: value for declared, value in zip(session.get_inputs(), inputs, strict=True)}))


def difference_of(expected: Any, found: Any) -> float:
    """The largest difference, over the largest output or 1; infinite if shapes differ or an output is not finite."""
    if expected.shape != found.shape or not np.isfinite(found).all():
        return float("inf")
    return float(np.abs(expected - found).max(initial=0) / max(1.0, float(np.abs(expected).max(initial=0))))


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m incite.onnx", description="Writes an ONNX file for each module, and compares it with the module.")
    parser.add_argument("modules", type=Path, nargs="+", metavar="FOLDER|FILE", help="folders written by 'incite decompose', modules, compositions")
    parser.add_argument("-o", "--out", type=Path, metavar="FOLDER", help="folder for the files (default: beside the modules)")
    parser.add_argument("--opset", type=int, default=OPSET, help=f"version of ONNX's operators (default: {OPSET})")
    args = parser.parse_args(words)
    try:
        for path in args.modules:
            for file in _convert_path(path, args.out, args.opset):
                print(file)
    except Error as error:
        print(f"error: {error}", file=sys.stderr)
        return error.code
    return 0


def _convert_path(path: Path, out: Path | None, opset: int) -> Iterable[Path]:
    if path.is_dir():
        return convert_all(load_document(path), path, out or path, opset)
    if not path.is_file():
        raise Error(USAGE, f"{path}: no such file; expected a folder of modules, or a module's file")
    return [convert(path, (out or path.parent) / f"{path.stem}.onnx", opset=opset)]


if __name__ == "__main__":
    sys.exit(main())
