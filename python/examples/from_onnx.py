"""From an ONNX file to an ONNX file for each class. Needs `pip install incite[onnx]`. Takes some seconds."""

import sys
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import nn

import incite

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "onnx-example")
folder.mkdir(parents=True, exist_ok=True)

# Points around five centres, and a classifier of them that stands for one from elsewhere.
torch.manual_seed(0)
centres = 2 * torch.randn(5, 20)
y = torch.arange(2000) % 5
x = centres[y] + torch.randn(2000, 20)
classifier = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 5), nn.Softmax(1))
optimizer = torch.optim.Adam(classifier.parameters(), 1e-2)
for _ in range(50):
    optimizer.zero_grad()
    nn.functional.nll_loss(classifier(x).log(), y).backward()
    optimizer.step()
torch.onnx.export(classifier, (x[:2],), folder / "classifier.onnx", dynamic_shapes=({0: torch.export.Dim("batch")},), verbose=False)

network = incite.from_onnx(folder / "classifier.onnx")
result = incite.decompose(network, x, y, target_compression=4)
print(result.table())

files = result.to_onnx(folder / "modules")
session = onnxruntime.InferenceSession(files[3])
probabilities = session.run(None, {"x": x.numpy()})[0]  # [N, 2]: others, class 3
print(f"{files[3].name}: right on {np.mean((probabilities[:, 1] > probabilities[:, 0]) == (y.numpy() == 3)):.1%} of the samples")
