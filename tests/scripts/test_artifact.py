"""incite-lab artifact but for decomposing: heads by regression, and what the page says in short."""

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from incite_lab.studies.artifact import artifact, modules, page, ways


def test_regression_finds_the_feature_that_tells_a_class_whatever_its_scale() -> None:
    torch.manual_seed(0)
    own = torch.arange(400) % 2
    x = torch.randn(400, 3) * torch.tensor([1.0, 100.0, 0.01]) + torch.tensor([0.0, 500.0, 0.0])
    x[:, 2] += 0.03 * own  # three deviations
    head = modules.regressed(x, own)
    predicted = x @ head[:-1] + head[-1] > 0
    assert (predicted == own.bool()).double().mean() > 0.9
    influence = (head[:-1] * x.std(0)).abs()
    assert influence[2] > 5 * influence[:2].max()


def row(data: str, epochs: int, images: int, given: int, incite: float, norm: float) -> dict[str, Any]:
    losses = {way: [1.0, 2.0] for way in ways.WAYS} | {"norm": [norm]}
    amounts = {"epochs": epochs, "images": images, "given": given, "options": ""}
    results = {"incite": incite, "compression": 2.0, "losses": losses}
    return {"subject": f"lenet5-{data}", "title": "LeNet-5", "data": data, **amounts, **results}


def test_rows_that_differ_in_one_thing_are_compared() -> None:
    rows = [
        row("A", 15, 60_000, 60_000, 0.25, 1.5),
        row("A", 5, 60_000, 60_000, 0.4, 1.5) | {"compression": 1.5},
        row("A", 15, 60_000, 3_000, 1.0, 1.5),
        row("A", 15, 3_000, 3_000, 2.0, 1.5),
        row("B", 5, 3_000, 3_000, 9.0, 11.5),
        row("B", 5, 3_000, 3_000, 8.0, 1.5) | {"options": "--metric probability"},
        row("C", 5, 3_000, 3_000, 9.0, 99.0) | {"losses": {}},  # of --incite-only
    ]
    given, images, epochs, options, mistakes = page.findings(rows)
    assert given == "- Images to decompose with. LeNet-5 on A: +1.00 at 2.00x with 3,000, +0.25 at 2.00x with 60,000."
    same = "LeNet-5 on A: +2.00 at 2.00x with 3,000, +0.25 at 2.00x with 60,000"
    assert images == f"- Images to train on and to decompose with. {same}."
    assert epochs == "- Epochs of the original's training. LeNet-5 on A: +0.40 at 1.50x with 5, +0.25 at 2.00x with 15."
    by_metric = "LeNet-5 on B: +9.00 at 2.00x with none, +8.00 at 2.00x with `--metric probability`"
    assert options == f"- Further options of Incite. {by_metric}."
    assert "flatten +0.00, norm +0.00 to +10.00 (LeNet-5 on B)," in mistakes


def test_groups_of_one_subject_are_told_apart_by_what_they_differ_in() -> None:
    sized = {"options": "--keep 0.5"}
    rows = [row("A", epochs, 500, 500, epochs / 10, 1.5) | more for epochs in (3, 9) for more in ({}, sized)]
    *_, epochs, options, _ = page.findings(rows)
    assert "LeNet-5 on A, options none: +0.30 at 2.00x with 3, +0.90 at 2.00x with 9;" in epochs
    assert "LeNet-5 on A, options `--keep 0.5`: +0.30" in epochs
    assert "LeNet-5 on A, epochs 9: +0.90 at 2.00x with none, +0.90 at 2.00x with `--keep 0.5`" in options


def test_nothing_is_compared_where_nothing_differs_in_one_thing() -> None:
    rows = [row("A", 15, 60_000, 60_000, 0.25, 1.5), row("A", 5, 8_000, 3_000, 1.0, 1.5)]
    *amounts, mistakes = page.findings([each | {"losses": {}} for each in rows])
    assert [each.split(". ")[1] for each in amounts] == ["not measured."] * 4
    assert "norm not measured," in mistakes


def test_a_row_takes_the_place_of_its_own_and_leaves_those_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "FILE", tmp_path / "artifact.json")
    amounts = 60_000, 3_000
    shown = {"original": 0.9, "compression": 2.0, "overlap": 0.7}
    for each in (row("mnist", 15, *amounts, 1.0, 1.5), row("fmnist", 15, *amounts, 1.0, 1.5), row("mnist", 15, *amounts, 2.0, 1.5)):
        page.add(each | shown)
    found = [(each["data"], each["incite"]) for each in json.loads(page.FILE.read_text())["rows"]]
    assert found == [("mnist", 2.0), ("fmnist", 1.0)]
    assert "+2.00" in (tmp_path / "artifact.md").read_text()


def test_an_option_that_is_given_again_is_given_once() -> None:
    parser = argparse.ArgumentParser()
    artifact.add_arguments(parser)
    assert parser.parse_args(["--options", "", "--samples 256"]).options == ["", "--samples 256"]
    usual = ["--samples", "64", "--memory", "2GB", "--preset", "paper"]
    assert artifact.given_once(usual, []) == tuple(usual)
    assert artifact.given_once(usual, ["--samples", "256"]) == ("--memory", "2GB", "--preset", "paper", "--samples", "256")
