"""What a run hands over: the program's documents, tables, and modules as torch modules."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch import nn

from incite import _export
from incite._error import DATA_FILE, Error

Document = dict[str, Any]
"""A JSON document of the program; docs/decomposition-json.md and docs/inspect-json.md describe its fields."""


class _Result:
    """A document and a table. `_keep`: the temporary folder that lives as long as the result."""

    def __init__(self, document: Document, table: str, keep: TemporaryDirectory[str] | None = None) -> None:
        self.document = document
        self._table = table
        self._keep = keep

    @property
    def warnings(self) -> list[str]:
        """Likely problems of the result, a sentence each."""
        return list(self.document.get("warnings", []))

    def table(self) -> str:
        """The program's table of the result."""
        return self._table

    def __str__(self) -> str:
        return self.table()


class Inspection(_Result):
    """What a model consists of, and what can be removed (docs/inspect-json.md). `error`: why decompose would refuse the model, or None."""

    def __init__(self, document: Document, table: str, error: Error | None) -> None:
        super().__init__(document, table)
        self.error = error


class _Measured(_Result):
    """With measures of one model, or of modules together."""

    @property
    def evaluation(self) -> Document:
        """All measures: `evaluation` of the document."""
        return dict(self.document["evaluation"])

    def _measure(self, *names: str) -> float | None:
        found = next((self.evaluation[name] for name in names if name in self.evaluation), None)
        return None if found is None else float(found)

    @property
    def accuracy(self) -> float | None:
        """Share of the test samples, 0 to 1, whose class has the largest output; of modules: together. None for regression, for several
        labels, and for a single module."""
        return self._measure("combined_accuracy", "accuracy")

    @property
    def original_accuracy(self) -> float | None:
        """The same for the original. None for regression, and where there is no original."""
        return self._measure("original_accuracy")

    @property
    def mae(self) -> float | None:
        """Regression: mean absolute error, in the unit of the targets."""
        return self._measure("combined_mae", "mae")

    @property
    def original_mae(self) -> float | None:
        """Regression: mean absolute error of the original."""
        return self._measure("original_mae")


class Evaluation(_Measured):
    """Measures on data of your choice (docs/decomposition-json.md, Evaluation)."""


class Modules(Mapping[int | str, nn.Module]):
    """Modules by their output, the index or the name; modules for sets by the set's name. Each is loaded when it is first asked for.

    A module is a torch module: input as the original's, [N, ...]; output [N, 2], others and its class, or [N, 1], its value.
    """

    def __init__(self, folder: Path, rows: list[Document]) -> None:
        self._folder = folder
        self._rows: dict[int | str, Document] = {}
        self._by_name: dict[str, int | str] = {}
        for row in rows:
            key = row["output"] if "output" in row else row["name"]
            self._rows[key] = row
            if name := row.get("name"):
                self._by_name.setdefault(name, key)
        self._loaded: dict[int | str, nn.Module] = {}

    def __getitem__(self, key: int | str) -> nn.Module:
        found = self._key(key)
        if found not in self._loaded:
            self._loaded[found] = _export.load(self.file(found))
        return self._loaded[found]

    def __iter__(self) -> Iterator[int | str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, key: object) -> bool:
        return key in self._rows or key in self._by_name

    def __repr__(self) -> str:
        return f"Modules({', '.join(map(repr, self._rows))})"

    def file(self, key: int | str) -> Path:
        """The module's file."""
        return self._folder / str(self._rows[self._key(key)]["file"])

    def info(self, key: int | str) -> Document:
        """The module's row in the document: parameters, bytes, compression, its measures."""
        return self._rows[self._key(key)]

    def _key(self, key: int | str) -> int | str:
        if key in self._rows:
            return key
        if isinstance(key, str) and key in self._by_name:
            return self._by_name[key]
        names = ", ".join([*map(repr, self._rows), *map(repr, self._by_name)][:12])
        raise KeyError(f"no module {key!r}; expected one of {names}")


class Decomposition(_Measured):
    """The modules of a network and what they are worth. `document` is decomposition.json; `folder` holds it and the modules' files."""

    def __init__(self, folder: Path, table: str, keep: TemporaryDirectory[str] | None = None) -> None:
        super().__init__(load_document(folder), table, keep)
        self.folder = folder
        self.modules = Modules(folder, self.document["modules"])

    @property
    def compression(self) -> float:
        """Parameters of the original over those of a module, the mean over modules."""
        return float(self.evaluation["mean_compression"])

    @property
    def overlap(self) -> float:
        """Mean Jaccard index of what pairs of modules keep, 0 to 1; 1 for one module."""
        return float(self.evaluation["mean_overlap"])

    def table(self) -> str:
        if not self._table:
            raise Error(DATA_FILE, f"{self.folder}: the table was printed by the run that made it; expected incite.evaluate, or use document")
        return self._table

    def to_onnx(self, folder: str | os.PathLike[str], *, opset: int | None = None) -> list[Path]:
        """Writes an ONNX file for each module, and returns their names. Each is compared with its module on samples of the data, within
        1e-4, before it is put into place. Needs `pip install incite[onnx]`. Raises Error if one can't be converted, or differs."""
        from incite import onnx

        return onnx.convert_all(self.document, self.folder, Path(folder), opset)

    def __repr__(self) -> str:
        return f"<incite.Decomposition: {len(self.modules)} modules, {self.compression:.2f}x, in {self.folder}>"

    def __str__(self) -> str:
        return self._table or repr(self)


class Composition(_Result):
    """Modules that were joined into one model, in `file`, with an output for each."""

    def __init__(self, file: Path, document: Document, table: str, keep: TemporaryDirectory[str] | None = None) -> None:
        super().__init__(document, table, keep)
        self.file = file
        self._model: nn.Module | None = None

    @property
    def names(self) -> list[str]:
        """Names of the outputs, in their order."""
        return [str(name) for row in self.document["modules"] for name in row.get("columns", [row["name"]])]

    @property
    def model(self) -> nn.Module:
        """The composition as a torch module: input as its modules', [N, ...]; output [N, K], log-odds or values."""
        if self._model is None:
            self._model = _export.load(self.file)
        return self._model

    def to_onnx(self, file: str | os.PathLike[str], *, opset: int | None = None) -> Path:
        """Writes the composition as ONNX, compared as in Decomposition.to_onnx."""
        from incite import onnx

        return onnx.convert(self.file, Path(file), opset=opset, settings={"file": self.document.get("checked_on")})


def load_document(folder: Path) -> Document:
    """decomposition.json of a folder."""
    file = folder / "decomposition.json"
    try:
        document: Document = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise Error(DATA_FILE, f"{file}: can't be read: {error}; expected a folder that decompose has written") from None
    if document.get("schema") != 1:
        raise Error(DATA_FILE, f"{file}: schema {document.get('schema')}; expected 1, of this version of Incite")
    return document
