"""The output folder: all files or none, and no result is replaced without --force (exit code 7)."""

import json
import resource
import signal
from pathlib import Path

import pytest

import networks
from conftest import DECOMPOSE, Cli, into, snapshot, without_warnings


def one_kibibyte_a_file() -> None:
    """Writes fail as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_only_modules_and_the_document_are_written(good: Cli) -> None:
    good.done(*DECOMPOSE)
    assert names(good.folder) == ["data.npz", "model.pt", "out"]
    assert names(good.folder / "out") == ["decomposition.json", "module-0.pt", "module-1.pt", "module-2.pt"]


def test_scores_are_kept_where_they_are_asked_for_and_their_size_is_told(good: Cli) -> None:
    table = good.done(*DECOMPOSE, "--outputs", "1")
    assert "scores" not in table and json.loads((good.folder / "out/decomposition.json").read_text())["scores"] is None
    table = good.done(*DECOMPOSE, "--outputs", "1", "--force", "--keep-scores")
    assert names(good.folder / "out") == ["decomposition.json", "module-1.pt", "scores.npz"]
    size = (good.folder / "out/scores.npz").stat().st_size
    assert f"\nScores kept in scores.npz: {size / 1024:.1f} KiB\n" in table
    document = json.loads((good.folder / "out/decomposition.json").read_text())
    assert document["scores"] == {"file": "scores.npz", "bytes": size}


def test_folders_above_are_made_too(good: Cli) -> None:
    good.done(*into("a/b/c"), "--outputs", "1")
    assert names(good.folder / "a/b/c") == ["decomposition.json", "module-1.pt"]


def test_folders_above_are_removed_after_a_failure(good: Cli) -> None:
    networks.save_data(good.folder / "data.npz", count=1)
    good.refused(5, ("too few",), *into("a/b/c"))


def test_a_folder_with_other_files_keeps_them(good: Cli) -> None:
    (good.folder / "out").mkdir()
    (good.folder / "out/notes.txt").write_text("mine")
    good.done(*DECOMPOSE, "--outputs", "1")
    assert names(good.folder / "out") == ["decomposition.json", "module-1.pt", "notes.txt"]
    assert (good.folder / "out/notes.txt").read_text() == "mine"


def test_an_empty_folder_stays_after_a_failure(good: Cli) -> None:
    (good.folder / "out").mkdir()
    good.refused(2, ("--outputs 9",), *DECOMPOSE, "--outputs", "9")


def test_a_folder_below_a_file(good: Cli) -> None:
    good.refused(7, "data.npz/out: can't create this folder: Not a directory", *into("data.npz/out"))


def test_a_file_in_place_of_the_folder(good: Cli) -> None:
    (good.folder / "out").write_text("")
    good.refused(7, ("out: can't ",), *DECOMPOSE)


def test_a_place_where_no_folder_can_be_made(good: Cli) -> None:
    good.refused(7, ("/proc/incite-out: can't create this folder: ",), *into("/proc/incite-out"))


def test_an_empty_name(good: Cli) -> None:
    good.refused(7, ("can't create this folder: ",), *into(""))


def test_a_name_longer_than_the_file_system_allows(good: Cli) -> None:
    good.refused(7, ("can't create this folder: File name too long",), *into("o" * 300))


def test_a_full_disk(good: Cli) -> None:
    good.refused(7, "out/checkpoint.npz: can't be written: File too large", *DECOMPOSE, preexec_fn=one_kibibyte_a_file)


def test_a_full_disk_while_replacing_leaves_the_earlier_result(good: Cli) -> None:
    good.done(*DECOMPOSE)
    good.refused(
        7,
        "out/checkpoint.npz: can't be written: File too large",
        *(*DECOMPOSE, "--force", "--keep", "0.3"),
        preexec_fn=one_kibibyte_a_file,
    )


def test_stdout_that_takes_nothing(good: Cli) -> None:
    with open("/dev/full", "w") as full:
        good_run = good.popen(*DECOMPOSE, "--json", stdout=full)
        _, errors = good_run.communicate(timeout=60)
    assert (good_run.returncode, without_warnings(errors)) == (7, "error: stdout: the result can't be written\n")


def test_a_result_that_is_there_is_not_replaced_without_force(good: Cli) -> None:
    good.done(*DECOMPOSE)
    message = "out: already holds a decomposition; pass --force to replace it, or another --out"
    good.refused(7, message, *DECOMPOSE)


def test_a_file_that_is_no_earlier_module_is_not_replaced(good: Cli) -> None:
    (good.folder / "out").mkdir()
    (good.folder / "out/module-0.pt").write_text("mine")
    good.refused(7, ("out/module-0.pt",), *DECOMPOSE)


def test_a_file_of_scores_that_is_no_earlier_one_is_not_replaced(good: Cli) -> None:
    (good.folder / "out").mkdir()
    (good.folder / "out/scores.npz").write_text("mine")
    message = "out/scores.npz: already exists and is not part of an earlier result; pass --force to replace it, or another --out"
    good.refused(7, message, *DECOMPOSE, "--keep-scores")
    good.done(*DECOMPOSE)
    good.done(*DECOMPOSE, "--force")
    assert (good.folder / "out/scores.npz").read_text() == "mine"


def test_the_model_itself_is_not_replaced_even_with_force(good: Cli) -> None:
    good.done(*DECOMPOSE, "--head", "original", "--keep", "0.6")
    good.refused(7, ("out/module-0.pt",), "decompose", "out/module-0.pt", *DECOMPOSE[2:], "--force")


def test_force_replaces_and_removes_modules_no_longer_made(good: Cli) -> None:
    good.done(*DECOMPOSE, "--keep-scores")
    (good.folder / "out/notes.txt").write_text("mine")
    before = snapshot(good.folder / "out")
    good.done(*DECOMPOSE, "--force", "--outputs", "0,2", "--keep", "0.3")
    after = snapshot(good.folder / "out")
    assert sorted(after) == ["decomposition.json", "module-0.pt", "module-2.pt", "notes.txt"]
    assert {name for name in after if after[name] != before[name]} == set(after) - {"notes.txt"}


def test_scores_that_a_run_has_used_are_not_removed(good: Cli) -> None:
    good.done(*DECOMPOSE, "--keep-scores")
    good.done(*DECOMPOSE, "--force", "--scores", "out/scores.npz", "--keep", "0.4")
    assert names(good.folder / "out") == ["decomposition.json", "module-0.pt", "module-1.pt", "module-2.pt", "scores.npz"]


def test_a_failure_under_force_leaves_the_earlier_result(good: Cli) -> None:
    good.done(*DECOMPOSE)
    good.refused(2, ("--outputs 9",), *DECOMPOSE, "--force", "--outputs", "9")


@pytest.mark.parametrize("content", ["", "{}", '{"schema": 1, "modules": [{"output": 0, "file": "../model.pt"}]}'])
def test_force_replaces_a_document_that_is_damaged_and_nothing_outside(good: Cli, content: str) -> None:
    (good.folder / "out").mkdir()
    (good.folder / "out/decomposition.json").write_text(content)
    good.done(*DECOMPOSE, "--force", "--outputs", "1")
    assert names(good.folder) == ["data.npz", "model.pt", "out"]
    assert names(good.folder / "out") == ["decomposition.json", "module-1.pt"]
