"""A small LSTM that reads images of 28 × 28 row by row."""

import torch
from torch import Tensor, nn

from incite_lab.models.training import train_classifier


class LSTMClassifier(nn.Module):
    """Images [N, 28, 28] in [0, 1], read row by row, to logits [N, outputs]."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(28, 64, num_layers=2, batch_first=True)
        self.fc = nn.Linear(64, outputs)

    def forward(self, x: Tensor) -> Tensor:
        outputs, _ = self.lstm(x)
        return self.fc(outputs[:, -1])


def train(model: nn.Module, x: Tensor, y: Tensor, epochs: int) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    train_classifier(model, x, y, epochs, optimizer, {"max_lr": 4e-3, "pct_start": 0.2}, clip=1.0)
