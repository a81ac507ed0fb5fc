"""From keywords to the words of the command line."""

import os
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from incite._error import USAGE, Error
from incite._options import KINDS


def words_of(verb: str, options: Mapping[str, Any]) -> list[str]:
    """The words of a verb's options. Raises TypeError for an option that the verb does not have; None stands for the default."""
    words = []
    for name, value in options.items():
        if name not in KINDS[verb]:
            near = get_close_matches(name, KINDS[verb], 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; expected one of {', '.join(KINDS[verb])}"
            raise TypeError(f"incite.{verb}() has no option {name!r}{hint}")
        if value is not None:
            words += _words(name, KINDS[verb][name], value)
    return words


def _words(name: str, kind: str, value: Any) -> list[str]:
    flag = "--" + name.replace("_", "-")
    if kind == "flag":
        if not isinstance(value, bool):
            raise Error(USAGE, f"{name}={value!r}: expected True or False")
        return [flag] if value else []
    if kind == "sets":
        return [flag, *_sets(name, value)]
    if kind == "pairs":
        if not isinstance(value, Mapping):
            raise Error(USAGE, f"{name}={value!r}: expected a dict from names to files, such as {{'3': 'other/module-3.pt'}}")
        return [f"{flag}={column}={os.fspath(file)}" for column, file in value.items()]
    if kind == "commas" and not isinstance(value, (str, os.PathLike)) and isinstance(value, Iterable):
        return [f"{flag}={_list(name, value)}"]
    return [f"{flag}={_text(name, value)}"]


def _text(name: str, value: Any) -> str:
    if isinstance(value, (str, os.PathLike)):
        return os.fspath(value)
    if isinstance(value, bool) or (isinstance(value, Iterable) and not getattr(value, "ndim", 1) == 0):
        raise Error(USAGE, f"{name}={value!r}: expected a number or text")
    return str(value)


def _list(name: str, values: Iterable[Any]) -> str:
    texts = [_text(name, value) for value in values]
    for text in texts:
        if "," in text:
            raise Error(USAGE, f"{name}: {text!r} holds a comma, which separates names; expected a name without")
    return ",".join(texts)


def _sets(name: str, value: Any) -> list[str]:
    """Sets of outputs with names: {"digits": range(10), "letters": "10-35"}. Text is passed on: "all", "a=0-4 b=5,7", a file."""
    if isinstance(value, str):
        return value.split() if "=" in value else [value]
    if not isinstance(value, Mapping):
        return [_text(name, value)]
    return [f"{key}={_text(name, outputs) if isinstance(outputs, (str, int)) else _list(name, outputs)}" for key, outputs in value.items()]
