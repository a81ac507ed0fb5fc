"""A network of two values, taken apart into a network for each; one of them is trained further. Takes some seconds."""

import torch
from torch import nn

import incite

torch.manual_seed(0)
x = torch.rand(4000, 3) * 4 - 2
y = torch.stack([torch.sin(x[:, 0]) + x[:, 1], x[:, 1] * x[:, 2]], dim=1)

network = nn.Sequential(nn.Linear(3, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
optimizer = torch.optim.Adam(network.parameters(), 3e-3)
for _ in range(300):
    optimizer.zero_grad()
    nn.functional.mse_loss(network(x[:3000]), y[:3000]).backward()
    optimizer.step()

result = incite.decompose(network, x[:3000], y[:3000], test=(x[3000:], y[3000:]), names=["sum", "product"], target_compression=3)
print(result.table())

# A module returns [N, 1].
product = result.modules["product"]
optimizer = torch.optim.Adam(product.train().parameters(), 1e-3)
for _ in range(100):
    optimizer.zero_grad()
    nn.functional.mse_loss(product(x[:3000]), y[:3000, 1:]).backward()
    optimizer.step()

before = result.modules.info("product")["mae"]
after = (product.eval()(x[3000:]) - y[3000:, 1:]).abs().mean().item()
print(f"product: mean absolute error {before:.4f}, after more training {after:.4f}")
