"""Scores are saved: a stopped run continues from them with the same result, and other runs can use them."""

import hashlib
import json
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import networks
from conftest import DECOMPOSE, Cli, Result, into, snapshot, without_warnings

SCORING = ("--clustering", "none", "--agreement", "0.999", "--memory", "64MB")


def document(folder: Path) -> dict[str, Any]:
    """decomposition.json without what differs in every run."""
    found = json.loads((folder / "decomposition.json").read_text())
    del found["timing"]
    return found


@pytest.fixture
def rounds(cli: Cli) -> Cli:
    """Work for some seconds, in several rounds."""
    torch.manual_seed(0)
    layers = [nn.Linear(32, 192), nn.ReLU(), nn.Linear(192, 192), nn.ReLU(), nn.Linear(192, 5)]
    networks.save(nn.Sequential(*layers), cli.folder / "model.pt")
    x = np.random.default_rng(0).standard_normal((4_000, 32), np.float32)
    np.savez(cli.folder / "data.npz", x=x, y=np.arange(4_000) % 5)
    return cli


def stop(cli: Cli, how: signal.Signals, delay: float, *arguments: str) -> str:
    """Stops a run some time after it has saved scores. Returns its stderr."""
    checkpoint = cli.folder / "out/checkpoint.npz"
    before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
    process = cli.popen(*into("out"), *SCORING, *arguments)
    while process.poll() is None and (not checkpoint.exists() or checkpoint.stat().st_mtime_ns == before):
        time.sleep(0.002)
    time.sleep(delay)
    process.send_signal(how)
    return process.communicate(timeout=30)[1]


def test_a_killed_run_goes_on_and_gives_the_same(rounds: Cli) -> None:
    rounds.done(*into("whole"), *SCORING, "--keep-scores")
    stop(rounds, signal.SIGKILL, 0.05)
    assert (rounds.folder / "out/checkpoint.npz").exists() and not (rounds.folder / "out/decomposition.json").exists()
    stop(rounds, signal.SIGKILL, 0.2, "--resume")
    rounds.done(*into("out"), *SCORING, "--resume", "--keep-scores")
    assert document(rounds.folder / "out") == document(rounds.folder / "whole")
    left = {name: content for name, content in snapshot(rounds.folder / "out").items() if name != "decomposition.json"}
    whole = {name: content for name, content in snapshot(rounds.folder / "whole").items() if name != "decomposition.json"}
    assert left == whole


def test_an_interrupted_run_says_how_to_continue(rounds: Cli) -> None:
    errors = stop(rounds, signal.SIGINT, 0)
    assert list(snapshot(rounds.folder / "out")) == ["checkpoint.npz"]
    size = f"{(rounds.folder / 'out/checkpoint.npz').stat().st_size / 1024:.1f} KiB"
    stopped = f"error: stopped; no module was written. The work so far is kept, {size} in checkpoint*; continue with --resume\n"
    assert without_warnings(errors) == stopped
    rounds.refused(
        7,
        "out: holds a checkpoint of a run that was stopped; pass --resume to continue it, or --force to start over",
        *into("out"),
        *SCORING,
    )


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (("--metric", "flips"), ("--metric probability", "--metric flips")),
        (("--seed", "1"), ("--seed 0", "--seed 1")),
        (("--keep", "0.5"), ("--target-compression 5", "--keep 0.5")),
        (("--clustering", "kmeans"), ("--clustering none", "--clustering kmeans")),
        (("--cluster-size", "3"), ("--cluster-size auto", "--cluster-size 3")),
        (("--test", "data.npz"), ("no --test", "--test")),
        (("--input-shape", "32"), ("no --input-shape", "--input-shape 32")),
        (("--agreement", "0.9"), ("--agreement 0.999", "--agreement 0.9")),
        (("--threads", "2"), ("--threads 1", "--threads 2")),
        (("--memory", "32MB"), ("--memory 64MB", "--memory 32MB")),
    ],
)
def test_scores_of_another_run_are_not_gone_on_from(rounds: Cli, arguments: tuple[str, str], options: tuple[str, str]) -> None:
    stop(rounds, signal.SIGKILL, 0)
    shutil.rmtree(next((rounds.folder / "out").glob(".incite-*")))  # what the killed run has left
    usual = [*into("out"), *SCORING]
    if arguments[0] in usual:
        place = usual.index(arguments[0])
        del usual[place : place + 2]
    then, now = options
    message = f"out/checkpoint.npz: made with {then}, but this run has {now}; pass {then} to continue, or pass --force instead of "
    rounds.refused(2, message + "--resume to start over", *usual, "--resume", *arguments)


def test_how_many_samples_were_to_be_scored_is_told_as_the_option(rounds: Cli) -> None:
    stop(rounds, signal.SIGKILL, 0)
    shutil.rmtree(next((rounds.folder / "out").glob(".incite-*")))
    rounds.refused(
        2,
        "out/checkpoint.npz: made with --samples auto, but this run has --samples 500; pass --samples auto to continue, or pass "
        "--force instead of --resume to start over",
        *(*into("out"), "--clustering", "none", "--memory", "64MB", "--resume", "--samples", "500"),
    )


def test_scores_of_other_data_are_not_gone_on_from(rounds: Cli) -> None:
    stop(rounds, signal.SIGKILL, 0)
    shutil.rmtree(next((rounds.folder / "out").glob(".incite-*")))
    then = hashlib.sha256((rounds.folder / "data.npz").read_bytes()).hexdigest()[:12]
    with np.load(rounds.folder / "data.npz") as data:
        np.savez(rounds.folder / "data.npz", x=data["x"] + 1, y=data["y"])
    now = hashlib.sha256((rounds.folder / "data.npz").read_bytes()).hexdigest()[:12]
    message = (
        f"out/checkpoint.npz: made with another data file, or data.npz has changed since: the SHA-256 was {then}…, now it is {now}…; "
        "pass the same file to continue, or pass --force instead of --resume to start over"
    )
    rounds.refused(2, message, *into("out"), *SCORING, "--resume")


SMALL_DISK = 'mount -t tmpfs -o size="$1" tmpfs disk && shift && { "$@"; code=$?; ls disk disk/out; exit $code; }'


def on_small_disk(cli: Cli, size: str) -> Result:
    """Decomposes onto a disk of this size, then lists its files on stdout."""
    (cli.folder / "disk").mkdir(exist_ok=True)
    space = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")
    if subprocess.run([*space, "mount -t tmpfs tmpfs disk"], cwd=cli.folder, capture_output=True).returncode != 0:
        pytest.skip("no disk can be mounted here")
    command = [*space, SMALL_DISK, "sh", size, *cli.command(*into("disk/out"), *SCORING, "--quiet")]
    done = subprocess.run(command, cwd=cli.folder, env=cli.environment(), capture_output=True, text=True, timeout=60)
    return Result(done.returncode, done.stdout, done.stderr)


def test_a_disk_with_room_for_one_checkpoint_is_large_enough(rounds: Cli) -> None:
    done = on_small_disk(rounds, "1600k")
    assert (done.code, done.err) == (0, "")
    modules = [f"module-{output}.pt" for output in range(5)]
    assert done.out.split() == ["disk:", "out", "disk/out:", "decomposition.json", *modules]


def test_a_disk_that_is_too_small_is_told_and_nothing_is_left(rounds: Cli) -> None:
    done = on_small_disk(rounds, "600k")
    assert (done.code, done.out.split()) == (7, ["disk:"])
    assert done.err.splitlines()[0] == (
        "error: disk/out/checkpoint.npz: can't be written: No space left on device; it takes 0.8 MiB. Free some space, or write to "
        "another folder"
    )


def test_a_damaged_checkpoint_is_refused(rounds: Cli) -> None:
    stop(rounds, signal.SIGKILL, 0)
    shutil.rmtree(next((rounds.folder / "out").glob(".incite-*")))
    checkpoint = rounds.folder / "out/checkpoint.npz"
    content = bytearray(checkpoint.read_bytes())
    content[len(content) // 2] ^= 1
    checkpoint.write_bytes(content)
    rounds.refused(4, ("checkpoint.npz",), *into("out"), *SCORING, "--resume")
    checkpoint.write_bytes(content[: len(content) // 2])
    rounds.refused(4, ("checkpoint.npz: a damaged or truncated .npz archive",), *into("out"), *SCORING, "--resume")


def test_resume_without_anything_to_go_on_from_starts(good: Cli) -> None:
    good.done(*DECOMPOSE, "--resume")
    good.done(*into("other"))
    assert document(good.folder / "out") == document(good.folder / "other")


def test_scores_of_a_run_serve_another_one(good: Cli) -> None:
    good.done(*into("first"), "--samples", "all", "--keep-scores")
    good.done(*into("second"), "--samples", "all", "--scores", "first/scores.npz", "--keep", "0.4")
    good.done(*into("scored"), "--samples", "all", "--keep", "0.4")
    second, scored = document(good.folder / "second"), document(good.folder / "scored")
    assert second.pop("scoring")["mutants"] == 0 and scored.pop("scoring")["mutants"] > 0
    assert second == scored
    assert document(good.folder / "first") != document(good.folder / "scored")
    good.refused(
        2,
        "first/scores.npz: made with --factors 0, but this run has --factors 1.1; pass --factors 0 to use it, or leave out --scores "
        "to score again",
        *into("third"),
        "--scores",
        "first/scores.npz",
        "--factors",
        "1.1",
    )


def test_scores_of_a_stopped_run_serve_no_other(rounds: Cli) -> None:
    stop(rounds, signal.SIGKILL, 0)
    rounds.refused(
        2,
        "out/checkpoint.npz: comes from a run that was stopped; expected scores.npz of a finished run",
        *into("other"),
        *SCORING,
        "--scores",
        "out/checkpoint.npz",
    )


def test_scores_are_arrays_that_numpy_reads(good: Cli) -> None:
    good.done(*DECOMPOSE, "--samples", "all", "--keep-scores")
    made = document(good.folder / "out")
    with np.load(good.folder / "out/scores.npz") as scores:
        clusters = sum(group["clusters"] for group in made["groups"])
        assert scores["sums"].shape == (1, clusters, made["model"]["outputs"])
        assert scores["sums"].min() >= 0 and scores["sums"].max() > 0
        assert scores["unit_clusters"].max() == clusters - 1
        assert scores["blocks"].size == 0  # nothing goes on from a finished run
        assert scores["samples"].max() == made["data"]["scored_samples"]
        assert b"metric=probability" in scores["made_from"].tobytes()


def test_auto_takes_no_more_samples_than_it_needs(rounds: Cli) -> None:
    rounds.done(*into("auto"), "--agreement", "0.8")
    groups = document(rounds.folder / "auto")["groups"]
    scored = [group for group in groups if group["scored_samples"] > 0]
    units = [group["units"] - group["pinned"] for group in scored]
    mean = sum(group["agreement"] * count for group, count in zip(scored, units, strict=True)) / sum(units)
    assert mean >= 0.8 and min(group["agreement"] for group in scored) >= 1 - 3 * 0.2
    assert max(group["scored_samples"] for group in scored) < document(rounds.folder / "auto")["data"]["fit_samples"]


def test_agreement_is_for_auto_alone(good: Cli) -> None:
    good.refused(2, "--agreement is for --samples auto; not for --samples all", *DECOMPOSE, "--samples", "all", "--agreement", "0.9")
