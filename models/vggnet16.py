#!/usr/bin/env python3
"""Trains the paper's VGGNet-16 on some of MNIST at 56 × 56, for scripts/bench/vggnet16.py; about ten minutes on two cores.

Writes model.pt, val.npz (what it was not trained on) and test.npz into --out.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

import architectures
from data import mnist
from export import save_scripted


def enlarged(images: np.ndarray) -> Tensor:
    """uint8 [N, 1, 56, 56] of [N, 28, 28]."""
    x = torch.from_numpy(images[:, None]).float()
    return functional.interpolate(x, size=(56, 56), mode="bilinear").round().to(torch.uint8)


def train(model: nn.Sequential, x: Tensor, y: Tensor, epochs: int) -> None:
    body, batch = model[:-1], 32  # without the softmax
    body.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(body.parameters(), 3e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-4, total_steps=epochs * (len(x) // batch))
    for epoch in range(epochs):
        began, losses = time.monotonic(), []
        order = torch.randperm(len(x))
        for rows in order[: len(x) // batch * batch].split(batch):
            loss = functional.cross_entropy(body(x[rows].float() / 255), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1}: loss {np.mean(losses):.4f}, {time.monotonic() - began:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, metavar="FILE.npz", help="MNIST: x_train, y_train, x_test, y_test")
    parser.add_argument("--train", type=int, default=4_000, help="images to train on")
    parser.add_argument("--val", type=int, default=4_000, help="further images for val.npz")
    parser.add_argument("--test", type=int, default=2_000, help="test images")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.manual_seed(1)
    data = mnist(args.data)
    order = np.random.default_rng(1).permutation(len(data["x_train"]))
    used, held_out = order[: args.train], order[args.train : args.train + args.val]
    model = architectures.vggnet16()
    train(model, enlarged(data["x_train"][used]), torch.from_numpy(data["y_train"][used].astype(np.int64)), args.epochs)
    scripted = save_scripted(model.to(memory_format=torch.contiguous_format), args.out / "model.pt")
    test = enlarged(data["x_test"][: args.test])
    labels = data["y_test"][: args.test].astype(np.int64)
    np.savez(args.out / "val.npz", x=enlarged(data["x_train"][held_out]).numpy(), y=data["y_train"][held_out].astype(np.int64))
    np.savez(args.out / "test.npz", x=test.numpy(), y=labels)
    with torch.no_grad():
        predicted = torch.cat([scripted(batch.float() / 255).argmax(1) for batch in test.split(100)])
    print(f"accuracy on {len(test):,} test images: {float((predicted.numpy() == labels).mean()):.2%}")


if __name__ == "__main__":
    main()
