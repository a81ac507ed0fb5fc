"""Fixtures of the tests of the program and of the scripts."""

import os
from pathlib import Path

import pytest
import torch


def pytest_configure() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def binary() -> Path:
    name = os.environ.get("INCITE_BINARY", "")
    if not name:
        pytest.fail("set INCITE_BINARY to the program to test, such as build/dev/incite", pytrace=False)
    path = Path(name).resolve()
    if not os.access(path, os.X_OK):
        pytest.fail(f"INCITE_BINARY: {path} can't be run", pytrace=False)
    return path
