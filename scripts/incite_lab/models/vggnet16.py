#!/usr/bin/env python3
"""Trains the paper's VGGNet-16 on some of MNIST at 56 × 56, for scripts/bench/vggnet16.py; about ten minutes on two cores.

Writes model.pt, val.npz (what it was not trained on) and test.npz into --out.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

import architectures
from data import mnist
from export import save_scripted
from training import VGGNET16, enlarged, train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, metavar="FILE.npz", help="MNIST: x_train, y_train, x_test, y_test")
    parser.add_argument("--train", type=int, default=VGGNET16.images, help="images to train on")
    parser.add_argument("--val", type=int, default=4_000, help="further images for val.npz")
    parser.add_argument("--test", type=int, default=VGGNET16.tested, help="test images")
    parser.add_argument("--epochs", type=int, default=VGGNET16.epochs)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.manual_seed(1)
    data = mnist(args.data)
    order = np.random.default_rng(1).permutation(len(data["x_train"]))
    used, held_out = order[: args.train], order[args.train : args.train + args.val]
    model = architectures.vggnet16()
    x, y = enlarged(data["x_train"][used]), torch.from_numpy(data["y_train"][used].astype(np.int64))
    train(model[:-1], x, y, functional.cross_entropy, replace(VGGNET16, epochs=args.epochs))  # without the softmax
    scripted = save_scripted(model, args.out / "model.pt")
    test = enlarged(data["x_test"][: args.test])
    labels = data["y_test"][: args.test].astype(np.int64)
    np.savez(args.out / "val.npz", x=enlarged(data["x_train"][held_out]).numpy(), y=data["y_train"][held_out].astype(np.int64))
    np.savez(args.out / "test.npz", x=test.numpy(), y=labels)
    with torch.no_grad():
        predicted = torch.cat([scripted(batch.float() / 255).argmax(1) for batch in test.split(100)])
    print(f"accuracy on {len(test):,} test images: {float((predicted.numpy() == labels).mean()):.2%}")


if __name__ == "__main__":
    main()
