"""Images of shapes that hide parts of each other, on textured noise. The label of a pixel is the shape that is seen there."""

import numpy as np

from incite_lab.models.data import Arrays

SIDE = 64
TRAIN, TEST = 4_000, 1_000
NAMES = ("background", "circle", "square", "triangle", "ring", "cross")
SHAPES = (3, 7)  # least and most in an image
SIZES = (7.0, 15.0)  # least and largest radius of the circle around a shape, in pixels
NOISE = 22.0  # deviation of each pixel and channel, of 255
CONTRAST = 45.0  # least difference of a shape's mean colour from what it covers: the length of a vector of three channels


def splits() -> dict[str, Arrays]:
    """train and test, always the same. x: uint8 [N, 3, 64, 64]; y: uint8 [N, 64, 64], places in NAMES."""
    random = np.random.default_rng(0)
    return {part: drawn(count, random) for part, count in (("train", TRAIN), ("test", TEST))}


def drawn(count: int, random: np.random.Generator) -> Arrays:
    pairs = [picture(random) for _ in range(count)]
    return {"x": np.stack([image for image, _ in pairs]), "y": np.stack([labels for _, labels in pairs])}


def picture(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """uint8 [3, 64, 64] and uint8 [64, 64]."""
    image, labels = textured(random.uniform(40, 215, 3), random), np.zeros((SIDE, SIDE), np.uint8)
    for _ in range(random.integers(SHAPES[0], SHAPES[1] + 1)):
        shape = int(random.integers(1, len(NAMES)))
        inside = mask(NAMES[shape], random.uniform(4, SIDE - 4, 2), random.uniform(*SIZES), random.uniform(0, 2 * np.pi))
        if not inside.any():
            continue
        covered = image[:, inside].mean(1)
        colour = covered
        while np.linalg.norm(colour - covered) < CONTRAST:
            colour = random.uniform(40, 215, 3)
        image[:, inside] = textured(colour, random)[:, inside]
        labels[inside] = shape
    image += random.normal(0, NOISE, image.shape)
    return image.clip(0, 255).round().astype(np.uint8), labels


def textured(colour: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """[3, 64, 64]: the colour, brighter and darker in patches."""
    grid = random.normal(0, 18, (9, 9))
    at = np.linspace(0, 8, SIDE)
    down = np.stack([np.interp(at, range(9), column) for column in grid.T], 1)
    return colour[:, None, None] + np.stack([np.interp(at, range(9), row) for row in down])


def mask(name: str, centre: np.ndarray, radius: float, angle: float) -> np.ndarray:
    """bool [64, 64]: the pixels inside the shape, which is turned by the angle (in radians)."""
    down, right = np.mgrid[:SIDE, :SIDE] - centre[:, None, None]
    distance = np.hypot(down, right)
    across = np.cos(angle) * right + np.sin(angle) * down
    along = np.cos(angle) * down - np.sin(angle) * right
    wider, narrower = np.maximum(abs(across), abs(along)), np.minimum(abs(across), abs(along))
    match name:
        case "circle":
            return distance <= 0.85 * radius
        case "square":
            return wider <= radius / np.sqrt(2)
        case "triangle":
            return np.maximum(along, abs(across) * np.sqrt(0.75) - along / 2) <= radius / 2
        case "ring":
            return (distance <= radius) & (distance >= 0.55 * radius)
        case "cross":
            return (wider <= radius) & (narrower <= 0.3 * radius)
    raise ValueError(f"{name}: expected one of {', '.join(NAMES[1:])}")
