"""Command lines that make no sense: exit code 2. Nothing is read or written."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

import networks
from conftest import DECOMPOSE, Cli
from networks import CLASSES

HELP = "See 'incite decompose --help'"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--keep", "0"), f"--keep: 0: expected a share above 0 and up to 1. {HELP}"),
        (("--keep", "1.5"), f"--keep: 1.5: expected a share above 0 and up to 1. {HELP}"),
        (("--keep", "nan"), f"--keep: nan: expected a share above 0 and up to 1. {HELP}"),
        (("--keep", "much"), f"--keep: much: expected a share above 0 and up to 1. {HELP}"),
        (("--cluster-size", "0"), "--cluster-size 0: expected auto or a whole number of 1 or more"),
        (("--cluster-size", "2.5"), "--cluster-size 2.5: expected auto or a whole number of 1 or more"),
        (("--samples", "0"), "--samples 0: expected all or a whole number of 1 or more"),
        (("--samples", "-3"), "--samples -3: expected all or a whole number of 1 or more"),
        (("--epochs", "0"), f"--epochs: 0: expected 1 or more epochs. {HELP}"),
        (("--threads", "0"), f"--threads: 0: expected 1 to 1024 threads. {HELP}"),
        (("--held-out", "1"), f"--held-out: 1: expected a share above 0 and below 1. {HELP}"),
        (("--metric", "loss"), f"--metric: loss: expected auto|probability|flips|absolute|random|magnitude. {HELP}"),
        (("--clustering", "all"), f"--clustering: all: expected kmeans|agglomerative|none. {HELP}"),
        (("--repair", "some"), f"--repair: some: expected none|mean|least-squares. {HELP}"),
        (("--memory", "-1"), "--memory -1: expected a size above 0, such as 2GB"),
        (("--memory", "0"), "--memory 0: expected a size above 0, such as 2GB"),
        (("--memory", "much"), f"--memory: much: expected a size such as 2GB. {HELP}"),
        (("--memory", "1.5GB"), f"--memory: 1.5GB: expected a size such as 2GB. {HELP}"),
        (("--head", "sgd"), f"--head: sgd: expected lbfgs|adam|original. {HELP}"),
        (("--preset", "mine"), f"--preset: mine: expected paper. {HELP}"),
        (("--task", "ranking"), f"--task: ranking: expected auto|classification|multilabel|regression. {HELP}"),
        (("--outputs", "0,x"), "--outputs 0,x: expected all, present, or numbers of outputs such as 0,3-7"),
        (("--outputs", "0,-1"), "--outputs 0,-1: expected all, present, or numbers of outputs such as 0,3-7"),
        (("--outputs", "0,3"), "--outputs 3: the model has outputs 0 to 2"),
        (("--input-scale", "0"), "--input-scale 0: expected auto or a number other than 0"),
        (("--input-scale", "big"), "--input-scale big: expected auto or a number other than 0"),
        (("--device", "foo"), "--device foo: expected cpu, cuda or cuda:<index>"),
        (("--device", "meta"), "--device meta: expected cpu, cuda or cuda:<index>"),
        (("--tf32",), "--tf32 is for a GPU; not for --device cpu"),
        (("--metric", "absolute"), "--metric absolute is not for classification; expected probability, flips, random or magnitude"),
        (("--seed", "-1"), f"--seed: -1: expected a whole number from 0 to 2^53. {HELP}"),
        (("--seed", "x"), f"--seed: x: expected a whole number from 0 to 2^53. {HELP}"),
        (("--factors", "1.1,nan"), f"--factors: nan: expected numbers from -1e6 to 1e6. {HELP}"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_an_option_with_a_value_that_makes_no_sense(good: Cli, options: tuple[str, ...], message: str) -> None:
    good.refused(2, message, *DECOMPOSE, *options)


@pytest.mark.parametrize("options", [("--seed", "1.5"), ("--epochs", "2.5")])
def test_an_option_that_is_no_number(good: Cli, options: tuple[str, ...]) -> None:
    good.refused(2, f"{' '.join(options)}: expected a whole number", *DECOMPOSE, *options)


def test_a_metric_of_classification_for_regression(with_data: Callable[..., Cli]) -> None:
    x, y = networks.samples()
    message = "--metric flips is not for regression; expected absolute, random or magnitude"
    with_data(x=x, y=np.eye(CLASSES)[y] + 0.5).refused(2, message, *DECOMPOSE, "--metric", "flips")


def test_no_verb(cli: Cli) -> None:
    cli.refused(2, "A subcommand is required. See 'incite --help'")


def test_an_unknown_verb(cli: Cli) -> None:
    message = "frobnicate: expected inspect, decompose, compose or evaluate. See 'incite --help'"
    cli.refused(2, message, "frobnicate", "model.pt")


def test_an_unknown_option(good: Cli) -> None:
    good.refused(2, ("--frobnicate", HELP), *DECOMPOSE, "--frobnicate")


def test_missing_data(good: Cli) -> None:
    good.refused(2, f"--data is required. {HELP}", "decompose", "model.pt", "--out", "out")


def test_a_missing_folder(good: Cli) -> None:
    good.refused(2, f"--out is required. {HELP}", "decompose", "model.pt", "--data", "data.npz")


def test_a_missing_model(good: Cli) -> None:
    good.refused(2, f"model is required. {HELP}", "decompose", "--data", "data.npz", "--out", "out")


def test_two_models(good: Cli) -> None:
    good.refused(2, ("other.pt", HELP), *DECOMPOSE, "other.pt")


def test_json_and_quiet_together(good: Cli) -> None:
    good.refused(2, ("--json", "--quiet", HELP), *DECOMPOSE, "--json", "--quiet")


def test_evaluate_without_data(good: Cli) -> None:
    good.refused(2, "--data is required. See 'incite evaluate --help'", "evaluate", "out")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_a_cuda_device_that_is_not_there(good: Cli, device: str) -> None:
    message = f"--device {device}: this machine, or this build of LibTorch, has no CUDA device; expected cpu"
    good.refused(8, message, *DECOMPOSE, "--device", device)


def test_too_little_memory(good: Cli) -> None:
    good.refused(8, ("a memory budget of ", "; raise --memory"), *DECOMPOSE, "--memory", "1")


@pytest.mark.parametrize("verb", [(), ("inspect",), ("decompose",), ("evaluate",)])
def test_help_goes_to_stdout(cli: Cli, verb: tuple[str, ...]) -> None:
    assert "Usage: incite" in cli.done(*verb, "--help")


def test_version_goes_to_stdout(cli: Cli) -> None:
    assert cli.done("--version").startswith("incite ")


def test_options_of_one_verb_are_said_with_their_choices(cli: Cli) -> None:
    text = cli.done("decompose", "--help")
    for choices in ("kmeans|agglomerative|none", "lbfgs|adam|original", "auto|probability|flips|absolute|random"):
        assert choices in text
