"""A small vision transformer, for images of 28 × 28."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from incite_lab.models.training import train_classifier

WIDTH = 32  # of what the blocks add up, which modules keep whole
HEADS, PER_HEAD = 4, 12
HIDDEN = 192
BLOCKS = 3
PATCH = 7  # pixels of a patch's side


class Block(nn.Module):
    """[N, T, WIDTH] to the same: attention, then two linear layers, each added to its own input."""

    def __init__(self) -> None:
        super().__init__()
        self.per_head = PER_HEAD
        self.norm1 = nn.LayerNorm(WIDTH)
        self.query, self.key, self.value = (nn.Linear(WIDTH, HEADS * PER_HEAD) for _ in range(3))
        self.out = nn.Linear(HEADS * PER_HEAD, WIDTH)
        self.norm2 = nn.LayerNorm(WIDTH)
        self.linear1 = nn.Linear(WIDTH, HIDDEN)
        self.linear2 = nn.Linear(HIDDEN, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        query, key, value = self.by_head(self.query(y)), self.by_head(self.key(y)), self.by_head(self.value(y))
        y = functional.scaled_dot_product_attention(query, key, value)
        x = x + self.out(y.transpose(1, 2).flatten(2))
        return x + self.linear2(functional.gelu(self.linear1(self.norm2(x))))

    def by_head(self, x: Tensor) -> Tensor:
        """[N, T, heads · per_head] to [N, heads, T, per_head]."""
        return x.unflatten(2, (-1, self.per_head)).transpose(1, 2)


class Transformer(nn.Module):
    """Images [N, 1, 28, 28] in [0, 1] to logits [N, outputs]. 16 patches, blocks of attention, and the mean over the patches."""

    def __init__(self, outputs: int = 10) -> None:
        super().__init__()
        self.patch = nn.Conv2d(1, WIDTH, PATCH, PATCH)
        self.place = nn.Parameter(0.02 * torch.randn(1, (28 // PATCH) ** 2, WIDTH))
        self.blocks = nn.Sequential(*(Block() for _ in range(BLOCKS)))
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2) + self.place
        return self.head(self.norm(self.blocks(x)).mean(1))


def train(model: nn.Module, x: Tensor, y: Tensor, epochs: int) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    train_classifier(model, x, y, epochs, optimizer, {"max_lr": 3e-3, "pct_start": 0.2}, clip=1.0)
