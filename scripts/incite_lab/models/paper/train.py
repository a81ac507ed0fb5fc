#!/usr/bin/env python3
"""Trains the original of one of the paper's subjects; writes model.pt, train.npz and test.npz, and prints what was done as JSON.

train.npz is what Incite is to decompose it with: some or all of what it was trained on, or that and some more; test.npz played no part.
"""

import argparse
import contextlib
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

sys.path.append(str(Path(__file__).resolve().parents[1]))

import regressor  # noqa: E402 (they lie in the folder above)
from data import Arrays, from_npz  # noqa: E402
from export import save_scripted  # noqa: E402
from originals import NETWORKS, ORIGINALS, Original  # noqa: E402
from training import Recipe, enlarged, train  # noqa: E402


def images(original: Original, recipe: Recipe, data: Arrays, seed: int, out: Path) -> dict[str, Any]:
    """Trains a network for images."""
    assert original.network is not None
    random = np.random.default_rng(seed)
    order = random.permutation(len(data["x_train"]))
    used, given = order[: recipe.images], order[: recipe.given]
    tested = np.sort(random.permutation(len(data["x_test"]))[: recipe.tested])
    y = {"train": targets(original, data["y_train"]), "test": targets(original, data["y_test"])}
    outputs = y["train"].shape[1] if original.regression else int(y["train"].max()) + 1
    model = NETWORKS[original.network].make(1, outputs)
    began = time.monotonic()
    body, loss_of = (model, functional.mse_loss) if original.regression else (model[:-1], functional.cross_entropy)
    train(body, enlarged(data["x_train"][used], recipe.side), y["train"][used], loss_of, recipe)
    seconds = time.monotonic() - began
    scripted = save_scripted(model, out / "model.pt")
    x_test, y_test = enlarged(data["x_test"][tested], recipe.side), y["test"][tested]
    np.savez(out / "train.npz", x=enlarged(data["x_train"][given], recipe.side).numpy(), y=y["train"][given].numpy())
    np.savez(out / "test.npz", x=x_test.numpy(), y=y_test.numpy())
    measured = score(original, scripted, x_test, y_test)
    return {"seconds": seconds, "samples": len(used), "given": len(given), "tested": len(tested), "score": measured}


def targets(original: Original, y: np.ndarray) -> Tensor:
    return torch.from_numpy(y.astype(np.float32 if original.regression else np.int64))


@torch.no_grad()
def score(original: Original, model: nn.Module, x: Tensor, y: Tensor) -> float:
    """Accuracy, or mean absolute error."""
    found = torch.cat([model(batch.float() / 255) for batch in x.split(100)])
    return float((found - y).abs().mean()) if original.regression else float((found.argmax(1) == y).double().mean())


def dense(original: Original, name: str, recipe: regressor.Recipe, data: Arrays | None, seed: int, out: Path) -> dict[str, Any]:
    """Trains a dense regressor, on the data or on points of the functions that it is named after."""
    if data is None:
        made = regressor.make(name, recipe, seed, out)
        given, tested = regressor.TRAIN_COUNT, regressor.POINTS - regressor.TRAIN_COUNT
    else:
        model = regressor.Regressor(data["y_train"].shape[1], inputs=data["x_train"].shape[1])
        made = regressor.fit(model, data, recipe, out)
        given, tested = len(data["x_train"]), len(data["x_test"])
    return {"seconds": made.seconds, "samples": given, "given": given, "tested": tested, "score": float(np.mean(made.errors))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("subject", choices=[*ORIGINALS], metavar="SUBJECT", help=f"one of {', '.join(ORIGINALS)}")
    parser.add_argument("--data", type=Path, metavar="FILE.npz", help="x_train, y_train, x_test, y_test; not for points of functions")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--epochs", type=int, help="default: as the recipe has it")
    parser.add_argument("--images", type=int, help="images to train on; default: as the recipe has it")
    parser.add_argument("--given", type=int, help="images to decompose with; default: as the recipe has it")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    original = ORIGINALS[args.subject]
    if (original.data is None) != (args.data is None):
        parser.error(f"{args.subject} {'takes no' if original.data is None else 'needs'} --data")
    told = {key: value for key in ("epochs", "images", "given") if (value := getattr(args, key)) is not None}
    if (amounts := told.keys() - {"epochs"}) and not isinstance(original.recipe, Recipe):
        parser.error(f"{args.subject} takes no --{min(amounts)}: it is trained on all of its data, and all of that is given")
    recipe = replace(original.recipe, **told)
    # The same weights on every run, on so many threads of this machine.
    torch.set_num_threads(args.threads)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(args.seed)
    data = None if args.data is None else from_npz(args.data)
    with contextlib.redirect_stdout(sys.stderr):  # stdout is for the document
        if isinstance(recipe, Recipe):
            assert data is not None
            made = images(original, recipe, data, args.seed, args.out)
        else:
            made = dense(original, args.subject, recipe, data, args.seed, args.out)
    print(json.dumps({"epochs": recipe.epochs, **made}))


if __name__ == "__main__":
    main()
