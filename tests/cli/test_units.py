"""Units and groups of well-known networks: over-tying them would pass every check of slices against masks.

The counts are those that a prototype in Python found independently (its table: ResNet-18 has 12 groups and 2,880 units besides
the head, …). They count what can be removed; the streams that layer norms pin in ConvNeXt, ViT and Swin come on top. Groups of
ShuffleNetV2 are fewer than the prototype's 49: here a depthwise convolution over channels of several layers makes one group of
their units.
"""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("torchvision", reason="torchvision is not installed: scripts/setup.sh does it")
from incite_lab.models.torchvision_models import new_model  # it imports torchvision
from incite_lab.paths import MODELS

NETWORKS = {  # input size, groups, units
    "resnet18": (32, 12, 2_880),
    "resnext50_32x4d": (32, 21, 4_416),
    "densenet121": (32, 120, 10_240),
    "mobilenet_v2": (32, 25, 9_128),
    "efficientnet_b0": (32, 40, 11_404),
    "shufflenet_v2_x1_0": (32, 25, 5_630),
    "regnet_y_400mf": (32, 37, 2_323),
    "inception_v3": (75, 94, 17_216),
    "convnext_tiny": (32, 18, 26_496),
    "vit_b_16": (32, 24, 37_008),
    "swin_t": (32, 24, 17_802),
}


def removable(binary: Path, model: Path, data: Path) -> list[int]:
    """How many units can be removed in each group that has any."""
    command = [str(binary), "inspect", str(model), "--data", str(data), "--threads", "1", "--json"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True).stdout)
    return [group["units"] - group["pinned"] for group in found["groups"] if group["units"] > group["pinned"]]


@pytest.mark.parametrize("name", NETWORKS)
def test_units_and_groups_are_those_of_the_table(binary: Path, tmp_path: Path, name: str) -> None:
    size, groups, units = NETWORKS[name]
    torch.jit.script(new_model(name, size).eval()).save(str(tmp_path / "model.pt"))
    samples = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    np.savez(tmp_path / "data.npz", x=samples.numpy(), y=np.array([0, 1]))
    found = removable(binary, tmp_path / "model.pt", tmp_path / "data.npz")
    assert (len(found), sum(found)) == (groups, units)


def test_lenet_has_a_group_for_each_layer(binary: Path) -> None:
    folder = MODELS / "lenet5-mnist"
    assert removable(binary, folder / "model.pt", folder / "val.npz") == [6, 16, 120, 84]
