"""What is kept of finished runs, and what makes a run another one."""

import argparse
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import networks
from incite_lab.run.runner import Job, Runner
from incite_lab.run.store import Store, content, hash_of


def test_records_are_kept_by_key(tmp_path: Path) -> None:
    Store(tmp_path / "kept").save("a", {"value": 1.5})
    store = Store(tmp_path / "kept")
    assert (store.load("a"), store.load("b")) == ({"value": 1.5}, None)
    assert [file.name for file in (tmp_path / "kept").iterdir()] == ["a.json"]


def test_keys_of_records_stay_the_same() -> None:
    # By hand: printf '["incite 0.1.0", 1]' | sha256sum | head -c 24
    assert hash_of(["incite 0.1.0", 1]) == "6baaa942dda615e53f581c9e"


def test_content_is_that_of_sha256sum(tmp_path: Path) -> None:
    # By hand: printf incite | sha256sum
    (tmp_path / "file").write_text("incite")
    assert content(tmp_path / "file") == "014c4791eb4df2b706e4bd817a481b43269f6a9bd7766c6847df6fa098c90b02"


class Small:
    """A runner in a folder, and a job on a small network."""

    def __init__(self, binary: Path, folder: Path) -> None:
        self.binary, self.folder = binary, folder
        networks.save(networks.mlp(), folder / "model.pt")
        networks.save_data(folder / "data.npz")
        self.job = Job("small", folder / "model.pt", folder / "data.npz", None, ("--keep", "0.5"))

    def runner(self, binary: Path | None = None) -> Runner:
        args = argparse.Namespace(binary=binary or self.binary, threads=1, jobs=2, cache=self.folder / "runs")
        return Runner(args)


@pytest.fixture
def small(binary: Path, tmp_path: Path) -> Small:
    return Small(binary, tmp_path)


def test_another_build_of_the_same_version_is_not_taken_for_the_same(small: Small) -> None:
    small.runner().results([small.job])
    same = Path(shutil.copy(small.binary, small.folder / "same"))
    assert small.runner(same).finished(small.job) is not None
    other = Path(shutil.copy(small.binary, small.folder / "other"))
    with other.open("ab") as file:
        file.write(b"\0")  # after the end of the program: it runs as before
    assert small.runner(other).finished(small.job) is None


def test_other_bytes_of_the_model_or_data_or_other_options_are_another_run(small: Small) -> None:
    runner = small.runner()
    networks.save(networks.mlp(seed=1), small.folder / "model-1.pt")
    networks.save_data(small.folder / "data-1.npz", seed=1)
    jobs = [
        small.job,
        replace(small.job, model=small.folder / "model-1.pt"),
        replace(small.job, data=small.folder / "data-1.npz"),
        replace(small.job, test=small.folder / "data-1.npz"),
        replace(small.job, options=("--keep", "0.6")),
        replace(small.job, seed=1),
    ]
    assert len({runner.key(job) for job in jobs}) == len(jobs)
    copy = Path(shutil.copy(small.folder / "model.pt", small.folder / "copy.pt"))
    assert runner.key(replace(small.job, model=copy, name="copy")) == runner.key(small.job)


def test_a_run_that_takes_scores_has_them_made_first(small: Small, capfd: pytest.CaptureFixture[str]) -> None:
    scores = replace(small.job, name="scores", options=("--outputs", "0"), keep_scores=True)
    job = replace(small.job, scores=scores)
    found, failed = small.runner().results([job])
    assert ([*found], failed) == ([job], {})
    scored = small.runner().finished(scores)
    assert scored is not None and found[job]["timing"]["scoring"] == scored["timing"]["scoring"]
    assert [line.partition("] ")[2].partition(":")[0] for line in capfd.readouterr().err.splitlines() if "[runs" in line] == ["scores", "small"]
    small.runner().results([job])
    assert "1 runs of incite, 1 of them in " in capfd.readouterr().err


def test_without_its_scores_a_run_fails_and_says_why(small: Small) -> None:
    scores = replace(small.job, name="scores", options=("--outputs", "7"), keep_scores=True)
    job = replace(small.job, scores=scores)
    found, failed = small.runner().results([job])
    assert found == {}
    assert str(failed[job]) == "scores: status 2: error: --outputs 7: the model has outputs 0 to 2"
