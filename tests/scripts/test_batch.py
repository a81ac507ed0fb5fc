"""Tasks side by side: results, failures, progress."""

import io
import re
import time

import pytest

from incite_lab.run import batch
from incite_lab.run.program import Failed


def test_one_that_fails_is_told_and_the_others_are_done() -> None:
    def half(number: int) -> int:
        if number % 2:
            raise Failed("odd")
        return number // 2

    messages = io.StringIO()
    done, failed = batch.side_by_side("halves", [2, 3, 4], half, str, 2, messages)
    assert done == {2: 1, 4: 2}
    assert {task: str(failure) for task, failure in failed.items()} == {3: "odd"}
    lines = messages.getvalue().splitlines()
    assert [line.partition("]")[0] for line in lines] == [f"[halves {count}/3, 0 min left" for count in (1, 2, 3)]
    assert sorted(line.partition("] ")[2] for line in lines) == ["2: 1", "3: failed: odd", "4: 2"]


def test_after_a_while_without_news_what_is_running_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "QUIET", 0.05)
    messages = io.StringIO()
    batch.side_by_side("naps", ["long"], lambda _: time.sleep(0.2), str, 1, messages)
    assert re.match(r"(\[naps 0/1\] still running: long\n)+\[naps 1/1, 0 min left\] long: None\n$", messages.getvalue())
