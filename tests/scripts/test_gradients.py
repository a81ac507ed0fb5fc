"""incite-lab gradients but for decomposing: how far scores agree, what a record needs for it, and the page."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from incite_lab.models import placed_digits
from incite_lab.run import record
from incite_lab.run.program import Run
from incite_lab.studies.gradients import agreement, gradients, page


def test_equal_values_share_the_mean_of_their_ranks() -> None:
    assert agreement.ranks(np.array([30.0, 10.0, 20.0, 20.0])).tolist() == [4.0, 1.0, 2.5, 2.5]


def test_spearman_is_pearson_of_the_ranks() -> None:
    # By hand, without ties: 1 − 6 Σ d² / (n (n² − 1)), with d = 0, 1, −1, 0.
    assert agreement.spearman(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 30.0, 20.0, 400.0])) == pytest.approx(0.8)
    assert agreement.spearman(np.array([1.0, 2.0, 3.0]), np.array([9.0, 4.0, 1.0])) == pytest.approx(-1)
    # By hand, with ties: ranks 1, 2.5, 2.5, 4 and 1, 2, 3, 4.
    assert agreement.spearman(np.array([1.0, 2.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0, 4.0])) == pytest.approx(4.5 / np.sqrt(4.5 * 5))


def test_outputs_without_a_correlation_are_left_out_of_the_mean() -> None:
    one = np.array([[1.0, 7.0, 1.0], [2.0, 7.0, 2.0], [3.0, 7.0, 3.0]])
    other = np.array([[1.0, 1.0, 3.0], [2.0, 2.0, 2.0], [3.0, 3.0, 1.0]])
    assert agreement.mean_spearman(one[:, :2], other[:, :2]) == pytest.approx(1)
    assert agreement.mean_spearman(one, other) == pytest.approx(0)


def test_jaccard_is_the_share_of_both_in_either() -> None:
    assert agreement.jaccard([0, 1, 2], [1, 2, 3, 4]) == pytest.approx(2 / 5)
    assert agreement.jaccard([], []) == 1
    first, second = [{"fc": [0, 1]}, {"fc": [2]}], [{"fc": [0, 1]}, {"fc": [3]}]
    assert agreement.mean_jaccard(first, second, "fc") == pytest.approx(0.5)


def test_contributions_are_means_over_strata_by_group(tmp_path: Path) -> None:
    # Units 0 to 2 are of conv, unit 3 is of fc, unit 4 has no cluster; conv's units have channels in proj too. Units 1 and 2 are one cluster.
    file = tmp_path / "scores.npz"
    np.savez(
        file,
        sums=np.array([[[2.0], [4.0], [6.0]], [[30.0], [0.0], [60.0]]]),
        sizes=np.array([60, 20]),
        taken=np.array([2, 10]),
        layers=np.frombuffer(b"conv\nproj\nfc", np.uint8),
        unit_clusters=np.array([0, 1, 1, 2, -1]),
        channels=np.array([[0, 0, 0], [1, 0, 1], [2, 0, 2], [0, 1, 0], [1, 1, 1], [2, 1, 2], [3, 2, 0], [4, 2, 1]]),
    )
    found = agreement.contributions(file)
    # By hand: 60/80 · 2/2 + 20/80 · 30/10, and so on.
    assert {layer: values.tolist() for layer, values in found.items()} == {"conv": [[1.5], [1.5]], "fc": [[3.75]]}


def test_details_are_what_modules_keep_and_what_was_computed() -> None:
    document = {"modules": [{"kept": {"fc": [0, 3]}}], "data": {"fit_samples": 7}, "scoring": {"multiply_adds": 12.0}}
    found = record.details(Run(document, peak_mib=1.0, cpu_seconds=2.5))
    assert found == {"kept": [{"fc": [0, 3]}], "fit": 7, "multiply_adds": 12.0, "cpu_seconds": 2.5}


def test_modules_of_both_sizes_come_from_the_same_scores() -> None:
    subject = gradients.Subject("small", "Small", Path(), ("", ""), (), Path(), Path(), False, True)
    first, second = (gradients.job(subject, gradients.Plan(), "exact", 1, target) for target in ("5", "10"))
    assert first.keep_scores and first.scores is None
    assert second.scores == first and not second.keep_scores
    assert ("--scoring", "mutation") in zip(second.options, second.options[1:], strict=False)


def one(losses: dict[str, list[float]], kind: str = "accuracy") -> dict[str, Any]:
    """A network of which both ways and both seeds score the same. losses: in points, by way and size, and by seed."""

    def run(way: str, seed: int, target: str) -> dict[str, Any]:
        return {
            "kind": kind, "original": 0.9, "combined": 0.9 - losses[f"{way} {target}"][seed] / 100, "compression": 5.0, "overlap": 0.5,
            "original_parameters": 100, "parameters": [20, 20], "fit": 60, "scored": 50, "timing": {"scoring": 1.0},
            "kept": [{"fc": [0, 1]}, {"fc": [1, 2] if way == "exact" else [1, 3]}], "multiply_adds": 8e9, "cpu_seconds": 9.0,
        }  # fmt: skip

    plan = gradients.Plan()
    records = {(way, seed, target): run(way, seed, target) for way in gradients.WAYS for seed in (0, 1) for target in plan.targets}
    scores = {(way, seed): {"fc": np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])} for way in gradients.WAYS for seed in (0, 1)}
    return gradients.measured("Small", plan, [0, 1], records, scores)


LOSSES = {"exact 5": [0.5, 0.7], "gradient 5": [0.4, 0.7], "exact 10": [1.0, 1.0], "gradient 10": [1.4, 1.2]}


def test_a_network_has_its_agreement_by_group_and_its_losses_by_size() -> None:
    found = one(LOSSES)
    # By hand: the first modules keep the same two channels, the others one of three.
    assert found["groups"] == [{"layer": "fc", "clusters": 3, "rho": [1.0, 1.0], "jaccard": [0.6667, 0.6667], "jaccard_of_seeds": [1.0]}]
    assert found["outputs"] == 2 and found["modules"] == 2
    assert page.gains(found["rows"][0]) == pytest.approx([0.1, 0.0])


def test_the_page_says_whether_gradients_hold_the_bar() -> None:
    part = {"cpu": "CPU", "jobs": 1, "threads": 1, "subjects": {"small": one(LOSSES)}}
    text, *lines = page.section(part)
    assert text.endswith("±: sample standard deviation over seeds; without it: one seed.")
    common = "| Small | 2 | 2 | 60 | 1.000 | 0.667 | 1.000 | 8.00 | 8.00 | 9.0 s | 9.0 s | 5x |"
    assert f"{common} -0.60 ± 0.14 points | -0.55 ± 0.21 points | +0.05 ± 0.07 |" in lines
    verdict = "- At most 0.1 points worse on the mean: -0.12 points over 1 classifier and two sizes each, missed; median -0.12."
    assert f"{verdict} By themselves 1 of 2 hold it; not Small, 10x (-0.30)." in lines
    assert lines[-1] == "| Small | fc | 3 | 1.000 | 0.667 | 1.000 |"


def test_regressions_are_no_part_of_the_bar() -> None:
    part = {"cpu": "CPU", "jobs": 1, "threads": 1, "subjects": {"small": one(LOSSES, "mae")}}
    assert len(page.verdicts(part)) == 1 and page.verdicts(part)[0].startswith("- Small: ")


def test_a_label_is_a_place_and_a_digit() -> None:
    images = np.full((4, 28, 28), 200, np.uint8)
    made = placed_digits.splits({"x_train": images, "y_train": np.arange(4), "x_test": images[:2], "y_test": np.arange(2)})
    assert (made["x_train"].shape, made["x_train"].dtype, made["x_test"].shape) == ((4, 28, 28), np.uint8, (2, 28, 28))
    for image, label, digit in zip(made["x_train"], made["y_train"], range(4), strict=True):
        place = label // 10
        assert label % 10 == digit
        down, right = np.nonzero(image)
        # By hand: six starts from 0 to 16.
        starts = [0, 3, 6, 10, 13, 16]
        assert (down.min(), right.min(), down.max() - down.min(), len(down)) == (starts[place // 6], starts[place % 6], 11, 144)
