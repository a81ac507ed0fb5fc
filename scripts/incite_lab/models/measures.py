"""Measures of classifiers with several labels and of segmentation, in NumPy."""

import numpy as np


def average_precision(scores: np.ndarray, labels: np.ndarray) -> float:
    """The area under the steps of the precision-recall curve: Σ (R_i − R_(i−1)) P_i over distinct scores, from high to low.

    scores, labels: [N]; labels are 0 or 1. Not a number if no label is 1.
    """
    order = np.argsort(-scores, kind="stable")
    scores, hits = scores[order], np.cumsum(labels[order], dtype=np.int64)
    last = np.append(scores[1:] != scores[:-1], True)  # of samples with the same score, which can only be accepted together
    found, accepted = hits[last], np.flatnonzero(last) + 1
    if found[-1] == 0:
        return float("nan")
    return float((np.diff(found, prepend=0) * found / accepted).sum() / found[-1])


def mean_average_precision(scores: np.ndarray, labels: np.ndarray) -> float:
    """The mean over columns. scores, labels: [N, K]."""
    return float(np.mean([average_precision(own, truth) for own, truth in zip(scores.T, labels.T, strict=True)]))


def confusion(predicted: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """[classes, classes]: pixels by class and predicted class."""
    return np.bincount(labels.ravel().astype(np.int64) * classes + predicted.ravel(), minlength=classes**2).reshape(classes, classes)


def ious(counts: np.ndarray) -> np.ndarray:
    """[classes]: intersection over union, of a confusion matrix. Not a number for classes that are neither there nor predicted."""
    both = np.diag(counts)
    either = counts.sum(0) + counts.sum(1) - both
    return np.where(either > 0, both / np.maximum(either, 1), np.nan)


def mean_iou(counts: np.ndarray) -> float:
    """The mean over the classes that are there or predicted."""
    return float(np.nanmean(ious(counts)))
