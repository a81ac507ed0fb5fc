"""Names of outputs: --names, and the array names of the data."""

import json

import numpy as np
import pytest
import torch

import networks
from conftest import DECOMPOSE, Cli, into

NAMES = ["cat", "big dog/wolf", "émeu"]


@pytest.fixture
def named(good: Cli) -> Cli:
    x, y = networks.samples()
    np.savez(good.folder / "data.npz", x=x, y=y, names=np.array(NAMES))
    return good


def test_names_of_the_data_are_in_files_tables_and_documents(named: Cli) -> None:
    document = json.loads(named.done(*DECOMPOSE, "--json"))
    files = ["module-0-cat.pt", "module-1-big_dog_wolf.pt", "module-2-émeu.pt"]
    assert [(module["output"], module["name"], module["file"]) for module in document["modules"]] == [
        (output, name, file) for output, (name, file) in enumerate(zip(NAMES, files, strict=True))
    ]
    assert sorted(file.name for file in (named.folder / "out").glob("*.pt")) == sorted(files)
    assert document["settings"]["names"] == ",".join(NAMES)
    assert "1 (big dog/wolf)" in named.done("evaluate", "out", "--data", "data.npz")
    assert "1 (big dog/wolf)" in named.done("evaluate", "out/module-1-big_dog_wolf.pt", "--data", "data.npz")
    identity = json.loads(torch.jit.load(str(named.folder / "out/module-2-émeu.pt")).incite)
    assert (identity["output"], identity["names"]) == (2, ["émeu"])


def test_names_change_nothing_else(named: Cli) -> None:
    named.done(*into("out"))
    x, y = networks.samples()
    np.savez(named.folder / "data.npz", x=x, y=y)
    named.done(*into("plain"))
    for output, name in enumerate(("cat", "big_dog_wolf", "émeu")):
        one, other = (torch.jit.load(str(named.folder / file)).state_dict() for file in (f"out/module-{output}-{name}.pt", f"plain/module-{output}.pt"))
        assert all(torch.equal(one[key], other[key]) for key in other)


def test_columns_of_compositions_have_the_names(named: Cli) -> None:
    named.done(*into("out"))
    document = json.loads(named.done("compose", "out", "--out", "all.pt", "--json"))
    assert [module["key"] for module in document["modules"]][:2] == ["module_cat", "module_big_dog_wolf"]
    assert torch.jit.load(str(named.folder / "all.pt")).names == NAMES
    named.done("compose", "out", "--remove", "cat", "--replace", "émeu=out/module-0-cat.pt", "--out", "two.pt")
    assert torch.jit.load(str(named.folder / "two.pt")).names == NAMES[1:]
    assert "2 (émeu)" in named.done("evaluate", "all.pt", "--data", "data.npz")


def test_names_are_given_by_hand_or_in_a_file(good: Cli) -> None:
    good.done(*DECOMPOSE, "--names", "a,b,c")
    assert (good.folder / "out/module-2-c.pt").exists()
    (good.folder / "names.txt").write_text("first one\nsecond\nthird\n")
    good.done(*DECOMPOSE, "--force", "--names", "names.txt")
    assert sorted(file.name for file in (good.folder / "out").glob("*.pt")) == ["module-0-first_one.pt", "module-1-second.pt", "module-2-third.pt"]


def test_sets_keep_the_names_of_their_outputs(named: Cli) -> None:
    document = json.loads(named.done(*DECOMPOSE, "--json", "--modules", "tame=0,2", "wild=1"))
    assert [(module["name"], module["output_names"]) for module in document["modules"]] == [("tame", ["cat", "émeu"]), ("wild", NAMES[1:2])]
    named.done("compose", "out", "--out", "both.pt")
    assert torch.jit.load(str(named.folder / "both.pt")).names == ["cat", "émeu", "big dog/wolf"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("a,b", "--names: 2 names; expected 3, one for each output of the model"),
        ("a,b,a", "--names a,b,a: 'a' is given twice; expected different names"),
        ("a,,b", "--names a,,b: name 2 is empty; expected some text"),
    ],
)
def test_names_that_do_not_fit_are_refused(good: Cli, names: str, message: str) -> None:
    good.refused(2, message, *DECOMPOSE, "--names", names)


def test_too_few_names_in_the_data_are_refused(good: Cli) -> None:
    x, y = networks.samples()
    np.savez(good.folder / "data.npz", x=x, y=y, names=np.array(NAMES[:2]))
    good.refused(5, "data.npz: array 'names' has 2 texts; expected 3, one for each output of the model. Correct it, or pass --names", *DECOMPOSE)


def test_an_array_of_numbers_with_that_name_is_ignored(good: Cli) -> None:
    x, y = networks.samples()
    np.savez(good.folder / "data.npz", x=x, y=y, names=np.arange(3))
    good.done(*DECOMPOSE)
    assert (good.folder / "out/module-0.pt").exists()
