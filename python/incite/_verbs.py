"""The four verbs of the program as functions."""

from __future__ import annotations  # help() shows the names of types, which stand for long unions

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch.export import ExportedProgram
from typing_extensions import Unpack

from incite import _data, _export
from incite._data import Arrays, Data
from incite._error import USAGE, Error
from incite._export import Model
from incite._options import ComposeOptions, DecomposeOptions, EvaluateOptions, InspectOptions
from incite._results import Composition, Decomposition, Evaluation, Inspection
from incite._run import Output, checked, run
from incite._words import words_of

Path_ = str | os.PathLike[str]
ORIGINAL = "original"  # the folder, beside the modules, for the model's and the data's files that Python wrote


def decompose(
    model: Model,
    x: Data,
    y: Arrays | None = None,
    *,
    out: Path_ | None = None,
    test: tuple[Any, Any] | Data | None = None,
    progress: bool | None = None,
    **options: Unpack[DecomposeOptions],
) -> Decomposition:
    """Takes a model apart into one small module for each of its outputs.

    model: a torch.nn.Module, an ExportedProgram, a ScriptModule, or a file's name. It is exported in the mode for evaluation, and does not
        change.
    x: samples, an array or tensor [N, ...] as the model takes it; a tuple or dict of them for several inputs; a DataLoader or Dataset of
        (x, y); or the name of an .npz file. Inputs of type uint8 are scaled by 1/255.
    y: class labels [N], one-hot rows, labels or values [N, K]. Without y, the model's own outputs serve as targets.
    out: folder for the modules and decomposition.json. Without it, they live as long as the result.
    test: (x, y), or what x may be, to measure on. Without it, a fifth of the samples is held out.
    progress: whether to show a progress bar; None: on a terminal and in a notebook.
    options: those of `incite decompose`, with "_" for "-": target_compression=10, max_loss=0.5, names=["cat", "dog"], resume=True.
        docs/options.md lists all.

    Raises Error where the program prints an error. Ctrl-C raises KeyboardInterrupt; call again with `resume=True` to continue in `out`.
    """
    words = words_of("decompose", options)  # mistakes first
    keep = TemporaryDirectory(prefix="incite-") if out is None else None
    folder = Path(keep.name) / "modules" if keep is not None else Path(os.path.abspath(out or ""))
    originals = _Originals(folder, options)
    try:
        samples = _data.samples_of(x, y, _export.argument_names(model))
        data = originals.data(samples, "data")
        words += words_of("decompose", _keys(options, _data.keys_of(samples)))
        if test is not None:
            test_samples = _test_samples(test, _export.argument_names(model))
            words += [f"--test={originals.data(test_samples, 'test')}"]
            words += words_of("decompose", _keys(options, _data.keys_of(test_samples, "test_")))
        file = originals.model(model, samples)
        output = run(["decompose", str(file), f"--data={data}", f"--out={folder}", *words], progress=progress)
        checked(output)
    except BaseException:
        originals.undo()
        raise
    originals.tidy()
    return Decomposition(folder, output.stdout, keep)


def inspect(model: Model, x: Data, y: Arrays | None = None, **options: Unpack[InspectOptions]) -> Inspection:
    """Shows a model's layers, units and groups, what can't be removed and why. Arguments as in decompose; options of `incite inspect`."""
    words = words_of("inspect", options)
    with TemporaryDirectory(prefix="incite-") as keep:
        originals = _Originals(Path(keep), options)
        samples = _data.samples_of(x, y, _export.argument_names(model))
        words += words_of("inspect", _keys(options, _data.keys_of(samples)))
        words = [str(originals.model(model, samples)), f"--data={originals.data(samples, 'data')}", *words]
        document, output = _with_document("inspect", words, Path(keep), None)
        return Inspection(document, output.stdout, output.error)


def evaluate(
    what: Decomposition | Composition | Model,
    x: Data,
    y: Arrays | None = None,
    *,
    progress: bool | None = None,
    **options: Unpack[EvaluateOptions],
) -> Evaluation:
    """Measures modules against the original, or a model, module or composition by itself.

    what: a Decomposition or its folder; a Composition; a module, perhaps trained further; or any model as in decompose.
    x, y: as in decompose. options: those of `incite evaluate`.
    """
    words = words_of("evaluate", options)
    with TemporaryDirectory(prefix="incite-") as keep:
        originals = _Originals(Path(keep), options)
        samples = _data.samples_of(x, y, _export.argument_names(what))
        words += words_of("evaluate", _keys(options, _data.keys_of(samples)))
        if isinstance(what, Decomposition):
            operand = what.folder
            original = Path(what.document["model"]["file"])
            if "model" not in options and not original.is_file() and (moved := what.folder / ORIGINAL / original.name).is_file():
                words.append(f"--model={moved}")
        else:
            operand = what.file if isinstance(what, Composition) else originals.model(what, samples)
        words = [str(operand), f"--data={originals.data(samples, 'data')}", *words]
        document, output = _with_document("evaluate", words, Path(keep), progress)
        checked(output)
        return Evaluation(document, output.stdout)


def compose(
    parts: Sequence[Decomposition | torch.nn.Module | Path_],
    x: Data | None = None,
    *,
    out: Path_ | None = None,
    **options: Unpack[ComposeOptions],
) -> Composition:
    """Joins modules of one or several models into one model, with an output for each.

    parts: modules, perhaps trained further, or their files; a Decomposition, or its folder, stands for all of its modules.
    x: samples that all modules take, to check them on; without it, the data of their decompositions.
    out: file to write. Without it, the file lives as long as the result.
    options: those of `incite compose`, such as names=["cat", "dog"], replace={"3": file}, remove=["7"].
    """
    words = words_of("compose", options)
    keep = TemporaryDirectory(prefix="incite-")
    folder = Path(keep.name)
    originals = _Originals(folder, options)
    operands = [_operand(part, index, folder) for index, part in enumerate(parts)]
    if x is not None:
        samples = _data.samples_of(x)
        words += [f"--data={originals.data(samples, 'data')}", *words_of("compose", _keys(options, _data.keys_of(samples), "input_key"))]
    file = Path(os.path.abspath(out)) if out is not None else folder / f"composition{operands[0].suffix or '.pt'}" if operands else folder
    document, output = _with_document("compose", [*map(str, operands), f"--out={file}", *words], folder, None)
    checked(output)
    return Composition(file, document, output.stdout, keep)


def load(folder: Path_) -> Decomposition:
    """The decomposition in a folder, of this package or of the command `incite decompose`."""
    return Decomposition(Path(os.path.abspath(folder)), "")


def _operand(part: Decomposition | torch.nn.Module | Path_, index: int, folder: Path) -> Path:
    if isinstance(part, Decomposition):
        return part.folder
    if isinstance(part, torch.nn.Module):
        return _export.write_module(part, folder / f"part-{index}")
    return Path(part)


def _test_samples(test: Any, order: Sequence[str]) -> _data.Samples:
    if isinstance(test, tuple):
        if len(test) != 2:
            raise Error(USAGE, f"test: a tuple of {len(test)}; expected (x, y)")
        return _data.samples_of(test[0], test[1], order)
    return _data.samples_of(test, None, order)


def _keys(given: Mapping[str, Any], ours: Mapping[str, str], *only: str) -> dict[str, Any]:
    """Options that name the arrays we wrote. A caller may name arrays of a file alone."""
    for name in ours:
        if given.get(name) is not None:
            raise Error(USAGE, f"{name}={given[name]!r}: names arrays of a file, and the samples are in memory; leave it out")
    return {name: value for name, value in ours.items() if not only or name in only}


def _with_document(verb: str, words: Sequence[str], folder: Path, progress: bool | None) -> tuple[dict[str, Any], Output]:
    """Runs a verb. Its document is there if the verb came to its end, even if it then failed as inspect may."""
    file = folder / "document.json"
    output = run([verb, *words, f"--json-file={file}"], progress=progress)
    if not file.is_file():
        checked(output)
        raise Error(USAGE, f"incite {verb}: no document was written; with dot, expected the name of a file")
    document: dict[str, Any] = json.loads(file.read_text())
    return document, output


class _Originals:
    """The files of the model and the data that Python writes for a run, in the result's folder."""

    def __init__(self, out: Path, options: Mapping[str, Any]) -> None:
        self._out = out
        self._folder = out / ORIGINAL
        self._options = options
        self._before = {*self._folder.glob("*")} if self._folder.is_dir() else set()
        self._used: set[Path] = set()
        self._was_there = out.exists()

    def data(self, samples: _data.Samples, name: str) -> Path:
        return self._use(_data.write(samples, self._folder, name))

    def model(self, model: Model, samples: _data.Samples) -> Path:
        if self._options.get("resume") and isinstance(model, (torch.nn.Module, ExportedProgram)):
            for earlier in sorted(self._folder.glob("model-*")):
                if _export.same_model(earlier, model, samples, self._options):
                    return self._use(earlier)
        return self._use(_export.write(model, samples, self._options, self._folder))

    def _use(self, file: Path) -> Path:
        self._used.add(file)
        return file.absolute()

    def tidy(self) -> None:
        """Removes what belonged to an earlier result."""
        for file in self._before - self._used:
            file.unlink(missing_ok=True)

    def undo(self) -> None:
        """After a failure the folder is as it was before, except for a stopped run that can go on."""
        if any(self._out.glob("checkpoint*")) or self._finished():
            return
        if self._folder.is_dir():
            for file in {*self._folder.iterdir()} - self._before:
                file.unlink(missing_ok=True)
        with suppress(OSError):  # not empty
            self._folder.rmdir()
            if not self._was_there:
                self._out.rmdir()

    def _finished(self) -> bool:
        """Whether the result is there after all: an interrupt came too late."""
        with suppress(OSError):
            written = (self._out / "decomposition.json").read_text()
            return any(file.name in written for file in self._used - self._before)
        return False
