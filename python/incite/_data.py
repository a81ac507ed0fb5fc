"""Samples and targets, from what a caller has to the archive that the program reads."""

import hashlib
import os
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch.utils.data import DataLoader, Dataset

from incite._error import DATA_FILE, DATA_MISMATCH, Error

Array = NDArray[Any]
Arrays = ArrayLike | torch.Tensor
Inputs = Arrays | tuple[Arrays, ...] | Mapping[str, Arrays]
"""The input of a model, an array [N, ...]; or several, as a tuple in the order of forward's arguments or a dict by their names."""
Data = Inputs | DataLoader[Any] | Dataset[Any] | str | os.PathLike[str]


@dataclass
class Samples:
    """Arrays by the names that they have in the archive, or a file that a caller has given."""

    inputs: dict[str, Array] = field(default_factory=dict)
    target: Array | None = None
    file: Path | None = None

    @property
    def target_key(self) -> str:
        return "y" if "y" not in self.inputs else "target"


def samples_of(x: Data, y: Arrays | None = None, order: Sequence[str] = ()) -> Samples:
    """`order`: names of forward's arguments, by which a dict of inputs is ordered."""
    if isinstance(x, (str, os.PathLike)):
        if y is not None:
            raise Error(DATA_MISMATCH, f"{os.fspath(x)}: a file and an array of targets; expected both in the file")
        return Samples(file=Path(x))
    if isinstance(x, (DataLoader, Dataset)):
        if y is not None:
            raise Error(DATA_MISMATCH, f"{type(x).__name__}: a data set and an array of targets; expected a data set of (x, y)")
        x, y = _collected(x)
    inputs = _inputs(x, order)
    lengths = {name: len(array) for name, array in inputs.items()}
    target = None if y is None else _array("y", y)
    if target is not None:
        lengths["y"] = len(target)
    if len(set(lengths.values())) > 1:
        raise Error(DATA_MISMATCH, f"arrays of different lengths: {lengths}; expected one row for each sample")
    return Samples(inputs, target)


def _inputs(x: Any, order: Sequence[str]) -> dict[str, Array]:
    if isinstance(x, Mapping):
        names = [name for name in order if name in x]
        return {str(name): _array(str(name), x[name]) for name in (names if len(names) == len(x) else x)}
    if isinstance(x, tuple):
        names = [f"x{index}" for index in range(len(x))] if len(x) > 1 else ["x"]
        return {name: _array(name, array) for name, array in zip(names, x, strict=True)}
    return {"x": _array("x", x)}


def _array(name: str, value: Any) -> Array:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        if value.dtype in (torch.bfloat16, torch.float16):
            value = value.float()
        return np.asarray(value.numpy())
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise Error(DATA_MISMATCH, f"{name}: no array can be made of it: {error}") from None
    if array.ndim == 0 or array.dtype == object:
        raise Error(DATA_MISMATCH, f"{name}: {type(value).__name__}; expected an array or a tensor with one row for each sample")
    return array


def _collected(data: DataLoader[Any] | Dataset[Any]) -> tuple[Any, Any]:
    """All batches of a data set, joined."""
    loader: Iterable[Any] = data if isinstance(data, DataLoader) else DataLoader(data, batch_size=256)
    batches = [_x_and_y(batch) for batch in loader]
    if not batches:
        raise Error(DATA_FILE, f"{type(data).__name__}: holds no samples; expected at least one of each class")
    targets = [y for _, y in batches if y is not None]
    return _joined([x for x, _ in batches]), _joined(targets) if targets else None


def _x_and_y(batch: Any) -> tuple[Any, Any]:
    """(x, y), (x1, x2, ..., y), or x alone."""
    if not isinstance(batch, (tuple, list)):
        return batch, None
    if len(batch) == 1:
        return batch[0], None
    return (batch[0] if len(batch) == 2 else tuple(batch[:-1])), batch[-1]


def _joined(parts: list[Any]) -> Any:
    first = parts[0]
    if isinstance(first, Mapping):
        return {name: _joined([part[name] for part in parts]) for name in first}
    if isinstance(first, (tuple, list)):
        return tuple(_joined([part[index] for part in parts]) for index in range(len(first)))
    return np.concatenate([_array("a batch", part) for part in parts])


def write(samples: Samples, folder: Path, name: str) -> Path:
    """Writes the archive. Its name ends in a part of its hash: a folder may hold the archives of several runs."""
    if samples.file is not None:
        return samples.file
    folder.mkdir(parents=True, exist_ok=True)
    arrays = dict(samples.inputs)
    if samples.target is not None:
        arrays[samples.target_key] = samples.target
    for array_name in arrays:
        if "," in array_name or "/" in array_name:
            raise Error(DATA_MISMATCH, f"{array_name!r}: the name of an input holds a comma or a slash; expected a name without")
    unnamed = folder / f".{name}-{os.getpid()}.npz"
    with zipfile.ZipFile(unnamed, "w") as archive:  # numpy.savez takes no array with the name "file"
        for array_name, array in arrays.items():
            with archive.open(f"{array_name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
    return unnamed.rename(folder / f"{name}-{hash_of(unnamed)}.npz")


def hash_of(file: Path) -> str:
    """The start of a file's SHA-256."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:8]


def keys_of(samples: Samples, prefix: str = "") -> dict[str, str]:
    """Options that name the arrays; none for a caller's file."""
    if samples.file is not None:
        return {}
    keys = {f"{prefix}input_key": ",".join(samples.inputs)}
    return keys if samples.target is None else {**keys, f"{prefix}target_key": samples.target_key}


def examples_of(samples: Samples, options: Mapping[str, Any], count: int = 2) -> list[tuple[torch.Tensor, ...]]:
    """The first samples, for an export, as the model may take them: whole numbers as indices, else as float32.

    There are `count`, the first again if the data has fewer: torch.export takes a batch of 1 for a constant.
    """
    inputs = samples.inputs if samples.file is None else _from_file(samples.file, options)
    return [tuple(_as_input(array, options, count, whole) for array in inputs.values()) for whole in (False, True)]


def _from_file(file: Path, options: Mapping[str, Any]) -> dict[str, Array]:
    keys = options.get("input_key") or "x"
    try:
        with np.load(file) as archive:
            return {key: archive[key] for key in (keys.split(",") if isinstance(keys, str) else map(str, keys))}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise Error(DATA_FILE, f"{file}: no samples to export the model with: {error}; expected an archive with the arrays {keys}") from None


def _as_input(array: Array, options: Mapping[str, Any], count: int, whole: bool) -> torch.Tensor:
    """As the program does: uint8 is scaled by 1/255, numbers with a fraction are float32. `whole`: uint8 are indices, others are float32."""
    sample = torch.from_numpy(np.ascontiguousarray(np.resize(array[:count], (count, *array.shape[1:]))))
    given = options.get("input_scale")
    scale = (1 / 255 if sample.dtype == torch.uint8 else 1.0) if given in (None, "auto") else float(str(given))
    if sample.dtype == torch.bool or (not sample.is_floating_point() and (sample.dtype == torch.uint8) == whole):
        sample = sample if sample.dtype == torch.bool else sample.long()
    else:
        sample = sample.float() * scale
    if shape := options.get("input_shape"):
        sample = sample.reshape(count, *shape)
    if options.get("input_layout") == "nhwc" and sample.ndim == 4:
        sample = sample.permute(0, 3, 1, 2)
    return sample.contiguous()
