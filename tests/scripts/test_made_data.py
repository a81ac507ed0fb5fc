"""Data that is made: digits pasted into one image, and shapes; and the measures of the models that are trained on them."""

import numpy as np
import pytest
import torch

from incite_lab.models import measures, pasted_digits, shapes
from incite_lab.models.training import turned


def test_labels_say_which_digits_are_in_the_image() -> None:
    # A digit is a block of its own brightness, so that the image says itself what is in it.
    images = np.arange(10, 20, dtype=np.uint8)[:, None, None].repeat(28, 1).repeat(28, 2)
    made = pasted_digits.pasted(images, np.arange(10), 200, np.random.default_rng(0))
    assert (made["x"].shape, made["x"].dtype, made["y"].shape, made["y"].dtype) == ((200, 1, 48, 48), np.uint8, (200, 10), np.uint8)
    for image, labels in zip(made["x"], made["y"], strict=True):
        seen = set(np.unique(image[image > 0]) - 10)
        assert seen <= set(np.flatnonzero(labels)) and max(np.flatnonzero(labels)) in seen  # the brightest hides others
    assert set(made["y"].sum(1)) == {1, 2, 3}


def test_digits_are_apart() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        first, second, third = pasted_digits.places(3, 20, 20, random)
        for one, other in ((first, second), (first, third), (second, third)):
            assert np.hypot(*(one - other)) >= pasted_digits.APART


def test_made_data_is_the_same_each_time() -> None:
    first, second = (shapes.drawn(5, np.random.default_rng(3)) for _ in range(2))
    assert (first["x"] == second["x"]).all() and (first["y"] == second["y"]).all()
    assert (first["x"].shape, first["x"].dtype, first["y"].shape, first["y"].dtype) == ((5, 3, 64, 64), np.uint8, (5, 64, 64), np.uint8)
    assert first["y"].max() < len(shapes.NAMES)


# By hand, for a radius of 10. circle: π 8.5². square: with the diagonal 20. triangle: 3 √3 / 4 · 10². ring: π (10² − 5.5²).
# cross: two bars of 20 by 6, which share a square of 6 by 6.
@pytest.mark.parametrize(("name", "area"), [("circle", 227.0), ("square", 200.0), ("triangle", 129.9), ("ring", 219.1), ("cross", 204.0)])
@pytest.mark.parametrize("angle", [0.3, 2.0])
def test_shapes_have_their_area(name: str, area: float, angle: float) -> None:
    assert shapes.mask(name, np.array([31.7, 32.1]), 10, angle).sum() == pytest.approx(area, abs=12)


def test_labels_are_turned_with_their_images() -> None:
    torch.manual_seed(0)
    images = torch.arange(18).reshape(2, 1, 3, 3)
    seen = set()
    for _ in range(60):
        x, y = turned(images, images[:, 0])
        assert (x[:, 0] == y).all() and (x[1] == x[0] + 9).all()
        seen.add(tuple(y[0].flatten().tolist()))
    assert len(seen) == 8


def test_average_precision_is_the_mean_precision_at_the_hits() -> None:
    # By hand: hits at ranks 1 and 3: (1/1 + 2/3) / 2.
    assert measures.average_precision(np.array([0.9, 0.5, 0.7, 0.1]), np.array([1, 1, 0, 0])) == pytest.approx(5 / 6)
    # All scores the same: only the whole can be accepted, with a precision of 1/4.
    assert measures.average_precision(np.zeros(4), np.array([0, 1, 0, 0])) == pytest.approx(0.25)
    assert np.isnan(measures.average_precision(np.arange(3.0), np.zeros(3, np.int64)))


def test_mean_average_precision_is_over_columns() -> None:
    scores = np.array([[2.0, 0.0], [1.0, 0.0], [0.0, 0.0]])
    labels = np.array([[1, 1], [0, 0], [0, 0]], np.uint8)
    assert measures.mean_average_precision(scores, labels) == pytest.approx((1 + 1 / 3) / 2)


def test_mean_iou_leaves_out_classes_that_are_nowhere() -> None:
    # By hand: class 0: 2 of 3 pixels; class 1: 1 of 2; class 2 is nowhere.
    counts = measures.confusion(np.array([[0, 0], [1, 1]]), np.array([[0, 0], [0, 1]], np.uint8), 3)
    assert counts.tolist() == [[2, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert measures.mean_iou(counts) == pytest.approx((2 / 3 + 1 / 2) / 2)
