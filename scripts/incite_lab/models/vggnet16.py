"""Trains the paper's VGGNet-16 on part of MNIST at 56 × 56, for incite-lab bench vggnet16; about ten minutes on two cores.

Writes model.pt, val.npz (samples not used in training) and test.npz into --out.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from incite_lab.models.data import mnist
from incite_lab.models.recipes import VGGNET16


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, metavar="FILE.npz", help="MNIST: x_train, y_train, x_test, y_test")
    parser.add_argument("--train", type=int, default=VGGNET16.images, help="images to train on (default: %(default)s)")
    parser.add_argument("--val", type=int, default=4_000, help="further images for val.npz (default: %(default)s)")
    parser.add_argument("--test", type=int, default=VGGNET16.tested, help="test images (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=VGGNET16.epochs, help="default: %(default)s")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")


def main(args: argparse.Namespace) -> None:
    import torch
    from torch.nn import functional

    from incite_lab.models import architectures
    from incite_lab.models.export import save_scripted
    from incite_lab.models.training import as_input, enlarged, train_on_images

    torch.manual_seed(1)
    data = mnist(args.data)
    order = np.random.default_rng(1).permutation(len(data["x_train"]))
    used, held_out = order[: args.train], order[args.train : args.train + args.val]
    model = architectures.vggnet16()
    x, y = enlarged(data["x_train"][used]), torch.from_numpy(data["y_train"][used].astype(np.int64))
    train_on_images(model[:-1], x, y, functional.cross_entropy, replace(VGGNET16, epochs=args.epochs))  # without the softmax
    scripted = save_scripted(model, args.out / "model.pt")
    test = enlarged(data["x_test"][: args.test]).numpy()
    labels = data["y_test"][: args.test].astype(np.int64)
    np.savez(args.out / "val.npz", x=enlarged(data["x_train"][held_out]).numpy(), y=data["y_train"][held_out].astype(np.int64))
    np.savez(args.out / "test.npz", x=test, y=labels)
    with torch.no_grad():
        predicted = torch.cat([scripted(batch).argmax(1) for batch in as_input(test).split(100)])
    print(f"accuracy on {len(test):,} test images: {float((predicted.numpy() == labels).mean()):.2%}")
