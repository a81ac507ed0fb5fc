"""What is printed to stdout and stderr; the same seed gives the same result."""

import json
import os
import re
from typing import Any

from conftest import DECOMPOSE, Cli, into, snapshot


def without_timing(cli: Cli, folder: str) -> dict[str, Any]:
    document = json.loads((cli.folder / folder / "decomposition.json").read_text())
    del document["timing"]
    return document


def test_quiet_prints_nothing(good: Cli) -> None:
    assert good.done(*DECOMPOSE, "--quiet") == ""


def test_the_table_has_a_line_a_module(good: Cli) -> None:
    lines = good.done(*DECOMPOSE).splitlines()
    assert lines[0] == "model.pt: 83 parameters, 3 outputs (logits), scored on 72 samples"
    rows = [line for line in lines if line.startswith("module-")]
    assert [row.split()[0] for row in rows] == ["module-0.pt", "module-1.pt", "module-2.pt"]
    for row in rows:
        assert re.fullmatch(r"module-\d.pt +\d+ +\d+\.\d KiB +\d\.\d\dx +\d+\.\d\d % +\d+\.\d\d %", row)
    assert lines[-3].startswith("Accuracy on 18 samples: original ")
    assert lines[-2].startswith("Mean compression ")
    assert lines[-1].startswith("Seconds: load ")


def test_verbose_says_more_on_stderr_and_nothing_else_changes(good: Cli) -> None:
    result = good.run(*DECOMPOSE, "--verbose", "--json")
    assert result.code == 0
    assert result.out == (good.folder / "out/decomposition.json").read_text()
    assert "error" not in result.err
    assert "This takes about" in result.err


def test_progress_names_what_is_trained(good: Cli) -> None:
    def stages(*options: str) -> list[str]:
        errors = good.run(*DECOMPOSE, "--verbose", "--force", *options).err
        return [stage for stage in ("fitting last layers", "fine-tuning") if f"info: {stage}: " in errors]

    assert stages() == ["fitting last layers"]
    assert stages("--finetune", "1") == ["fitting last layers", "fine-tuning"]
    assert stages("--calibration", "none") == []


def test_the_same_seed_gives_the_same_bytes(good: Cli) -> None:
    options = ("--memory", "256MB", "--seed", "7", "--cluster-size", "2")
    good.done(*into("one"), *options)
    good.done(*into("two"), *options)
    one, two = snapshot(good.folder / "one"), snapshot(good.folder / "two")
    del one["decomposition.json"], two["decomposition.json"]
    assert one == two
    assert without_timing(good, "one") == without_timing(good, "two")


def test_another_seed_gives_another_split(good: Cli) -> None:
    good.done(*into("one"), "--seed", "1")
    good.done(*into("two"), "--seed", "2")
    assert snapshot(good.folder / "one") != snapshot(good.folder / "two")
    assert without_timing(good, "one")["settings"]["seed"] == 1


def test_a_file_name_that_is_no_utf8_does_no_harm(good: Cli) -> None:
    name = os.fsdecode(b"model-\xff.pt")
    (good.folder / "model.pt").rename(good.folder / name)
    document = json.loads(good.done("decompose", name, *DECOMPOSE[2:], "--json"))
    assert document["model"]["file"] == "model-\ufffd.pt"


def test_a_line_break_in_a_file_name_does_not_break_the_error(good: Cli) -> None:
    good.refused(3, "no such.pt: no such file", "decompose", "no\nsuch.pt", *DECOMPOSE[2:])
