"""Trains the original of one of the paper's subjects."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from incite_lab.models import regressor
from incite_lab.models.data import Arrays
from incite_lab.models.export import save_scripted
from incite_lab.models.paper.subjects import NETWORKS, Original
from incite_lab.models.recipes import DenseRecipe, ImageRecipe
from incite_lab.models.training import enlarged, train_on_images


def images(original: Original, recipe: ImageRecipe, data: Arrays, seed: int, out: Path) -> dict[str, Any]:
    """Trains a network for images."""
    assert original.network is not None
    random = np.random.default_rng(seed)
    order = random.permutation(len(data["x_train"]))
    used, given = order[: recipe.images], order[: recipe.given]
    tested = np.sort(random.permutation(len(data["x_test"]))[: recipe.tested])
    y = {"train": targets(original, data["y_train"]), "test": targets(original, data["y_test"])}
    outputs = y["train"].shape[1] if original.regression else int(y["train"].max()) + 1
    model = NETWORKS[original.network].make(1, outputs)
    start = time.monotonic()
    body, loss_of = (model, functional.mse_loss) if original.regression else (model[:-1], functional.cross_entropy)
    train_on_images(body, enlarged(data["x_train"][used], recipe.side), y["train"][used], loss_of, recipe)
    seconds = time.monotonic() - start
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


def dense(original: Original, name: str, recipe: DenseRecipe, data: Arrays | None, seed: int, out: Path) -> dict[str, Any]:
    """Trains a dense regressor, on the data or on points of the functions that it is named after."""
    if data is None:
        fitted = regressor.fit_to_functions(name, recipe, seed, out)
        given, tested = regressor.TRAIN_COUNT, regressor.POINTS - regressor.TRAIN_COUNT
    else:
        model = regressor.Regressor(data["y_train"].shape[1], inputs=data["x_train"].shape[1])
        fitted = regressor.fit(model, data, recipe, out)
        given, tested = len(data["x_train"]), len(data["x_test"])
    return {"seconds": fitted.seconds, "samples": given, "given": given, "tested": tested, "score": float(np.mean(fitted.errors))}
