"""Every option of the program is a keyword."""

import re
from pathlib import Path

import numpy as np
import pytest
from torch import nn

import incite
from incite._words import words_of
from incite_lab import command_line
from incite_lab.pages import options, python_options

Data = tuple[np.ndarray, np.ndarray]


def test_the_keywords_are_what_the_program_says(binary: Path, tmp_path: Path) -> None:
    command_line.main(["python-options", "--binary", str(binary), "--out", str(tmp_path / "options.py")])
    assert (tmp_path / "options.py").read_text() == python_options.FILE.read_text(), "run incite-lab python-options"


@pytest.mark.parametrize("verb", options.VERBS)
def test_no_option_is_left_out(binary: Path, verb: str) -> None:
    flags = set(re.findall(r"^  (?:-\w,)?(--[\w-]+)", "\n".join(options.help_of(binary, verb)), re.M))
    keywords = {f"--{name.replace('_', '-')}" for name in incite._options.KINDS[verb]}
    assert flags > {"--data", "--json", "--threads"}
    assert flags - keywords == {"--data", "--help", "--json", "--json-file", "--out", "--quiet", "--test", "--verbose"} & flags
    assert keywords < flags


def test_values_become_words() -> None:
    given = {
        "target_compression": 5,
        "max_loss": None,
        "force": True,
        "resume": False,
        "outputs": [0, 3, 7],
        "names": ("cat", "dog"),
        "samples": "all",
        "factors": np.array([0, 1.1]),
        "input_scale": np.float64(0.5),
        "seed": -1,
        "scores": Path("scores.npz"),
        "modules": {"digits": range(3), "rest": "5-7"},
    }
    assert words_of("decompose", given) == [
        "--target-compression=5",
        "--force",
        "--outputs=0,3,7",
        "--names=cat,dog",
        "--samples=all",
        "--factors=0.0,1.1",
        "--input-scale=0.5",
        "--seed=-1",
        "--scores=scores.npz",
        "--modules",
        "digits=0,1,2",
        "rest=5-7",
    ]
    assert words_of("compose", {"replace": {"3": "a.pt", "4": Path("b.pt")}}) == ["--replace=3=a.pt", "--replace=4=b.pt"]


def test_an_option_reaches_the_program(model: nn.Module, data: Data) -> None:
    made = incite.decompose(model, *data, keep=0.5, clustering="none", seed=3, outputs=[0, 2], factors=[0, 2], threads=1, head="adam", epochs=2)
    settings = made.document["settings"]
    expected = {"keep": 0.5, "clustering": "none", "seed": 3, "outputs": [0, 2], "factors": [0, 2], "threads": 1, "head": "adam", "epochs": 2}
    assert {name: settings[name] for name in expected} == expected


def test_an_unknown_option(model: nn.Module, data: Data) -> None:
    with pytest.raises(TypeError, match=r"incite.decompose\(\) has no option 'target_compresion'; did you mean 'target_compression'\?"):
        incite.decompose(model, *data, target_compresion=5)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"force": 1}, "force=1: expected True or False"),
        ({"names": ["a,b", "c", "d"]}, "names: 'a,b' holds a comma, which separates names; expected a name without"),
        ({"seed": [1, 2]}, "seed=[1, 2]: expected a number or text"),
        ({"input_key": "x"}, "input_key='x': names arrays of a file, and the samples are in memory; leave it out"),
        ({"keep": 2}, "keep: 2: expected a share above 0 and up to 1"),
    ],
)
def test_a_wrong_value(model: nn.Module, data: Data, options: dict[str, object], message: str) -> None:
    with pytest.raises(incite.Error) as caught:
        incite.decompose(model, *data, **options)  # type: ignore[arg-type]
    assert (caught.value.code, str(caught.value)) == (2, message)
