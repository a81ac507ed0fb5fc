"""Training of the paper's image networks."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Recipe:
    """How a network is trained, on how much, and what Incite gets of the data."""

    epochs: int
    batch: int
    learning_rate: float  # at its highest
    images: int | None = None  # to train on, drawn with the seed; None: all
    given: int | None = None  # to decompose with, those that it was trained on first; None: all
    tested: int | None = None  # test images, drawn with the seed; None: all
    side: int = 28  # of an image
    bfloat16: bool = False  # multiply in it where the processor does, which is up to several times as fast; weights stay float32


VGGNET16 = Recipe(epochs=3, batch=32, learning_rate=3e-4, images=4_000, given=8_000, tested=2_000, side=56, bfloat16=True)


def enlarged(images: np.ndarray, side: int = 56) -> Tensor:
    """uint8 [N, 1, side, side] of [N, 28, 28]."""
    x = torch.from_numpy(images[:, None])
    if x.shape[-1] == side:
        return x
    return functional.interpolate(x.float(), size=(side, side), mode="bilinear").round().to(torch.uint8)


def train(model: nn.Module, x: Tensor, y: Tensor, loss_of: Callable[[Tensor, Tensor], Tensor], recipe: Recipe) -> None:
    """Adam with one cycle of the learning rate, on whole batches of uint8 images [N, 1, H, W]. Tells each epoch's loss on stderr."""
    batch = recipe.batch
    able = torch.cpu.get_capabilities()
    bfloat16 = recipe.bfloat16 and any(able.get(one, False) for one in ("amx_bf16", "avx512_bf16"))
    multiplies = torch.autocast("cpu", torch.bfloat16, enabled=bfloat16)
    model.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(model.parameters(), recipe.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.learning_rate, total_steps=recipe.epochs * (len(x) // batch))
    for epoch in range(recipe.epochs):
        began, losses = time.monotonic(), []
        order = torch.randperm(len(x))
        for rows in order[: len(x) // batch * batch].split(batch):
            with multiplies:
                found = model(x[rows].float() / 255)
            loss = loss_of(found.float(), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        told = f"epoch {epoch + 1}/{recipe.epochs}: loss {np.mean(losses):.4f}, {time.monotonic() - began:.0f} s"
        print(told, file=sys.stderr, flush=True)
    model.to(memory_format=torch.contiguous_format)
