"""incite-lab reuse but for training and decomposing: the problems, their data, and the page."""

from pathlib import Path
from typing import Any

import numpy as np

from incite_lab.studies.quality.subjects import Subject
from incite_lab.studies.reuse import alternatives, reuse

SUBJECT = Subject("small", "Small", Path(), ("", ""), (), Path(), Path(), False, True)


def test_a_larger_problem_has_all_classes_of_a_smaller_one() -> None:
    for seed in range(3):
        sets = [reuse.classes_of(count, seed) for count in reuse.COUNTS]
        assert [len(classes) for classes in sets] == [*reuse.COUNTS]
        assert all(set(small) < set(large) for small, large in zip(sets, sets[1:], strict=False))
        assert all(list(classes) == sorted(classes) for classes in sets)


def test_samples_of_other_classes_are_left_out_and_labels_count_from_0() -> None:
    x, y = alternatives.of_classes(np.arange(6), np.array([3, 0, 7, 5, 7, 3]), (3, 7))
    assert (x.tolist(), y.tolist()) == ([0, 2, 4, 5], [0, 1, 1, 0])


def test_steps_are_whole_epochs() -> None:
    assert alternatives.STEPS == 6_105  # 15 epochs of 407 batches
    assert alternatives.epochs_of(6_105, 52_000) == 15
    assert alternatives.epochs_of(2_000, 10_400) == 24  # of 82 batches
    assert alternatives.epochs_of(10, 52_000) == 1


def records(apart: float, others: float) -> dict[str, Any]:
    sizes = {reuse.TEN: 200, reuse.APART: 200, reuse.SET: 100, reuse.SCRATCH: 900}
    return {
        way: {"original": 0.9, "original_parameters": 1000, "combined": apart if way == reuse.APART else others, "parameters": size}
        for way, size in sizes.items()
    }


def test_a_row_has_the_loss_of_each_way_and_seed() -> None:
    problems = [reuse.Problem(SUBJECT, 2, seed) for seed in (0, 1)]
    found = {(way, problem): record for problem in problems for way, record in records(0.89, 0.92).items()}
    row = reuse.row(2, problems, found)
    assert row is not None
    assert row["loss"] == {"ten": [-2.0, -2.0], "apart": [1.0, 1.0], "set": [-2.0, -2.0], "scratch": [-2.0, -2.0]}
    del found[reuse.SCRATCH, problems[1]]
    assert reuse.row(2, problems, found) is None


def test_the_page_says_how_long_training_took_and_what_it_comes_to() -> None:
    problems = [reuse.Problem(SUBJECT, 2, seed) for seed in (0, 1)]
    found = {(way, problem): record for problem in problems for way, record in records(0.89, 0.92).items()}
    one = {"title": "Small", "steps": 100, "of": 300, "rows": [reuse.row(2, problems, found)]}
    text, *lines = reuse.section({"cpu": "CPU", "jobs": 1, "threads": 1, "subjects": {"small": one}})
    assert text.endswith("±: sample standard deviation over seeds.")
    assert "| Small | 2 | 90.00 % | +2.00 ± 0.00 | -1.00 ± 0.00 |" in "\n".join(lines)
    assert lines[-1].startswith("- Small, mean change over all problems: modules of ten +2.00, modules for these -1.00,")
    assert lines[-1].endswith("have fewer than the original for 2 classes. From scratch: 100 steps, too few for a fair comparison; the original had 300.")
