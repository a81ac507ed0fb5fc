"""Incite takes a trained network apart into one small module for each of its outputs.

    import incite
    result = incite.decompose(model, x, y, target_compression=5)
    print(result.table())
    result.modules[3](x)  # a torch module

The functions run the program that comes with this package. Everything is imported when it is first used, since the command `incite` needs none of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from incite._error import Error, InciteWarning

if TYPE_CHECKING:
    from incite._onnx_in import from_onnx
    from incite._results import Composition, Decomposition, Evaluation, Inspection, Modules
    from incite._verbs import compose, decompose, evaluate, inspect, load

__all__ = [
    "Composition",
    "Decomposition",
    "Error",
    "Evaluation",
    "InciteWarning",
    "Inspection",
    "Modules",
    "compose",
    "decompose",
    "evaluate",
    "from_onnx",
    "inspect",
    "load",
]

_PLACES = {
    "_onnx_in": ["from_onnx"],
    "_results": ["Composition", "Decomposition", "Evaluation", "Inspection", "Modules"],
    "_verbs": ["compose", "decompose", "evaluate", "inspect", "load"],
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("incite")
    for module, names in _PLACES.items():
        if name in names:
            found = getattr(import_module(f"incite.{module}"), name)
            globals()[name] = found
            return found
    raise AttributeError(f"module 'incite' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
