"""Images of several digits: one to three of MNIST's, pasted at random places. A label says whether a digit is in the image."""

import numpy as np

from incite_lab.models.data import Arrays

SIDE = 48
MOST = 3  # digits in an image
APART = 10  # least distance of their centres, in pixels: they overlap, but no digit hides another
TRAIN, TEST = 30_000, 5_000
CLASSES = 10


def splits(mnist: Arrays) -> dict[str, Arrays]:
    """train and test, made from MNIST's training and test images; always the same. x: uint8 [N, 1, 48, 48]; y: uint8 [N, 10], 0 or 1."""
    random = np.random.default_rng(0)
    return {part: pasted(mnist[f"x_{part}"], mnist[f"y_{part}"], count, random) for part, count in (("train", TRAIN), ("test", TEST))}


def pasted(images: np.ndarray, labels: np.ndarray, count: int, random: np.random.Generator) -> Arrays:
    """`images`: uint8 [M, H, W]. Where digits overlap, the brighter pixel counts."""
    height, width = images.shape[1:]
    x = np.zeros((count, 1, SIDE, SIDE), np.uint8)
    y = np.zeros((count, CLASSES), np.uint8)
    for image, present in zip(x[:, 0], y, strict=True):
        rows = random.integers(len(images), size=random.integers(1, MOST + 1))
        for row, (top, left) in zip(rows, places(len(rows), SIDE - height, SIDE - width, random), strict=True):
            part = image[top : top + height, left : left + width]
            np.maximum(part, images[row], out=part)
            present[labels[row]] = 1
    return {"x": x, "y": y}


def places(count: int, down: int, right: int, random: np.random.Generator) -> np.ndarray:
    """[count, 2]: whole numbers up to `down` and `right`, any two of them at least APART pixels apart."""
    while True:
        found = np.stack([random.integers(down + 1, size=count), random.integers(right + 1, size=count)], 1)
        apart = np.linalg.norm(found[:, None] - found, axis=2)
        if (apart[np.triu_indices(count, 1)] >= APART).all():
            return found
