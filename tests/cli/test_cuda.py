"""On a GPU: the same results as on the CPU, and modules that need no GPU. Skipped without a GPU."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import networks
from conftest import Cli

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")

IMAGE = (1, 8, 8)
SEQUENCE = (5, networks.FEATURES)


class Attention(nn.Module):
    """A classifier of sequences, [N, T, 6] to [N, 3]: one encoder layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.TransformerEncoderLayer(networks.FEATURES, 2, 12, 0.0, batch_first=True)
        self.head = nn.Linear(networks.FEATURES, networks.CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(x).mean(1))


class Residual(nn.Module):
    """An image classifier, [N, 1, 8, 8] to [N, 3], of a residual block with a depthwise convolution."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.block = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.ReLU(), nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8))
        self.head = nn.Linear(8, networks.CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        return self.head(torch.relu(x + self.block(x)).mean((2, 3)))


NETWORKS = {
    "linear": (networks.mlp, (networks.FEATURES,)),
    "softmax": (lambda: networks.mlp(nn.Softmax(1)), (networks.FEATURES,)),
    "convolutions": (networks.ConvNet, IMAGE),
    "residual": (Residual, IMAGE),
    "squeeze": (networks.Squeeze, IMAGE),
    "tokens": (networks.Tokens, SEQUENCE),
    "recurrent": (networks.Recurrent, SEQUENCE),
    "gated": (networks.Gated, (networks.FEATURES,)),
    "attention": (Attention, SEQUENCE),
}


def decompose(cli: Cli, device: str, *options: str) -> dict[str, Any]:
    where = ("--device", device, "--out", device)
    return json.loads(cli.done("decompose", "model.pt", "--data", "data.npz", *where, "--json", "--keep-scores", *options))


def scores(folder: Path) -> np.ndarray:
    with np.load(folder / "scores.npz") as archive:
        return archive["sums"]


def prepare(cli: Cli, name: str, count: int = 600) -> np.ndarray:
    make, shape = NETWORKS[name]
    random = np.random.default_rng(0)
    x = random.standard_normal((count, *shape)).astype(np.float32)
    networks.save(make(), cli.folder / "model.pt")
    np.savez(cli.folder / "data.npz", x=x, y=np.arange(count) % networks.CLASSES)
    return x


@pytest.mark.parametrize("name", NETWORKS)
def test_scores_and_what_modules_keep_are_the_cpus(cli: Cli, name: str) -> None:
    prepare(cli, name)
    cpu, gpu = (decompose(cli, device, "--samples", "all", "--clustering", "none") for device in ("cpu", "cuda"))
    expected = scores(cli.folder / "cpu")
    np.testing.assert_allclose(scores(cli.folder / "cuda"), expected, rtol=0, atol=1e-5 * expected.max())
    assert [module["kept"] for module in gpu["modules"]] == [module["kept"] for module in cpu["modules"]]
    assert gpu["settings"]["device"] == "cuda:0"
    assert gpu["evaluation"]["original_accuracy"] == pytest.approx(cpu["evaluation"]["original_accuracy"], abs=0.02)
    assert gpu["evaluation"]["combined_accuracy"] == pytest.approx(cpu["evaluation"]["combined_accuracy"], abs=0.05)


@pytest.mark.parametrize("name", NETWORKS)
def test_modules_need_no_gpu_and_say_what_they_say_on_one(cli: Cli, name: str) -> None:
    x = torch.from_numpy(prepare(cli, name))
    decompose(cli, "cuda")
    for file in sorted((cli.folder / "cuda").glob("module-*.pt")):
        module = torch.jit.load(file)
        assert {parameter.device.type for parameter in module.parameters()} == {"cpu"}
        with torch.no_grad():
            here = module(x)
            there = module.to("cuda")(x.to("cuda")).cpu()
        torch.testing.assert_close(there, here, rtol=1e-3, atol=1e-3)


def test_fine_tuning_and_every_stage(cli: Cli) -> None:
    prepare(cli, "residual")
    options = ("--finetune", "2", "--keep", "0.6", "--samples", "auto")
    document = decompose(cli, "cuda", *options)
    assert document["settings"]["finetune"] == 2
    gpu, cpu = (json.loads(cli.done("evaluate", "cuda", "--data", "data.npz", "--device", device, "--json")) for device in ("cuda", "cpu"))
    assert gpu["evaluation"]["combined_accuracy"] == pytest.approx(cpu["evaluation"]["combined_accuracy"], abs=0.02)


def test_tf32_scores_are_nearly_those_of_float32(cli: Cli) -> None:
    prepare(cli, "residual")
    decompose(cli, "cuda", "--samples", "all")
    expected = scores(cli.folder / "cuda")
    document = decompose(cli, "cuda", "--samples", "all", "--tf32", "--force")
    assert document["settings"]["tf32"] is True
    np.testing.assert_allclose(scores(cli.folder / "cuda"), expected, rtol=0, atol=1e-2 * expected.max())


def test_regression(cli: Cli) -> None:
    x = np.random.default_rng(0).standard_normal((600, networks.FEATURES)).astype(np.float32)
    networks.save(networks.mlp(), cli.folder / "model.pt")
    with torch.no_grad():
        y = torch.jit.load(cli.folder / "model.pt")(torch.from_numpy(x)).numpy()
    np.savez(cli.folder / "data.npz", x=x, y=y)
    cpu, gpu = (decompose(cli, device, "--samples", "all", "--clustering", "none") for device in ("cpu", "cuda"))
    assert [module["kept"] for module in gpu["modules"]] == [module["kept"] for module in cpu["modules"]]


def test_two_runs_are_the_same(cli: Cli) -> None:
    prepare(cli, "convolutions")
    decompose(cli, "cuda")
    (cli.folder / "cuda").rename(cli.folder / "before")
    decompose(cli, "cuda")
    for file in sorted((cli.folder / "before").glob("*.pt")):
        assert (cli.folder / "cuda" / file.name).read_bytes() == file.read_bytes()


def test_a_cuda_device_too_many(cli: Cli) -> None:
    prepare(cli, "linear")
    count = torch.cuda.device_count()
    message = f"--device cuda:{count}: there are {count} CUDA devices; expected cuda:0 to cuda:{count - 1}"
    cli.refused(8, message, "decompose", "model.pt", "--data", "data.npz", "--device", f"cuda:{count}", "--out", "out")
