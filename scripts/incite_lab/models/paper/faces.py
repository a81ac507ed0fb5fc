"""Stand-in for WIDER FACE: small faces pasted into textured grey images, with the box that each fills."""

import io

import numpy as np
import torch
from torch.nn import functional

from incite_lab.models.data import Arrays, from_pypi

SIDE = 56
SIZES = (14, 40)  # of a face, in pixels
FACES = 100  # the file's first images; the others show no face
TEST_FACES = 15  # of them, that are in test images alone
TRAIN, TEST = 20_000, 2_000
SEED = 1


def fetch() -> Arrays:
    faces = np.load(io.BytesIO(from_pypi("scikit-image", "skimage/data/lfw_subset.npy")))[:FACES]
    return arrays(faces, TRAIN, TEST)


def arrays(faces: np.ndarray, train: int, test: int) -> Arrays:
    random = np.random.default_rng(SEED)
    faces = faces[random.permutation(len(faces))].astype(np.float32)
    x_train, y_train = paste(faces[TEST_FACES:], train, random)
    x_test, y_test = paste(faces[:TEST_FACES], test, random)
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


def paste(faces: np.ndarray, count: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [count, SIDE, SIDE] of faces [N, h, w] in [0, 1]; boxes float32 [count, 4]: left, top, width, height, over SIDE."""
    images = np.empty((count, SIDE, SIDE), np.uint8)
    boxes = np.empty((count, 4), np.float32)
    for i in range(count):
        size = int(random.integers(SIZES[0], SIZES[1] + 1))
        left, top = (int(v) for v in random.integers(0, SIDE - size + 1, 2))
        face = resized(faces[random.integers(len(faces))], size)
        image = texture(random)
        image[top : top + size, left : left + size] = face[:, ::-1] if random.random() < 0.5 else face
        images[i] = (255 * image).round()
        boxes[i] = np.array([left, top, size, size]) / SIDE
    return images, boxes


def texture(random: np.random.Generator) -> np.ndarray:
    """Noise in [0, 1] of several grains, [SIDE, SIDE]."""
    image = sum(resized(random.random((grain, grain), np.float32), SIDE) / grain**0.5 for grain in (3, 7, 14, 28))
    assert isinstance(image, np.ndarray)
    return (image - image.min()) / (image.max() - image.min())


def resized(image: np.ndarray, side: int) -> np.ndarray:
    given = torch.from_numpy(np.ascontiguousarray(image))[None, None]
    return functional.interpolate(given, size=(side, side), mode="bilinear")[0, 0].clamp(0, 1).numpy()
