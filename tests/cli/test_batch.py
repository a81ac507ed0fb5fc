"""scripts/batch.py: tasks side by side, and what is kept of them."""

import io
import re
import sys
import time
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts"))

import batch  # noqa: E402 (it lies in another folder)


def test_one_that_fails_is_told_and_the_others_are_done() -> None:
    def half(number: int) -> int:
        if number % 2:
            raise batch.Failed("odd")
        return number // 2

    stream = io.StringIO()
    done, failed = batch.side_by_side("halves", [2, 3, 4], half, str, 2, stream)
    assert done == {2: 1, 4: 2}
    assert {task: str(failure) for task, failure in failed.items()} == {3: "odd"}
    lines = stream.getvalue().splitlines()
    assert [line.partition("]")[0] for line in lines] == [f"[halves {count}/3, 0 min left" for count in (1, 2, 3)]
    assert sorted(line.partition("] ")[2] for line in lines) == ["2: 1", "3: failed: odd", "4: 2"]


def test_after_a_while_without_news_what_is_running_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "QUIET", 0.05)
    stream = io.StringIO()
    batch.side_by_side("naps", ["long"], lambda _: time.sleep(0.2), str, 1, stream)
    assert re.match(r"(\[naps 0/1\] still running: long\n)+\[naps 1/1, 0 min left\] long: None\n$", stream.getvalue())


def test_records_are_kept_by_key(tmp_path: Path) -> None:
    batch.Store(tmp_path / "kept").save("a", {"value": 1.5})
    store = batch.Store(tmp_path / "kept")
    assert (store.load("a"), store.load("b")) == ({"value": 1.5}, None)
    assert [file.name for file in (tmp_path / "kept").iterdir()] == ["a.json"]


def test_keys_of_kept_records_are_what_they_have_been() -> None:
    # By hand: printf '["incite 0.1.0", 1]' | sha256sum | head -c 24
    assert batch.hash_of(["incite 0.1.0", 1]) == "6baaa942dda615e53f581c9e"
