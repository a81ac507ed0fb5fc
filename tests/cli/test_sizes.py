"""What users can ask of modules: a size, a maximum loss, fine-tuning, and outputs that are comparable."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import networks
from conftest import DECOMPOSE, Cli, into, snapshot

HELP = "See 'incite decompose --help'"


@pytest.fixture(scope="module")
def trained(binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """A network of four classes, trained, wider than necessary; with scores.npz of its mutants."""
    cli = Cli(binary, tmp_path_factory.mktemp("trained"))
    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    y = np.arange(3_000) % 4
    centres = generator.standard_normal((4, 12)) * 0.8
    x = (centres[y] + generator.standard_normal((3_000, 12))).astype(np.float32)
    model = nn.Sequential(nn.Linear(12, 48), nn.ReLU(), nn.Linear(48, 32), nn.ReLU(), nn.Linear(32, 4))
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(torch.from_numpy(x[:2_000])), torch.from_numpy(y[:2_000])).backward()
        optimizer.step()
    networks.save(model, cli.folder / "model.pt")
    np.savez(cli.folder / "data.npz", x=x[:2_000], y=y[:2_000])
    np.savez(cli.folder / "test.npz", x=x[2_000:], y=y[2_000:])
    cli.done(*into("scored"), "--test", "test.npz", "--keep-scores")
    return cli


def decompose(cli: Cli, *options: str, threads: int = 1) -> dict[str, Any]:
    usual = ("decompose", "model.pt", "--data", "data.npz", "--out", "out", "--threads", threads)
    fixed = ("--test", "test.npz", "--scores", "scored/scores.npz", "--memory", "64MB", "--force", "--json")
    return json.loads(cli.done(*usual, *fixed, *options))


@pytest.mark.parametrize("allocation", ["global", "uniform"])
def test_modules_are_as_small_as_asked_for(trained: Cli, allocation: str) -> None:
    for target in (1.5, 3, 8):
        document = decompose(trained, "--target-compression", str(target), "--allocation", allocation)
        for module in document["modules"]:
            assert target <= module["compression"] < 1.35 * target
        assert document["settings"]["target_compression"] == target


def test_the_smallest_modules_that_lose_no_more_are_searched_for(trained: Cli) -> None:
    loose, tight = (decompose(trained, "--max-loss", most, "--calibration", "heads") for most in ("6", "3"))
    for document, most in ((loose, 6), (tight, 3)):
        good = [step["compression"] for step in document["search"] if step["bound"] <= most]
        bad = [step["compression"] for step in document["search"] if step["bound"] > most]
        assert good and bad and max(good) < min(bad)
        assert min(module["compression"] for module in document["modules"]) >= max(good)
    compression = [document["evaluation"]["mean_compression"] for document in (loose, tight)]
    assert compression[0] > compression[1] > 1


def test_one_module_is_searched_for_by_what_it_loses_against_the_original(trained: Cli) -> None:
    document = decompose(trained, "--outputs", "0", "--max-loss", "4")
    (module,) = document["modules"]
    # A balanced head says yes more often than the original does, which costs accuracy where a class is rare: no loss.
    assert module["accuracy"] < module["original"]["accuracy"] - 0.01
    assert module["compression"] > 3
    assert module["balanced_accuracy"] > module["original"]["balanced_accuracy"] - 0.04


def test_a_search_that_finds_nothing_keeps_all(trained: Cli) -> None:
    document = decompose(trained, "--max-loss", "0", "--repair", "none", "--outputs", "0,1")
    assert document["search"] and all(step["bound"] > 0 for step in document["search"])
    for module in document["modules"]:  # all, but for units on which the output does not depend at all
        assert len(module["kept"]["0"]) >= 46 and len(module["kept"]["2"]) >= 30


def test_fine_tuning_makes_small_modules_better(trained: Cli) -> None:
    plain = decompose(trained, "--target-compression", "12", "--calibration", "heads")
    tuned = decompose(trained, "--target-compression", "12", "--calibration", "heads", "--finetune", "5")
    losses = tuned["finetuning_losses"]
    assert plain["finetuning_losses"] == [] and 2 <= len(losses) <= 6 and min(losses) < losses[0]
    assert tuned["evaluation"]["combined_accuracy"] >= plain["evaluation"]["combined_accuracy"]
    assert [m["parameters"] for m in tuned["modules"]] == [m["parameters"] for m in plain["modules"]]


def log_odds(trained: Cli, *options: str) -> tuple[torch.Tensor, dict[str, Any]]:
    document = decompose(trained, "--outputs", "0,2,3", *options)
    x = torch.from_numpy(np.load(trained.folder / "test.npz")["x"])
    outputs = torch.jit.load(str(trained.folder / "out/module-2.pt"))(x)
    return (outputs[:, 1] - outputs[:, 0]).detach(), document


def test_scales_are_in_the_modules_and_can_be_left_out(trained: Cli) -> None:
    plain, without = log_odds(trained, "--calibration", "none")
    scaled, document = log_odds(trained, "--calibration", "scales")
    calibration = document["modules"][1]["calibration"]
    assert without["modules"][1]["calibration"] == {"scale": 1, "offset": 0} and calibration["scale"] not in (0, 1)
    torch.testing.assert_close(scaled, plain * calibration["scale"] + calibration["offset"], rtol=1e-4, atol=1e-4)
    assert without["head_losses"] == document["head_losses"] == []


def test_heads_are_fitted_together(trained: Cli) -> None:
    scaled, _ = log_odds(trained, "--calibration", "scales")
    together, document = log_odds(trained, "--calibration", "heads")
    apart, joint = document["head_losses"]
    assert joint < apart and not torch.allclose(together, scaled, rtol=1e-3)
    assert document["last_layer_losses"] == []


def test_last_layers_are_fitted_together(trained: Cli) -> None:
    before, heads = log_odds(trained, "--calibration", "heads")
    after, document = log_odds(trained)
    losses = document["last_layer_losses"]
    assert min(losses) < losses[0] and not torch.allclose(after, before, rtol=1e-3)
    assert document["head_losses"] == heads["head_losses"]
    assert document["settings"]["calibration"] == "layers"


@pytest.mark.parametrize("options", [(), ("--finetune", "2"), ("--max-loss", "2"), ("--repair", "mean")])
def test_the_same_seed_gives_the_same_bytes(trained: Cli, options: tuple[str, ...]) -> None:
    found = []
    for _ in range(2):
        decompose(trained, *options, threads=2)
        content = snapshot(trained.folder / "out")
        del content["decomposition.json"]
        found.append(content)
    assert found[0] == found[1]


def test_a_killed_run_goes_on_with_the_modules_that_are_missing(trained: Cli) -> None:
    options = (*DECOMPOSE, "--force", "--test", "test.npz", "--scores", "scored/scores.npz", "--memory", "64MB", "--max-loss", "3")
    folder = trained.folder / "out"
    trained.done(*options)
    whole = {name: content for name, content in snapshot(folder).items() if name != "decomposition.json"}
    process = trained.popen(*options)
    while process.poll() is None and len(list(folder.glob("checkpoint-module-*.pt"))) < 6:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)
    kept = {path.name: path.stat().st_mtime_ns for path in folder.glob("checkpoint-module-*.pt")}
    assert len(kept) >= 6
    (folder / "decomposition.json").unlink()  # of the run before
    assert "pass --resume to continue it" in trained.run(*[option for option in options if option != "--force"]).err
    trained.done(*options, "--resume")
    assert {name: content for name, content in snapshot(folder).items() if name != "decomposition.json"} == whole


def test_a_module_of_a_stopped_run_is_not_taken_where_its_head_would_stay_empty(trained: Cli) -> None:
    # Heads that are fitted together are empty in checkpoints; the head of a single module is fitted by itself.
    options = (*DECOMPOSE, "--force", "--test", "test.npz", "--scores", "scored/scores.npz", "--memory", "64MB")
    folder = trained.folder / "out"
    trained.done(*options, "--outputs", "2")
    alone = (folder / "module-2.pt").read_bytes()
    process = trained.popen(*options, "--finetune", "1000")
    while process.poll() is None and len(list(folder.glob("checkpoint-module-*.pt"))) < 4:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=30)
    assert len(list(folder.glob("checkpoint-module-*.pt"))) == 4
    trained.done(*options, "--outputs", "2", "--resume")
    assert (folder / "module-2.pt").read_bytes() == alone


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--keep", "0.5", "--max-loss", "1"), "--keep, --target-compression and --max-loss exclude each other; expected one of them"),
        (
            ("--keep", "0.5", "--allocation", "global"),
            "--allocation global does not work with --keep, a share of each group; pass --target-compression",
        ),
        (("--target-compression", "0.5"), f"--target-compression: 0.5: expected a number of 1 or more. {HELP}"),
        (("--max-loss", "-1"), f"--max-loss: -1: expected 0 or more. {HELP}"),
        (("--finetune", "2", "--head", "original"), "--finetune is for modules with heads of their own; not for --head original"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(good: Cli, options: tuple[str, ...], message: str) -> None:
    good.refused(2, message, *DECOMPOSE, *options)


def test_too_few_samples_to_choose_by_are_refused(cli: Cli) -> None:
    networks.save(networks.mlp(), cli.folder / "model.pt")
    x = np.random.default_rng(0).standard_normal((12, networks.FEATURES)).astype(np.float32)
    np.savez(cli.folder / "data.npz", x=x, y=np.arange(12) % 3)
    few = ("--max-loss", "1", "--held-out", "0.7")
    cli.refused(5, ("samples are too few to split into training and validation samples",), *DECOMPOSE, *few)
