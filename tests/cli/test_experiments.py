"""scripts/experiments.py on a small network."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

import networks

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "experiments.py"
MODEL = '[model.small]\nfile = "model.pt"\ndata = "data.npz"\n'


class Experiments:
    """The script, in a folder with a model and data."""

    def __init__(self, binary: Path, folder: Path) -> None:
        self.binary, self.folder = binary, folder
        networks.save(networks.mlp(), folder / "model.pt")
        networks.save_data(folder / "data.npz")

    def run(self, text: str) -> "subprocess.CompletedProcess[str]":
        (self.folder / "grid.toml").write_text(text)
        command = [sys.executable, SCRIPT, "grid.toml", "--binary", self.binary, "--jobs", "2", "--out", "out"]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=60)

    def rows(self) -> list[dict[str, str]]:
        with (self.folder / "out" / "table.csv").open(newline="") as file:
            return [*csv.DictReader(file)]


@pytest.fixture
def experiments(binary: Path, tmp_path: Path) -> Experiments:
    return Experiments(binary, tmp_path)


GRID = MODEL + '[[grid]]\noptions = { keep = [0.4, 0.6], repair = ["none", "mean"] }\n'


def test_every_combination_is_a_row(experiments: Experiments) -> None:
    done = experiments.run(GRID)
    assert done.returncode == 0, done.stderr
    rows = experiments.rows()
    expected = [f"--keep {keep} --repair {repair}" for keep in ("0.4", "0.6") for repair in ("none", "mean")]
    assert [(row["model"], row["options"], row["seed"], row["status"]) for row in rows] == [("small", one, "0", "done") for one in expected]
    assert all(float(row["compression"]) > 1 and row["scored"] == "72" for row in rows)
    assert float(rows[0]["loss"]) == pytest.approx(100 * (float(rows[0]["original"]) - float(rows[0]["combined"])), abs=1e-3)
    table = (experiments.folder / "out" / "table.md").read_text().splitlines()
    assert len(table) == 6 and table[2].startswith("| small | `--keep 0.4 --repair none` | 0 |")


def test_what_is_finished_is_not_run_again(experiments: Experiments) -> None:
    first = experiments.run(GRID)
    assert "4 runs of incite, 0 of them in " in first.stderr and first.stderr.count("[runs ") == 4
    table = (experiments.folder / "out" / "table.csv").read_bytes()
    second = experiments.run(GRID)
    assert second.returncode == 0
    assert "4 runs of incite, 4 of them in " in second.stderr and "[runs " not in second.stderr
    assert (experiments.folder / "out" / "table.csv").read_bytes() == table


def test_other_data_is_run_anew(experiments: Experiments) -> None:
    experiments.run(GRID)
    networks.save_data(experiments.folder / "data.npz", seed=1)
    assert "4 runs of incite, 0 of them in " in experiments.run(GRID).stderr


def test_a_grid_s_option_wins_over_the_model_s(experiments: Experiments) -> None:
    done = experiments.run(MODEL + 'options = { keep = 0.6, repair = "none" }\n[[grid]]\nseeds = [0, 1]\noptions = { keep = 0.4 }\n')
    assert done.returncode == 0, done.stderr
    assert [(row["options"], row["seed"]) for row in experiments.rows()] == [("--keep 0.4", "0"), ("--keep 0.4", "1")]


def test_a_run_that_fails_is_told_and_is_not_fatal(experiments: Experiments) -> None:
    done = experiments.run('columns = ["options", "combined", "status"]\n' + MODEL + "[[grid]]\noptions = { keep = [1.5, 0.6] }\n")
    assert done.returncode == 1
    failed, good = experiments.rows()
    message = "status 2: error: --keep: 1.5: expected a share above 0 and up to 1. See 'incite decompose --help'"
    assert failed == {"options": "--keep 1.5", "combined": "", "status": message}
    assert good["status"] == "done"
    assert done.stderr.endswith("1 runs, 1 failed\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[model", "not TOML: Expected ']' at the end of a table declaration (at end of document)"),
        ("", "no models: expected a table [model.NAME] with file and data"),
        ("sizes = 1\n" + MODEL, "the file: unknown 'sizes'; expected columns, model, grid"),
        ('[model.small]\ndata = "data.npz"\n', "model.small: no file"),
        ('[model.small]\nfile = "other.pt"\ndata = "data.npz"\n', "model.small: other.pt: no such file"),
        (MODEL + "[[grid]]\nmodels = ['large']\n", "grid 1.models: 'large': expected some of small"),
        (MODEL + "[[grid]]\noptions = { out = 'here' }\n", "grid 1.options: out can't be set here"),
        (MODEL + "[[grid]]\noptions = { keep = [] }\n", "no runs: a list of options, seeds or models is empty"),
        (MODEL + "[[grid]]\nseeds = 1\n", "grid 1.seeds: 1: expected a list"),
    ],
)
def test_a_mistake_in_the_file_is_told_in_a_line(experiments: Experiments, text: str, message: str) -> None:
    done = experiments.run(text)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"grid.toml: {message}\n")
    assert not (experiments.folder / "out").exists()


def test_a_wrong_column_is_told(experiments: Experiments) -> None:
    done = experiments.run('columns = ["size"]\n' + MODEL)
    assert done.stderr.startswith("grid.toml: columns: 'size': expected some of model, options, seed, ")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
