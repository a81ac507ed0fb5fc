"""Fixtures of the Python package's tests: the package of this tree, with the program that is tested."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from torch import nn

import incite
import networks


@pytest.fixture(scope="session", autouse=True)
def program(binary: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INCITE_PROGRAM", str(binary))
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="session")
def data() -> tuple[np.ndarray, np.ndarray]:
    return networks.samples(300)


@pytest.fixture(scope="session")
def model(data: tuple[np.ndarray, np.ndarray]) -> nn.Module:
    """A trained classifier of three classes. Tests must not change it."""
    made = networks.mlp()
    networks.train(made, *data)
    return made


@pytest.fixture(scope="session")
def result(model: nn.Module, data: tuple[np.ndarray, np.ndarray]) -> incite.Decomposition:
    """One decomposition for many tests. Tests must not change it."""
    return incite.decompose(model, *data, target_compression=1.5, names=["cat", "dog", "cow"])
