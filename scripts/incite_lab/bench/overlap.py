"""How much the modules of two decompositions of one model have in common."""

from typing import Any


def jaccard(a: dict[str, Any], b: dict[str, Any]) -> float:
    """Of the channels that two documents' modules keep, the mean over modules."""
    values = []
    for one, other in zip(a["modules"], b["modules"], strict=True):
        pairs = [({(layer, c) for layer in kept for c in kept[layer]}) for kept in (one["kept"], other["kept"])]
        values.append(len(pairs[0] & pairs[1]) / len(pairs[0] | pairs[1]))
    return sum(values) / len(values)
