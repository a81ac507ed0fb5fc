"""How threads wait, and that they don't change scores."""

import os
import subprocess

import numpy as np
import pytest

from conftest import Cli


@pytest.mark.parametrize(
    ("chosen", "spins"),
    [({}, "0"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "passive"}, "0")],
    ids=["by default", "the user's count", "the user's policy"],
)
def test_threads_wait_asleep_unless_the_user_has_chosen_otherwise(cli: Cli, chosen: dict[str, str], spins: str) -> None:
    names = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
    environment = {name: value for name, value in os.environ.items() if name not in names}
    environment |= {"OMP_DISPLAY_ENV": "verbose", **chosen}
    shown = subprocess.run([cli.binary, "--version"], env=environment, capture_output=True, text=True, check=True)
    if "GOMP_SPINCOUNT" not in shown.stderr:
        pytest.skip("LibTorch's OpenMP is not GCC's, or the program has a sanitizer")
    assert f"GOMP_SPINCOUNT = '{spins}'" in shown.stderr
    assert shown.stdout.startswith("incite ")


def test_scores_are_the_same_bytes_for_any_number_of_threads(good: Cli) -> None:
    scores = []
    for threads in ("1", "2", "3"):
        folder = f"with-{threads}"
        good.done("decompose", "model.pt", "--data", "data.npz", "--threads", threads, "--memory", "64MB", "--keep-scores", "--out", folder)
        with np.load(good.folder / folder / "scores.npz") as archive:
            scores.append({name: archive[name].tobytes() for name in ("sums", "blocks", "samples", "agreement")})
    assert scores[1] == scores[0]
    assert scores[2] == scores[0]
