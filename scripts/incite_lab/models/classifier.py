"""The command line of the train.py files that train an image classifier and store no data."""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from data import Arrays
from export import save_scripted

HELD_OUT = 8_000


@torch.no_grad()
def accuracy(model: nn.Module, x: Tensor, labels: np.ndarray) -> float:
    predicted = torch.cat([model(batch).argmax(1) for batch in x.split(500)])
    return float((predicted.numpy() == labels).mean())


def run(
    description: str,
    folder: Path | None,
    epochs: int,
    load: Callable[[Path], Arrays] | Callable[[Path | None], Arrays],
    make: Callable[[int], nn.Module],
    train: Callable[[nn.Module, Tensor, Tensor, int], None],
    channels: bool,
) -> None:
    """Trains what `make` gives for so many classes, or measures the model that is there, on images held out and the test images.

    8,000 of the training images are held out. The model takes images in [0, 1], [N, 1, 28, 28] with `channels`, else [N, 28, 28].
    model.pt lies in `folder`; without one, the command line must name the folder, and the data.
    """
    own = folder is not None
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--data", type=Path, required=not own, metavar="FILE.npz", help="x_train, y_train, x_test, y_test")
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--out", type=Path, default=folder, required=not own, help="folder for model.pt" + " (default: beside this script)" * own
    )
    parser.add_argument("--splits", type=Path, metavar="FOLDER", help="also write val.npz and test.npz into this folder")
    parser.add_argument("--evaluate", action="store_true", help="do not train; measure the model.pt that is there")
    args = parser.parse_args()

    # One thread: the sums, and so the weights, are then the same on every run.
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(args.seed)

    data = load(args.data)
    images = {key: data[key][:, None] if channels else data[key] for key in ("x_train", "x_test")}
    order = np.random.default_rng(args.seed).permutation(len(data["x_train"]))
    used, held_out = order[:-HELD_OUT], order[-HELD_OUT:]
    sets = {
        "train": (images["x_train"][used], data["y_train"][used].astype(np.int64)),
        "val": (images["x_train"][held_out], data["y_train"][held_out].astype(np.int64)),
        "test": (images["x_test"], data["y_test"].astype(np.int64)),
    }

    def as_input(name: str) -> Tensor:
        return torch.from_numpy(sets[name][0]).float() / 255

    if not args.evaluate:
        model = make(int(data["y_train"].max()) + 1)
        start = time.monotonic()
        train(model, as_input("train"), torch.from_numpy(sets["train"][1]), args.epochs)
        print(f"{args.epochs} epochs, {time.monotonic() - start:.0f} s")
        save_scripted(model, args.out / "model.pt")

    if args.splits is not None:
        args.splits.mkdir(parents=True, exist_ok=True)
        for name in ("val", "test"):
            np.savez_compressed(args.splits / f"{name}.npz", x=sets[name][0], y=sets[name][1])

    scripted = torch.jit.load(str(args.out / "model.pt"))
    measured = {name: accuracy(scripted, as_input(name), sets[name][1]) for name in ("test", "val")}
    print(f"accuracy: {len(sets['test'][1]):,} test images {measured['test']:.2%}, "
          f"{len(held_out):,} held-out images {measured['val']:.2%}")
