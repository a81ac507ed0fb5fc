"""From a model in Python to the file that the program reads."""

import copy
import inspect
import json
import logging
import os
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MethodType
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from incite._data import Samples, examples_of, hash_of
from incite._error import MODEL_FILE, UNSUPPORTED, Error
from incite._run import warn

log = logging.getLogger("incite")

Model = nn.Module | ExportedProgram | str | os.PathLike[str]
"""A model in memory: its file is exported. Or its file."""


def argument_names(model: object) -> list[str]:
    """Names of the arguments of a model's forward, by which a dict of inputs is ordered; empty if they are not known."""
    if isinstance(model, torch.jit.ScriptModule):
        return [argument.name for argument in model.forward.schema.arguments[1:]] if hasattr(model.forward, "schema") else []
    return [*inspect.signature(model.forward).parameters] if isinstance(model, nn.Module) else []


def write(model: Model, samples: Samples, options: Mapping[str, Any], folder: Path) -> Path:
    """Writes a model's file, if it has none. Its name ends in a part of its hash."""
    if isinstance(model, (str, os.PathLike)):
        return Path(model)
    if not isinstance(model, (nn.Module, ExportedProgram)):
        raise Error(
            MODEL_FILE, f"a model of type {type(model).__name__}; expected a torch.nn.Module, an ExportedProgram, a ScriptModule, or a file's name"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".new-", dir=folder) as unnamed:
        file = _save(model, samples, options, Path(unnamed) / "model")  # archives hold the name that they were written under
        return file.rename(folder / f"model-{hash_of(file)}{file.suffix}")


def _save(model: nn.Module | ExportedProgram, samples: Samples, options: Mapping[str, Any], file: Path) -> Path:
    """Writes the file. Returns its name with its ending."""
    if isinstance(model, nn.Module) and (isinstance(model, torch.jit.ScriptModule) or hasattr(model, "program")):
        return write_module(model, file)
    if isinstance(model, ExportedProgram):
        return _save_exported(model, file)
    model = _on_cpu(model)
    with _for_export(model), torch.no_grad():
        example = _example(model, samples, options)
        return _save_module(model, example, file)


def _save_module(model: nn.Module, example: tuple[Tensor, ...], file: Path) -> Path:
    """By the first way that works. Says so if it is not the first."""
    ways: list[tuple[str, Callable[[], Path]]] = [
        ("torch.export.export", lambda: _save_exported(exported(model, example), file)),
        ("torch.jit.script", lambda: _save_script(torch.jit.script(model), file)),
        ("torch.jit.trace", lambda: _save_script(torch.jit.trace(model, example), file)),  # type: ignore[no-untyped-call]
    ]
    reasons = []
    for name, way in ways:
        try:
            with warnings.catch_warnings(), quiet("torch"):
                warnings.simplefilter("ignore")
                written = way()
        except Exception as error:  # exporters raise whatever they meet
            reasons.append(f"{name}: {first_line(error)}")
            continue
        if name == "torch.jit.trace":
            warn(f"the model was exported by torch.jit.trace, which hides branches on the input's content ({'; '.join(reasons)})")
        elif reasons:
            warn(f"the model was exported by {name} ({'; '.join(reasons)})")
        return written
    raise Error(UNSUPPORTED, f"{type(model).__name__} can't be exported: {'; '.join(reasons)}")


def exported(model: nn.Module, example: Sequence[Tensor]) -> ExportedProgram:
    """A model as torch.export sees it, for batches of any size."""
    batch = Dim("batch")
    shapes: Any = tuple({0: batch} for _ in example)
    if any(kind in (inspect.Parameter.VAR_POSITIONAL,) for kind in _kinds(model)):
        shapes = (shapes,)
    return torch.export.export(model, tuple(example), dynamic_shapes=shapes)


def _kinds(model: nn.Module) -> list[Any]:
    return [parameter.kind for parameter in inspect.signature(model.forward).parameters.values()]


def _save_exported(program: ExportedProgram, file: Path) -> Path:
    torch.export.save(program, file.with_suffix(".pt2"))
    return file.with_suffix(".pt2")


def _save_script(made: Any, file: Path) -> Path:
    made.save(str(file.with_suffix(".pt")))
    return file.with_suffix(".pt")


def _example(model: nn.Module, samples: Samples, options: Mapping[str, Any]) -> tuple[Tensor, ...]:
    """Samples that the model takes."""
    reasons = []
    for example in examples_of(samples, options):
        try:
            model(*example)
        except Exception as error:  # what a model raises is its own
            reasons.append(first_line(error))
            continue
        return example
    shapes = ", ".join(str([*tensor.shape]) for tensor in examples_of(samples, options)[0])
    raise Error(UNSUPPORTED, f"{type(model).__name__} does not take the samples, {shapes}: {reasons[0]}")


def _on_cpu(model: nn.Module) -> nn.Module:
    """The model, or a copy if it is elsewhere: files hold weights on the CPU."""
    if all(tensor.device.type == "cpu" for tensor in (*model.parameters(), *model.buffers())):
        return model
    return copy.deepcopy(model).cpu()


@contextmanager
def _for_export(model: nn.Module) -> Iterator[None]:
    """The model in the mode for evaluation; afterwards each part is in its own mode again."""
    modes = [(part, part.training) for part in model.modules()]
    try:
        for part, _ in modes:
            part.training = False
        yield
    finally:
        for part, training in modes:
            part.training = training


@contextmanager
def quiet(name: str) -> Iterator[None]:
    """Without a library's messages below an error: they are about ways that are tried in turn."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def same_model(file: Path, model: nn.Module | ExportedProgram, samples: Samples, options: Mapping[str, Any]) -> bool:
    """Whether a file that an earlier run wrote holds this model: its weights, and its outputs on two samples.

    The bytes of two exports of one model may differ: names of files and of types are in them.
    """
    try:
        earlier = load(file)
    except Exception:  # not a file of ours
        return False
    ours = {name: tensor.detach().cpu() for name, tensor in model.state_dict.items()} if isinstance(model, ExportedProgram) else model.state_dict()
    theirs = earlier.state_dict()
    both = [name for name in theirs if name in ours]  # constants of the graph are in neither or in one
    if len(both) < len(ours) or not all(torch.equal(ours[name].cpu(), theirs[name].cpu()) for name in both):
        return False
    if isinstance(model, ExportedProgram):
        return True
    model = _on_cpu(model)
    with _for_export(model), torch.no_grad():
        example = _example(model, samples, options)
        return _close(model(*example), earlier(*example))


def _close(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, Tensor):
        return isinstance(theirs, Tensor) and ours.shape == theirs.shape and torch.allclose(ours.cpu(), theirs, atol=1e-5, rtol=1e-4)
    if isinstance(ours, Mapping):
        return all(_close(ours[name], theirs[name]) for name in ours)
    return all(_close(one, other) for one, other in zip(ours, theirs, strict=True))


def load(file: Path) -> nn.Module:
    """A model's file as a torch module, on the CPU. `incite`, if it is there, is what the file records of itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if is_pt2(file):
            return _load_exported(file)
        loaded: nn.Module = torch.jit.load(str(file), map_location="cpu")  # type: ignore[no-untyped-call]
    return loaded


def is_pt2(file: Path) -> bool:
    """Whether a file is an archive of torch.export."""
    try:
        with zipfile.ZipFile(file) as archive:
            return any(name.endswith("/archive_format") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def _load_exported(file: Path) -> nn.Module:
    records: dict[str, Any] = {"incite": ""}
    program = torch.export.load(file, extra_files=records)
    module: Any = program.module()
    module.incite = _text(records["incite"])
    module.program = program
    # PyTorch has no train() for exported programs. Batch norms keep their statistics; all else is the same in both modes.
    for name in ("train", "eval"):
        setattr(module, name, MethodType(lambda self, mode=True: self, module))
    return cast(nn.Module, module)


def _text(record: str | bytes) -> str:
    return record.decode() if isinstance(record, bytes) else record


def write_module(module: nn.Module, file: Path) -> Path:
    """Writes a module of a decomposition as it is now, for the program. `file` has no ending yet."""
    if isinstance(module, torch.jit.ScriptModule):
        return _save_script(module, file)
    program = getattr(module, "program", None)
    if not isinstance(program, ExportedProgram):
        raise Error(MODEL_FILE, f"a module of type {type(module).__name__}; expected one of result.modules, or its file")
    now = module.state_dict()
    with torch.no_grad():
        for name, tensor in program.state_dict.items():
            tensor.copy_(now[name])
    torch.export.save(program, file.with_suffix(".pt2"), extra_files={"incite": module.incite})
    return file.with_suffix(".pt2")


def identity_of(file: Path) -> dict[str, Any]:
    """What a module's file records of itself (docs/decomposition-json.md, Modules' files); empty for other files."""
    text = getattr(load(file), "incite", "")
    found: dict[str, Any] = json.loads(text) if text else {}
    return found
