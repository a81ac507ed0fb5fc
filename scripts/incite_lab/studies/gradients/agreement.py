"""How far two ways of scoring agree: rank correlation of contributions, and overlap of what modules keep."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

Kept = Mapping[str, Sequence[int]]  # channels of a module, by layer


def contributions(file: Path) -> dict[str, np.ndarray]:
    """[clusters, outputs] by group, which is named by its first layer, from a scores.npz.

    The scores must be of a number of samples that is given, so that all groups have the same ones.
    """
    with np.load(file) as scores:
        sums, sizes, taken = scores["sums"], scores["sizes"], scores["taken"]
        names = bytes(scores["layers"]).decode().split("\n")
        first = first_layers(scores["unit_clusters"], scores["channels"], sums.shape[1])
    means = np.einsum("sck,s->ck", sums, sizes / np.maximum(taken, 1) / sizes.sum())
    return {names[layer]: means[first == layer] for layer in np.unique(first)}


def first_layers(unit_clusters: np.ndarray, channels: np.ndarray, clusters: int) -> np.ndarray:
    """[clusters]: the first layer with channels of each cluster's units.

    unit_clusters: [units], below 0 for units without a cluster; channels: rows of unit, layer and channel.
    """
    first = np.full(clusters, np.iinfo(np.int64).max)
    cluster = unit_clusters[channels[:, 0]]
    there = cluster >= 0
    np.minimum.at(first, cluster[there], channels[there, 1])
    return first


def ranks(values: np.ndarray) -> np.ndarray:
    """[N], from 1; equal values share the mean of their ranks."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[places]


def spearman(one: np.ndarray, other: np.ndarray) -> float:
    """The rank correlation of two [N]. Not a number where all values of one are equal."""
    a, b = (each - each.mean() for each in (ranks(one), ranks(other)))
    norm = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / norm) if norm > 0 else float("nan")


def mean_spearman(one: np.ndarray, other: np.ndarray) -> float:
    """The mean over columns of [clusters, outputs], without those that have no correlation."""
    return float(np.nanmean([spearman(a, b) for a, b in zip(one.T, other.T, strict=True)]))


def jaccard(one: Sequence[int], other: Sequence[int]) -> float:
    """The share of what both have, in what one of them has; 1 for two empty sets."""
    either = set(one) | set(other)
    return len(set(one) & set(other)) / len(either) if either else 1.0


def mean_jaccard(one: Sequence[Kept], other: Sequence[Kept], layer: str) -> float:
    """The mean over modules."""
    return float(np.mean([jaccard(a[layer], b[layer]) for a, b in zip(one, other, strict=True)]))
