"""incite-lab experiments on a small network."""

import csv
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import networks

MODEL = '[model.small]\nfile = "model.pt"\ndata = "data.npz"\n'


class Experiments:
    """The command, in a folder with a model and data."""

    def __init__(self, binary: Path, folder: Path) -> None:
        self.binary, self.folder = binary, folder
        networks.save(networks.mlp(), folder / "model.pt")
        networks.save_data(folder / "data.npz")

    def run(self, text: str, *options: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        (self.folder / "grid.toml").write_text(text)
        command = [sys.executable, "-m", "incite_lab", "experiments", "grid.toml", "--binary", self.binary, "--jobs", "2"]
        command += ["--cache", "runs", "--out", "out", *options]
        return subprocess.run(command, cwd=self.folder, env=os.environ | environment, capture_output=True, text=True, timeout=60)

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
    expected = [("small", keep, repair, "0", "done") for keep in ("0.4", "0.6") for repair in ("none", "mean")]
    assert [(row["model"], row["keep"], row["repair"], row["seed"], row["status"]) for row in rows] == expected
    assert all(float(row["compression_ratio"]) > 1 and row["scored_samples"] == "72" for row in rows)
    table = (experiments.folder / "out" / "table.md").read_text().splitlines()
    assert len(table) == 6 and table[2].startswith("| small | 0.4 | none | 0 |")


def test_a_column_has_one_unit_and_one_meaning(experiments: Experiments) -> None:
    networks.save(networks.mlp(outputs=2), experiments.folder / "values.pt")
    x, _ = networks.samples()
    np.savez(experiments.folder / "values.npz", x=x, y=np.stack([x.sum(1), x.max(1)], 1))
    regression = '[model.values]\nfile = "values.pt"\ndata = "values.npz"\n'
    done = experiments.run(MODEL + regression)
    assert done.returncode == 0, done.stderr
    classes, values = experiments.rows()
    assert [*classes] == [
        "model", "seed",
        "original_accuracy_percent", "combined_accuracy_percent", "accuracy_loss_points",
        "original_mean_average_precision_percent", "combined_mean_average_precision_percent", "mean_average_precision_loss_points",
        "original_mean_iou_percent", "combined_mean_iou_percent", "mean_iou_loss_points",
        "original_mae", "combined_mae", "mae_loss_percent",
        "compression_ratio", "overlap_percent", "scored_samples",
        "load_seconds", "analysis_seconds", "clustering_seconds", "scoring_seconds", "modules_seconds", "evaluation_seconds",
        "total_seconds", "status",
    ]  # fmt: skip
    assert (classes["original_mae"], classes["combined_mae"], classes["mae_loss_percent"]) == ("", "", "")
    assert values["original_accuracy_percent"] == values["combined_accuracy_percent"] == values["accuracy_loss_points"] == ""
    lost = float(classes["original_accuracy_percent"]) - float(classes["combined_accuracy_percent"])
    assert 1 < float(classes["combined_accuracy_percent"]) <= 100 and 1 < float(classes["overlap_percent"]) <= 100
    assert float(classes["accuracy_loss_points"]) == pytest.approx(lost, abs=1e-3)
    gained = 100 * (float(values["combined_mae"]) / float(values["original_mae"]) - 1)
    assert float(values["mae_loss_percent"]) == pytest.approx(gained, abs=1e-2)


def test_a_loss_has_the_same_sign_in_the_log_and_in_the_tables(experiments: Experiments) -> None:
    done = experiments.run('columns = ["accuracy_loss_points"]\n' + MODEL)
    expected = f"{float(experiments.rows()[0]['accuracy_loss_points']):+.2f}"
    assert expected != "+0.00" and f", loss {expected} points, " in done.stderr
    assert (experiments.folder / "out" / "table.md").read_text().splitlines()[2] == f"| {expected} |"


def test_options_are_columns_that_are_empty_where_they_are_not_set(experiments: Experiments) -> None:
    text = 'columns = ["options", "model"]\n' + MODEL + 'options = { memory = "1GB" }\n'
    done = experiments.run(text + "[[grid]]\noptions = { keep = 0.5 }\n[[grid]]\noptions = { allocation = 'uniform', tf32 = false }\n")
    assert done.returncode == 0, done.stderr
    assert experiments.rows() == [
        {"memory": "1GB", "keep": "0.5", "allocation": "", "tf32": "", "model": "small"},
        {"memory": "1GB", "keep": "", "allocation": "uniform", "tf32": "false", "model": "small"},
    ]


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
    assert [(row["keep"], row["repair"], row["seed"]) for row in experiments.rows()] == [("0.4", "none", "0"), ("0.4", "none", "1")]


def test_a_run_that_fails_is_told_and_is_not_fatal(experiments: Experiments) -> None:
    columns = 'columns = ["options", "combined_accuracy_percent", "status"]\n'
    done = experiments.run(columns + MODEL + "[[grid]]\noptions = { outputs = ['7', '0,1'] }\n")
    assert done.returncode == 1
    failed, good = experiments.rows()
    message = "status 2: error: --outputs 7: the model has outputs 0 to 2"
    assert failed == {"outputs": "7", "combined_accuracy_percent": "", "status": message}
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
        (MODEL + "[[grid]]\nseeds = [true]\n", "grid 1.seeds: expected whole numbers"),
        (MODEL + "options = { keep = [0.4] }\n", "model.small.options.keep: a list; expected one value. Lists are for grids"),
        (MODEL + "[[grid]]\noptions = { kep = 0.4 }\n", "grid 1, model small: incite decompose has no option 'kep'; did you mean 'keep'?"),
        (
            MODEL + "[[grid]]\n[[grid]]\noptions = { keep = [0.6, 1.5] }\n",
            "grid 2, model small: --keep: 1.5: expected a share above 0 and up to 1. See 'incite decompose --help'",
        ),
        (
            MODEL + "options = { max-loss = 1 }\n[[grid]]\noptions = { keep = 0.4 }\n",
            "grid 1, model small: --keep, --target-compression and --max-loss exclude each other; expected one of them",
        ),
        (
            MODEL + "[[grid]]\noptions = { input-key = ['x', 'images'] }\n",
            "grid 1, model small: data.npz: no array 'images'; it holds x, y",
        ),
        (
            MODEL + 'test = "data.npz"\noptions = { test-target-key = "labels" }\n',
            "grid 1, model small: data.npz: no array 'labels'; it holds x, y",
        ),
        ('[model.small]\nfile = "model.pt"\ndata = "model.pt"\n', "grid 1, model small: model.pt: no array 'x'; it holds none"),
        ('[model.small]\nfile = "model.pt"\ndata = "grid.toml"\n', "grid.toml: can't be read as an .npz archive of NumPy"),
    ],
)
def test_a_mistake_in_the_file_is_told_in_a_line(experiments: Experiments, text: str, message: str) -> None:
    done = experiments.run(text)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"grid.toml: {message}\n")
    assert not (experiments.folder / "out").exists() and not (experiments.folder / "runs").exists()


def test_a_wrong_column_is_told(experiments: Experiments) -> None:
    done = experiments.run('columns = ["size"]\n' + MODEL)
    assert done.stderr.startswith("grid.toml: columns: 'size': expected some of model, options, seed, original_accuracy_percent, ")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="matplotlib is not installed")
def test_plot_draws_a_picture_for_each_model(experiments: Experiments) -> None:
    done = experiments.run(MODEL + "[[grid]]\nseeds = [0, 1]\noptions = { keep = [0.4, 0.6], finetune = [0, 1] }\n", "--plot")
    assert done.returncode == 0, done.stderr
    assert done.stderr.endswith("out/table.csv, out/table.md, out/small.png: 8 runs\n")
    assert (experiments.folder / "out" / "small.png").read_bytes().startswith(b"\x89PNG")


def test_plot_says_how_to_install_matplotlib_before_anything_is_run(experiments: Experiments) -> None:
    (experiments.folder / "matplotlib.py").write_text("raise ModuleNotFoundError(name='matplotlib')\n")
    done = experiments.run(MODEL, "--plot", PYTHONPATH=str(experiments.folder))
    message = f"--plot: matplotlib is not installed; run {sys.executable} -m pip install matplotlib\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", message)
    assert not (experiments.folder / "out").exists()
