"""At 80 columns no line of help or of a table is broken in the middle of a word."""

import os
import pty
import struct
import termios
from fcntl import ioctl
from pathlib import Path

import numpy as np
import pytest

import networks
from conftest import DECOMPOSE, Cli, into
from networks import CLASSES


def shown(cli: Cli, width: int, *arguments: str) -> list[str]:
    """The lines printed to a terminal of this width."""
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    with cli.popen(*arguments, stdout=slave, stderr=slave) as process:
        os.close(slave)
        content = b""
        try:
            while part := os.read(master, 4096):
                content += part
        except OSError:  # Linux's end of a terminal
            pass
        process.wait()
    os.close(master)
    text = content.decode().replace("\r\n", "\n")
    return [line.rpartition("\033[K")[2] for line in text.split("\n")]  # what is left of progress


VERBS = [(), ("inspect",), ("decompose",), ("compose",), ("evaluate",)]


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: " ".join(verb) or "incite")
@pytest.mark.parametrize("width", [60, 80, 100])
def test_help_fits_the_terminal(cli: Cli, verb: tuple[str, ...], width: int) -> None:
    lines = shown(cli, width, *verb, "--help")
    assert max(map(len, lines)) <= width
    whole = " ".join(" ".join(lines).split())
    for sentence in {
        "decompose": ["Measure of a mutant's effect; auto: probability for classification, absolute for regression; random and magnitude"],
        "": ["Measure a decomposition's modules against the original, or a model, module or composition by itself, on data of your choice"],
    }.get(" ".join(verb), []):
        assert sentence in whole


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: " ".join(verb) or "incite")
def test_help_has_80_columns_where_there_is_no_terminal(cli: Cli, verb: tuple[str, ...]) -> None:
    assert max(map(len, cli.done(*verb, "--help").splitlines())) <= 80


def test_help_has_as_many_columns_as_the_variable_says(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert max(map(len, cli.done("decompose", "--help").splitlines())) <= 60


@pytest.fixture
def deep(cli: Cli) -> Cli:
    """Files with long names; 12 classes, one with few test samples."""
    folder = Path("a-folder-with-a-rather-long-name/and-another-one-that-is-in-it")
    (cli.folder / folder).mkdir(parents=True)
    networks.save(networks.mlp(outputs=12), cli.folder / folder / "model.pt")
    x, _ = networks.samples(360)
    np.savez(cli.folder / folder / "data.npz", x=x, y=np.arange(360) % 12)
    os.symlink(folder, cli.folder / "f")
    return cli


def test_tables_fit_80_columns(deep: Cli) -> None:
    folder = os.readlink(deep.folder / "f")
    files = (f"{folder}/model.pt", "--data", f"{folder}/data.npz")
    outputs = {
        "inspect": shown(deep, 80, "inspect", *files),
        "decompose": shown(deep, 80, "decompose", *files, "--out", f"{folder}/modules", "--threads", "1"),
        "one": shown(deep, 80, "decompose", *files, "--out", f"{folder}/one", "--outputs", "3"),
        "some": shown(deep, 80, "decompose", *files, "--out", f"{folder}/some", "--outputs", "3,7"),
        "evaluate": shown(deep, 80, "evaluate", f"{folder}/modules", "--data", f"{folder}/data.npz", "--latency"),
        "model": shown(deep, 80, "evaluate", *files, "--latency"),
        "compose": shown(deep, 80, "compose", f"{folder}/modules", "--out", f"{folder}/combined.pt"),
    }
    for verb, lines in outputs.items():
        long = [line for line in lines if len(line) > 80]
        assert long == [], verb
        assert any(line.startswith("---") for line in lines), verb


def test_names_are_whole_where_there_is_no_terminal(deep: Cli) -> None:
    folder = os.readlink(deep.folder / "f")
    deep.done("decompose", f"{folder}/model.pt", "--data", f"{folder}/data.npz", "--out", f"{folder}/modules", "--quiet")
    assert f"{folder}/modules/module-11.pt" in deep.done("compose", f"{folder}/modules", "--out", "combined.pt")


def test_a_warning_is_broken_between_words(deep: Cli) -> None:
    lines = shown(deep, 80, "decompose", "f/model.pt", "--data", "f/data.npz", "--out", "out", "--outputs", "3")
    assert lines[0].startswith("warning: ") and lines[1].startswith("  ")
    assert "the order of the labels" in " ".join(" ".join(lines).split())


def test_a_regression_of_one_output(good: Cli) -> None:
    x, _ = networks.samples()
    networks.save(networks.mlp(outputs=1), good.folder / "model.pt")
    np.savez(good.folder / "data.npz", x=x, y=x[:, 0])
    lines = good.done(*DECOMPOSE).splitlines()
    assert lines[0].startswith("model.pt: 65 parameters, 1 output (values), scored on ")
    assert not any("overlap" in line for line in lines)
    assert good.done("evaluate", "model.pt", "--data", "data.npz").startswith("model.pt: 1 output (values)\n")
    assert "\nOutputs: 1 (values), from layer '2'\n" in good.done("inspect", "model.pt", "--data", "data.npz")


def test_nothing_is_said_of_the_overlap_of_one_module(good: Cli) -> None:
    assert "overlap" not in good.done(*DECOMPOSE, "--outputs", "1")
    assert "mean overlap of modules" in good.done(*into("two"), "--outputs", "0,1")


def test_the_samples_of_classes_without_modules_are_left_out_and_told(good: Cli) -> None:
    networks.save_data(good.folder / "test.npz", count=90, seed=1)
    start = "Accuracy on 60 of 90 samples, those of classes with modules: original "
    out = good.done(*DECOMPOSE, "--test", "test.npz", "--outputs", "0,2")
    assert [line.startswith(start) for line in out.splitlines() if line.startswith("Accuracy")] == [True]
    out = good.done("evaluate", "out", "--data", "test.npz")
    assert [line.startswith(start) for line in out.splitlines() if line.startswith("Accuracy")] == [True]


def test_the_graph_goes_to_stdout_in_place_of_the_table(good: Cli) -> None:
    text = good.done("inspect", "model.pt", "--data", "data.npz", "--dot", "-")
    assert text.startswith("digraph incite {\n") and text.endswith("}\n")
    assert sorted(path.name for path in good.folder.iterdir()) == ["data.npz", "model.pt"]


def test_the_graph_and_the_document_can_not_both_go_to_stdout(good: Cli) -> None:
    message = "--dot - and --json both write to stdout; expected one of them, or --dot FILE"
    good.refused(2, message, "inspect", "model.pt", "--data", "data.npz", "--dot", "-", "--json")


def test_the_tables_of_a_regression_fit_80_columns(good: Cli) -> None:
    x, _ = networks.samples(300)
    np.savez(good.folder / "data.npz", x=x, y=x[:, :CLASSES])
    for arguments in (DECOMPOSE, ("evaluate", "out", "--data", "data.npz", "--latency"), ("evaluate", "model.pt", "--data", "data.npz")):
        assert max(map(len, shown(good, 80, *arguments))) <= 80
