"""How the networks for images are trained."""

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from incite_lab.models.recipes import ImageRecipe


def repeatable(threads: int, seed: int | None = None) -> None:
    """The same sums, and so the same weights, on every run on this machine."""
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    if seed is not None:
        torch.manual_seed(seed)


def as_input(x: np.ndarray) -> Tensor:
    """Images in [0, 1], whatever their shape; other numbers as they are."""
    return torch.from_numpy(x).float() / (255 if x.dtype == np.uint8 else 1)


def shifted(x: Tensor, by: int = 1) -> Tensor:
    """Images of 28 × 28 in the last two dimensions, moved together by up to `by` pixels each way."""
    down, right = (int(v) for v in torch.randint(-by, by + 1, (2,)))
    return functional.pad(x, (by, by, by, by))[..., by + down : by + down + 28, by + right : by + right + 28]


def train_classifier(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    epochs: int,
    optimizer: torch.optim.Optimizer,
    cycle: Mapping[str, Any],
    change: Callable[[Tensor], Tensor] = shifted,
    clip: float | None = None,
) -> None:
    """One cycle of the learning rate. `change` is applied to each batch of images; `clip` bounds the gradients' norm."""
    batch = 128
    steps = epochs * ((len(x) + batch - 1) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, total_steps=steps, **cycle)
    for epoch in range(epochs):
        total = 0.0
        for index in torch.randperm(len(x)).split(batch):
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(change(x[index])), y[index])
            loss.backward()
            if clip is not None:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            schedule.step()
            total += loss.item() * len(index)
        print(f"epoch {epoch + 1:2}/{epochs}  loss {total / len(x):.4f}", flush=True)


def enlarged(images: np.ndarray, side: int = 56) -> Tensor:
    """uint8 [N, 1, side, side] of [N, 28, 28]."""
    x = torch.from_numpy(images[:, None])
    if x.shape[-1] == side:
        return x
    return functional.interpolate(x.float(), size=(side, side), mode="bilinear").round().to(torch.uint8)


def turned(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Square images [N, C, H, H] and labels of their pixels [N, H, H], all mirrored or turned in the same way, one of eight."""
    mirror, quarters = (int(torch.randint(count, ())) for count in (2, 4))
    if mirror:
        x, y = x.flip(-1), y.flip(-1)
    return x.rot90(quarters, (-2, -1)), y.rot90(quarters, (-2, -1))


def train_on_images(model: nn.Module, x: Tensor, y: Tensor, loss_of: Callable[[Tensor, Tensor], Tensor], recipe: ImageRecipe) -> None:
    """Adam with one cycle of the learning rate, on whole batches of uint8 images [N, C, H, W]. Prints each epoch's loss on stderr."""
    batch = recipe.batch
    supported = torch.cpu.get_capabilities()
    bfloat16 = recipe.bfloat16 and any(supported.get(name, False) for name in ("amx_bf16", "avx512_bf16"))
    multiplies = torch.autocast("cpu", torch.bfloat16, enabled=bfloat16)
    model.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(model.parameters(), recipe.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.learning_rate, total_steps=recipe.epochs * (len(x) // batch))
    for epoch in range(recipe.epochs):
        start, losses = time.monotonic(), []
        order = torch.randperm(len(x))
        for rows in order[: len(x) // batch * batch].split(batch):
            images, truth = turned(x[rows], y[rows]) if recipe.turned else (x[rows], y[rows])
            with multiplies:
                output = model(images.float() / 255)
            loss = loss_of(output.float(), truth)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        line = f"epoch {epoch + 1}/{recipe.epochs}: loss {np.mean(losses):.4f}, {time.monotonic() - start:.0f} s"
        print(line, file=sys.stderr, flush=True)
    model.to(memory_format=torch.contiguous_format)
