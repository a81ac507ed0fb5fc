"""Data files that can't be read (exit code 4) and data that does not fit the model or the task (5)."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import networks
from conftest import DECOMPOSE, Cli
from networks import CLASSES, FEATURES

WithData = Callable[..., Cli]


def replaced(values: np.ndarray, at: Any, value: float) -> np.ndarray:
    changed = values.copy()
    changed[at] = value
    return changed


# ---- Files ----------------------------------------------------------------------------------------------------------


def test_a_missing_data_file(good: Cli) -> None:
    (good.folder / "data.npz").unlink()
    good.refused(4, "data.npz: no such file; expected an .npz archive. Check the path.", *DECOMPOSE)


def test_a_folder_in_place_of_data(good: Cli) -> None:
    (good.folder / "data.npz").unlink()
    (good.folder / "data.npz").mkdir()
    good.refused(4, "data.npz: a folder; expected an .npz archive. Check the path.", *DECOMPOSE)


@pytest.mark.parametrize("content", [b"", b"1,2,3\n4,5,6\n"], ids=["empty", "text"])
def test_a_file_that_is_no_archive(good: Cli, content: bytes) -> None:
    (good.folder / "data.npz").write_bytes(content)
    good.refused(4, ("data.npz: not an .npz archive (", "Save the arrays with numpy.savez."), *DECOMPOSE)


def test_a_single_array(good: Cli) -> None:
    np.save(good.folder / "data.npy", networks.samples()[0])
    (good.folder / "data.npy").rename(good.folder / "data.npz")
    good.refused(4, "data.npz: a single .npy array; expected an .npz archive. Save it with numpy.savez.", *DECOMPOSE)


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_truncated_archive(good: Cli, share: float) -> None:
    file = good.folder / "data.npz"
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    good.refused(4, ("data.npz: a damaged or truncated .npz archive (", "Save or copy it again."), *DECOMPOSE)


def test_an_archive_with_a_changed_byte(good: Cli) -> None:
    file = good.folder / "data.npz"
    content = bytearray(file.read_bytes())
    content[400] ^= 1  # in the data of the first array, which begins within the first 200 bytes
    file.write_bytes(content)
    good.refused(4, ("data.npz: array 'x': damaged (", "CRC"), *DECOMPOSE)


# ---- Arrays ---------------------------------------------------------------------------------------------------------


def test_a_missing_input_key_lists_those_there_are(with_data: WithData) -> None:
    x, y = networks.samples()
    cli = with_data(images=x, labels=y)
    cli.refused(4, "data.npz: no array 'x'; it holds: images, labels. Pass --input-key.", *DECOMPOSE)


def test_a_missing_target_key_that_was_asked_for(good: Cli) -> None:
    good.refused(4, "data.npz: no array 'z'; it holds: x, y. Pass --target-key.", *DECOMPOSE, "--target-key", "z")


def test_an_archive_without_arrays(with_data: WithData) -> None:
    with_data().refused(4, "data.npz: no array 'x'; it holds: none. Pass --input-key.", *DECOMPOSE)


@pytest.mark.parametrize(
    ("array", "held"),
    [
        (np.array([None, 1], dtype=object), "Python objects (type '|O')"),
        (np.array(["a", "b"]), "text (type '<U1')"),
        (np.array([1j, 2j]), "complex numbers (type '<c16')"),
    ],
    ids=["objects", "text", "complex"],
)
def test_arrays_of_other_types(with_data: WithData, array: np.ndarray, held: str) -> None:
    message = (
        f"data.npz: array 'x': holds {held}; expected booleans, integers, or floats of 16, 32 or 64 bits. "
        "Convert the array."
    )
    with_data(x=array, y=np.array([0, 1])).refused(4, message, *DECOMPOSE)


# ---- Shapes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "shown"),
    [((30, FEATURES + 1), "[N, 7]"), ((30, 2, 5), "[N, 2, 5]"), ((30,), "[N]")],
    ids=["another width", "another rank", "no features"],
)
def test_samples_of_another_shape_than_the_model_takes(with_data: WithData, shape: tuple[int, ...], shown: str) -> None:
    cli = with_data(x=np.zeros(shape, np.float32), y=np.arange(30) % CLASSES)
    phrases = (f"model.pt: does not take inputs of shape {shown}: ", "Give the shape of one sample with --input-shape")
    cli.refused(5, phrases, *DECOMPOSE)


def test_a_wrong_width_is_said_beside_the_models_own(with_data: WithData) -> None:
    cli = with_data(x=np.zeros((30, 7), np.float32), y=np.arange(30) % CLASSES)
    cli.refused(5, ("[N, 7]", "x7 and 6x8"), *DECOMPOSE)


def test_an_input_shape_of_another_size(good: Cli) -> None:
    message = (
        "data.npz: array 'x': each sample has shape [6], 6 elements; expected as many as in [2, 4]. "
        "Change the input shape."
    )
    good.refused(5, message, *DECOMPOSE, "--input-shape", "2,4")


def test_data_without_samples(with_data: WithData) -> None:
    cli = with_data(x=np.zeros((0, FEATURES), np.float32), y=np.zeros(0, np.int64))
    cli.refused(
        5,
        "data.npz: array 'x': shape [0, 6] holds no samples; expected [N, ...] with N at least 1. Fill the array.",
        *DECOMPOSE,
    )


def test_fewer_targets_than_samples(with_data: WithData) -> None:
    x, y = networks.samples()
    cli = with_data(x=x, y=y[:-1])
    cli.refused(
        5, "data.npz: array 'y': 89 samples; expected 90, as in array 'x'. Give each sample its target.", *DECOMPOSE
    )


def test_targets_of_three_dimensions(with_data: WithData) -> None:
    x, y = networks.samples()
    cli = with_data(x=x, y=y.reshape(-1, 1, 1))
    cli.refused(
        5,
        "data.npz: array 'y': shape [90, 1, 1]; expected [N] or [N, K]. Pass --target-key for another array.",
        *DECOMPOSE,
    )


def test_a_single_sample(with_data: WithData) -> None:
    x, y = networks.samples(1)
    message = "data.npz: 1 samples are too few to hold some out for evaluation; give more, or pass --test"
    with_data(x=x, y=y).refused(5, message, *DECOMPOSE)


# ---- Values ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "shown"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf")])
def test_inputs_that_are_not_finite(with_data: WithData, value: float, shown: str) -> None:
    x, y = networks.samples()
    message = (
        f"data.npz: array 'x': sample 17 holds {shown}; expected finite values in float32's range. Remove or correct it."
    )
    with_data(x=replaced(x, (17, 2), value), y=y).refused(5, message, *DECOMPOSE)


def test_regression_targets_that_are_not_finite(with_data: WithData) -> None:
    x, _ = networks.samples()
    y = replaced(np.zeros((90, CLASSES)), (4, 1), np.nan)
    message = "data.npz: array 'y': sample 4 holds nan; expected finite values in float32's range. Remove or correct it."
    with_data(x=x, y=y).refused(5, message, *DECOMPOSE)


@pytest.mark.parametrize("label", [-1, CLASSES])
def test_a_label_out_of_range(with_data: WithData, label: int) -> None:
    x, y = networks.samples()
    message = (
        f"data.npz: array 'y': sample 5 has label {label}; expected 0 to 2, a class for each of the model's outputs. "
        "Renumber the labels."
    )
    with_data(x=x, y=replaced(y, 5, label)).refused(5, message, *DECOMPOSE)


def test_fractional_labels_for_classification(with_data: WithData) -> None:
    x, y = networks.samples()
    message = "data.npz: array 'y': sample 5 has label 0.5; expected whole numbers. Choose regression for such targets."
    cli = with_data(x=x, y=replaced(y.astype(float), 5, 0.5))
    cli.refused(5, message, *DECOMPOSE, "--task", "classification")


def test_a_row_that_is_not_one_hot(with_data: WithData) -> None:
    x, y = networks.samples()
    message = (
        "data.npz: array 'y': sample 3 is not one-hot; expected one 1 and otherwise 0. Choose regression for such targets."
    )
    cli = with_data(x=x, y=replaced(np.eye(CLASSES)[y], 3, 1.0))
    cli.refused(5, message, *DECOMPOSE, "--task", "classification")


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_more_target_columns_than_outputs(with_data: WithData, task: str) -> None:
    x, y = networks.samples()
    message = "data.npz: array 'y': 4 columns; expected 3, one for each of the model's outputs. Check the array."
    with_data(x=x, y=np.eye(4)[y]).refused(5, message, *DECOMPOSE, "--task", task)


# ---- Classes --------------------------------------------------------------------------------------------------------


def test_no_sample_of_a_class_whose_module_is_asked_for(with_data: WithData) -> None:
    x, y = networks.samples()
    message = "data.npz: no sample of class 2, so it can't get a module; add some, or pass --outputs present to leave it out"
    with_data(x=x[y != 2], y=y[y != 2]).refused(5, message, *DECOMPOSE)


def test_samples_of_one_class_only(with_data: WithData) -> None:
    x, y = networks.samples()
    message = "data.npz: all samples are of class 1; a module needs samples of other classes too"
    with_data(x=x[y == 1], y=y[y == 1]).refused(5, message, *DECOMPOSE, "--outputs", "1")


def test_one_output_for_three_classes(good: Cli) -> None:
    networks.save(networks.mlp(outputs=1), good.folder / "model.pt")
    message = (
        "data.npz: array 'y': sample 2 has 2. A model with one output tells class 1 from class 0: label samples 0 or 1, or "
        "pass --task regression if these are values"
    )
    good.refused(5, message, *DECOMPOSE)


def test_no_targets_and_a_model_whose_outputs_do_not_say_what_they_are(with_data: WithData) -> None:
    message = (
        "data.npz: no target 'y', and the model's outputs do not show its task; pass --target-key, or --task "
        "classification, multilabel or regression"
    )
    with_data(x=networks.samples()[0]).refused(5, message, *DECOMPOSE)


def test_a_model_that_gives_nan(good: Cli) -> None:
    model = networks.mlp()
    with torch.no_grad():
        model[0].bias[0] = float("nan")
    networks.save(model, good.folder / "model.pt")
    message = "model.pt: its output on the first samples has NaN or infinite values; check the model and --input-scale"
    good.refused(5, message, *DECOMPOSE)


# ---- Test data ------------------------------------------------------------------------------------------------------


def test_a_missing_test_file(good: Cli) -> None:
    message = "test.npz: no such file; expected an .npz archive. Check the path."
    good.refused(4, message, *DECOMPOSE, "--test", "test.npz")


def test_test_samples_of_another_shape(good: Cli) -> None:
    np.savez(good.folder / "test.npz", x=np.zeros((9, 7), np.float32), y=np.arange(9) % CLASSES)
    good.refused(5, "test.npz: samples of shape [7]; expected [6], as in data.npz", *DECOMPOSE, "--test", "test.npz")


def test_test_labels_out_of_range(good: Cli) -> None:
    x, y = networks.samples(9)
    np.savez(good.folder / "test.npz", x=x, y=y + 1)
    good.refused(5, ("test.npz: array 'y': sample 2 has label 3; expected 0 to 2",), *DECOMPOSE, "--test", "test.npz")


def test_test_data_without_targets_where_the_data_has_them(good: Cli) -> None:
    np.savez(good.folder / "test.npz", x=networks.samples(9)[0])
    good.refused(4, ("test.npz: no array 'y'; it holds: x.",), *DECOMPOSE, "--test", "test.npz")
