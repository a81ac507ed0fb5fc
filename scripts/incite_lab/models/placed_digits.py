"""Small digits at one of 36 places of an image of 28 × 28. A label is a place and a digit, so that there are 360."""

import numpy as np

from incite_lab.models.data import Arrays

SIDE = 28
SMALL = 12  # pixels of a digit's side
PLACES = 6  # along each side
CLASSES = 10


def splits(mnist: Arrays) -> Arrays:
    """Each of MNIST's images at one place, drawn at random, and always the same. Labels are 10 · place + digit; places go row by row."""
    random = np.random.default_rng(0)
    placed: Arrays = {}
    for part in ("train", "test"):
        images, digits = mnist[f"x_{part}"], mnist[f"y_{part}"].astype(np.int64)
        places = random.integers(PLACES**2, size=len(images))
        placed |= {f"x_{part}": at_places(halved(images), places), f"y_{part}": CLASSES * places + digits}
    return placed


def halved(images: np.ndarray) -> np.ndarray:
    """uint8 [N, SMALL, SMALL]: the middle of images [N, 28, 28], each pixel the mean of four."""
    margin = (images.shape[1] - 2 * SMALL) // 2
    middle = images[:, margin : margin + 2 * SMALL, margin : margin + 2 * SMALL]
    return middle.reshape(-1, SMALL, 2, SMALL, 2).mean((2, 4)).round().astype(np.uint8)


def at_places(small: np.ndarray, places: np.ndarray) -> np.ndarray:
    """uint8 [N, SIDE, SIDE]."""
    x = np.zeros((len(small), SIDE, SIDE), np.uint8)
    starts = np.linspace(0, SIDE - SMALL, PLACES).round().astype(np.int64)
    for image, digit, place in zip(x, small, places, strict=True):
        top, left = starts[place // PLACES], starts[place % PLACES]
        image[top : top + SMALL, left : left + SMALL] = digit
    return x
