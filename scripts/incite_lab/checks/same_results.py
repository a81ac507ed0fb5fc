"""Shows that two builds of incite give the same results.

    .venv/bin/python -m incite_lab.checks.same_results BEFORE AFTER --work FOLDER [--only NAME ...]

Each case is one command or several, run in a folder of its own by both programs. Compared are exit codes, stdout and stderr, the names of
all files, weights and outputs of modules to the last bit, arrays, and documents. Times are left out: the line "Seconds: ...", "timing" and
"latency_ms". Whether the bytes of files are equal too is told and is no condition. What BEFORE gives is kept in the folder, by the SHA-256
of the program, the commands and what they read: a later comparison runs AFTER alone. What AFTER gives stays in FOLDER/different where it
differs. Exit code 1: something differs.
"""

import argparse
import hashlib
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from incite_lab.paths import MODELS

SAMPLES = 64  # that outputs of modules are compared on
LIMIT = 300  # seconds for a command
Facts = dict[str, Any]  # what is compared, by a name for people


# ---- networks and data ----


class Images(nn.Module):
    """[N, 3, 12, 12] to [N, 4]: a depthwise convolution, a gate, batch norms."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU6(), nn.Conv2d(12, 24, 1), nn.Hardswish())
        self.depthwise = nn.Sequential(nn.Conv2d(24, 24, 3, stride=2, padding=1, groups=24, bias=False), nn.BatchNorm2d(24), nn.ReLU())
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(24, 6, 1), nn.ReLU(), nn.Conv2d(6, 24, 1), nn.Sigmoid())
        self.last = nn.Sequential(nn.Conv2d(24, 16, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4))

    def forward(self, x: Tensor) -> Tensor:
        x = self.depthwise(self.stem(x))
        out: Tensor = self.last(x * self.gate(x))
        return out


class Tokens(nn.Module):
    """Int64 [N, 10] to [N, 4]: a transformer encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(12, 16)
        self.place = nn.Parameter(0.1 * torch.randn(10, 16))
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 32, 0.0, batch_first=True), 2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.encoder(self.embedding(x) + self.place).mean(1))
        return out


class Rows(nn.Module):
    """[N, 10, 8] to [N, 4]: a GRU of two directions."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(8, 12, bidirectional=True, batch_first=True)
        self.head = nn.Linear(24, 4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.softmax(self.head(self.gru(x)[0].mean(1)), 1)


class Two(nn.Module):
    """[N, 3, 12, 12] and [N, 6] to a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(200, 20), nn.ReLU())
        self.facts = nn.Sequential(nn.Linear(6, 12), nn.ReLU())
        self.head = nn.Linear(32, 4)

    def forward(self, image: Tensor, facts: Tensor) -> dict[str, Tensor]:
        joined = torch.cat([self.image(image), self.facts(facts)], 1)
        return {"hidden": joined, "logits": self.head(joined)}


class Odd(nn.Module):
    """[N, 6] to [N, 3], in a way that is refused."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.first = nn.Linear(6, 8)
        self.last = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        if self.way == "noise":
            x = x + torch.randn_like(x)
        hidden = torch.relu(self.first(x))
        if self.way == "branch" and hidden.sum() > 0:
            hidden = hidden * 2
        if self.way == "batch":
            hidden = hidden.view(8, -1)
        return torch.tanh(self.last(hidden)) if self.way == "tanh" else self.last(hidden)


def dense(inputs: int, hidden: int, outputs: int, *more: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, outputs), *more)


def scattered(count: int, classes: int, *shape: int, noise: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Points around a centre for each class, and their classes."""
    random = np.random.default_rng(0)
    centres, y = random.standard_normal((classes, *shape)), np.arange(count) % classes
    return (centres[y] + noise * random.standard_normal((count, *shape))).astype(np.float32), y


def trained(model: nn.Module, y: np.ndarray, *inputs: np.ndarray) -> nn.Module:
    """A little, on all samples at once."""
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(40):
        out = model(*(torch.from_numpy(x) / (255 if x.dtype == np.uint8 else 1) if x.dtype != np.int64 else torch.from_numpy(x) for x in inputs))
        out = out["logits"] if isinstance(out, dict) else out
        if out.dim() == 1 or out.shape[1] == 1:
            probability = torch.sigmoid(out) if out.dim() == 1 else out
            loss = nn.functional.binary_cross_entropy(probability.flatten(), torch.from_numpy(y).float())
        else:
            loss = nn.functional.cross_entropy(out, torch.from_numpy(y))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return model.eval()


def make_inputs(folder: Path, models: Path) -> None:
    """Models and data of all cases, in a new folder; seeded."""
    folder.mkdir(parents=True)
    for name, original in [("lenet", "lenet5-mnist"), ("fashion", "lenet5-fmnist"), ("lstm", "lstm-mnist"), ("resnet", "resnet-fmnist"),
                        ("sines", "regression/sin-cos-sqrt"), ("logs", "regression/exp-log")]:  # fmt: skip
        shutil.copyfile(models / original / "model.pt", folder / f"{name}.pt")

    def data(name: str, **arrays: np.ndarray) -> None:
        np.savez(folder / f"{name}.npz", **arrays)  # type: ignore[arg-type]

    def script(name: str, model: nn.Module, example: Tensor | None = None) -> None:
        model.eval()
        made = torch.jit.script(model) if example is None else torch.jit.trace(model, example, check_trace=False)  # type: ignore[no-untyped-call]
        made.save(str(folder / f"{name}.pt"))

    val, test = np.load(models / "lenet5-mnist/val.npz"), np.load(models / "lenet5-mnist/test.npz")
    x, y = val["x"][:1500], val["y"][:1500]
    data("digits", x=x, y=y)
    data("digits-test", x=test["x"][:500], y=test["y"][:500])
    data("digits-own", x=x[:600])
    data("digits-rows", x=x[:800, 0], y=y[:800])
    data("digits-few", x=x[:150].reshape(150, 784) / np.float32(255), target=np.eye(10, dtype=np.float32)[y[:150]])
    for name in ("sines", "logs"):
        file = np.load(models / f"regression/{'sin-cos-sqrt' if name == 'sines' else 'exp-log'}/train.npz")
        data(name, x=file["x"][:2000], y=file["y"][:2000])

    torch.manual_seed(0)
    x, y = scattered(600, 4, 3, 12, 12)
    x = np.clip(128 + 30 * x, 0, 255).astype(np.uint8)
    data("images", x=x, y=y)
    data("images-nhwc", x=x.transpose(0, 2, 3, 1), y=y)
    model = trained(Images(), y, x)
    script("images", model)
    torch.jit.freeze(torch.jit.script(model)).save(str(folder / "frozen.pt"))
    pooled = nn.Sequential(nn.Conv2d(3, 12, 3), nn.ReLU(), nn.Conv2d(12, 16, 3), nn.ReLU(), nn.Conv2d(16, 4, 1))
    pooled.extend([nn.AdaptiveAvgPool2d(1), nn.Flatten()])
    script("pooled", trained(pooled, y, x))
    facts = scattered(600, 4, 6)[0]
    data("two", image=x, facts=facts, y=y)
    script("two", trained(Two(), y, x, facts))
    x, y = scattered(600, 4, 10)
    x = np.clip(6 + 2 * x, 0, 11).astype(np.int64)
    data("tokens", x=x, y=y)
    script("tokens", trained(Tokens(), y, x), torch.from_numpy(x[:3]))
    x, y = scattered(600, 4, 10, 8)
    data("rows", x=x, y=y)
    script("rows", trained(Rows(), y, x))
    x, y = scattered(600, 2, 6)
    data("binary", x=x, y=y)
    script("binary", trained(dense(6, 24, 1, nn.Sigmoid()), y, x))
    script("flat", trained(dense(6, 24, 1, nn.Flatten(0)), y, x))
    x, y = scattered(5000, 5, 64, noise=4)
    data("points", x=x, y=y)
    script("points", trained(dense(64, 320, 5), y, x))
    x, y = scattered(90, 3, 6)
    data("odd", x=x, y=y)
    data("odd-labels", x=x, y=y + 1)
    data("odd-length", x=x, y=y[:80])
    for way in ("noise", "branch", "batch", "tanh"):
        script(way, Odd(way), torch.from_numpy(x[:8]) if way == "batch" else None)
    (folder / "text.pt").write_text("no model\n")
    (folder / "cut.pt").write_bytes((folder / "lenet.pt").read_bytes()[:50_000])
    (folder / "cut.npz").write_bytes((folder / "digits.npz").read_bytes()[:50_000])


# ---- cases ----


@dataclass(frozen=True)
class Step:
    """A command; in/ holds models and data."""

    command: str
    kill_at: str = ""  # SIGKILL as soon as there is a file of this pattern
    by_before: bool = False  # BEFORE runs it for both: AFTER must read what it writes


@dataclass(frozen=True)
class Case:
    steps: tuple[Step, ...]
    data: str = "digits"  # whose first samples compositions are run on
    equal: tuple[str, str] | None = None  # two folders that must hold the same


def case(*steps: str | Step, data: str = "digits", equal: tuple[str, str] | None = None) -> Case:
    return Case(tuple(Step(step) if isinstance(step, str) else step for step in steps), data, equal)


def stopped(command: str, kill_at: str, *between: str) -> Case:
    """Undisturbed; killed; perhaps more; and gone on."""
    steps: tuple[str | Step, ...] = (command.replace("--out out", "--out whole"), Step(command, kill_at), *between, f"{command} --resume")
    return case(*steps, equal=("whole", "out"))


MEMORY = "--memory 1GB -v"
D = f"decompose in/lenet.pt --data in/digits.npz --out out {MEMORY}"
FEW = f"{D} --outputs 0,3,8"


def small(name: str, options: str = "", model: str = "") -> Case:
    return case(f"decompose in/{model or name}.pt --data in/{name}.npz --out out {MEMORY} {options}")


POINTS = "decompose in/points.pt --data in/points.npz --outputs 0,2 --clustering none --samples all --memory 16MB -v --out"
PART = "decompose in/lenet.pt --data in/digits.npz --calibration heads --samples 256 --memory 1GB -q --out"
SINES = "decompose in/sines.pt --data in/sines.npz -q --out"

CASES: dict[str, Case] = {
    "defaults": case("decompose in/lenet.pt --data in/digits.npz --out out"),
    "test-and-json": case(f"{D} --test in/digits-test.npz --json"),
    "held-out": case(f"{FEW} --held-out 0.4"),
    "outputs": case(f"{D} --outputs 3,7 --seed 7"),
    "one-output": case(f"{D} --outputs 5"),
    "preset-paper": case(f"{D} --preset paper"),
    "paper-but-keep": case(f"{FEW} --preset paper --keep 0.3 --repair mean --epochs 20"),
    "keep": case(f"{D} --keep 0.4"),
    "target-uniform": case(f"{D} --target-compression 8 --allocation uniform"),
    "keep-uniform": case(f"{FEW} --keep 0.5 --allocation uniform"),
    "max-loss": case(f"{FEW} --max-loss 4"),
    "max-loss-one": case(f"{D} --max-loss 2 --outputs 6"),
    "finetune": case(f"{D} --target-compression 15 --finetune 2"),
    "head-original": case(f"{D} --head original"),
    "head-original-repair": case(f"{FEW} --head original --repair least-squares --calibration none"),
    "head-adam": case(f"{FEW} --head adam --epochs 12"),
    **{f"calibration-{way}": case(f"{FEW} --calibration {way}") for way in ("heads", "scales", "none")},
    **{f"repair-{way}": case(f"{FEW} --repair {way}") for way in ("mean", "none")},
    **{f"metric-{way}": case(f"{FEW} --metric {way}") for way in ("flips", "random", "magnitude")},
    "factors": case(f"{FEW} --factors 0,0.5,-1"),
    **{f"clustering-{way}": case(f"{FEW} --clustering {way}") for way in ("none", "agglomerative")},
    "cluster-size": case(f"{FEW} --cluster-size 4"),
    "samples-all": case(f"{FEW} --samples all"),
    "samples-count": case(f"{FEW} --samples 300"),
    "agreement": case(f"{FEW} --agreement 0.9 --clustering none"),
    "little-memory": case(f"{FEW} --memory 8MB --samples all".replace("--memory 1GB ", "")),
    "scores": case(f"{FEW} --keep-scores", f"{FEW} --scores out/scores.npz --keep 0.3".replace("--out out", "--out again")),
    "killed-scoring": stopped(
        f"{POINTS} out --keep-scores",
        "out/checkpoint.npz",
        f"{POINTS} out --keep-scores --resume --metric flips",
        f"{POINTS} out --keep-scores",
    ),
    "killed-modules": stopped(D, "out/checkpoint-module-*.pt"),
    "killed-search": stopped(f"{FEW} --max-loss 4", "out/checkpoint-module-*.pt"),
    "old-files": case(
        Step(f"{POINTS} whole", by_before=True),
        Step(f"{POINTS} out", "out/checkpoint.npz", by_before=True),
        f"{POINTS} out --resume",
        Step(f"{PART} parts --outputs 0,3,8 --keep-scores", by_before=True),
        f"{PART} again --outputs 1,8 --scores parts/scores.npz --keep 0.5",
        "compose parts --out joined.pt",
        "evaluate parts --data in/digits-test.npz --json",
        "evaluate joined.pt --data in/digits-test.npz",
        equal=("whole", "out"),
    ),
    "force": case(f"{PART} out --outputs 0", f"{PART} out --outputs 1", f"{PART} out --outputs 2,3 --force"),
    "regression": small("sines"),
    "regression-search": small("sines", "--max-loss 20"),
    "regression-finetune": small("logs", "--target-compression 12 --finetune 2 --held-out 0.3"),
    "regression-paper": small("logs", "--preset paper --epochs 8"),
    "regression-flips": small("sines", "--clustering none --repair mean --calibration none --outputs 0,2"),
    "lstm": small("digits-rows", "--outputs 0,4", model="lstm"),
    "gru": small("rows"),
    "transformer": small("tokens"),
    "transformer-finetune": small("tokens", "--keep 0.5 --finetune 1 --metric magnitude"),
    "resnet-own-targets": small("digits-own", "--task classification --outputs 2,8 --samples 128", model="resnet"),
    "depthwise": small("images"),
    "pooled-head": small("images", "--target-compression 3", model="pooled"),
    "frozen": small("images", "--keep 0.5", model="frozen"),
    "nhwc": small("images-nhwc", "--input-layout nhwc", model="images"),
    "two-inputs": small("two", "--input-key image,facts --output logits"),
    "binary": small("binary", "--target-compression 3"),
    "binary-flat": small("binary", "--target-compression 3 --calibration scales", model="flat"),
    "binary-paper": small("binary", "--preset paper --epochs 10", model="flat"),
    "shape-and-one-hot": small("digits-few", "--input-shape 1,28,28 --target-key target --task classification --outputs 1,7", model="lenet"),
    "wrong-scale": small("digits", "--input-scale 1 --outputs 1,7", model="lenet"),
    "tanh": small("odd", "--head original --keep 0.5", model="tanh"),
    "inspect": case(
        *(f"inspect in/{model}.pt --data in/{data}.npz {options}" for model, data, options in (
            ("lenet", "digits", "-v"), ("lenet", "digits", "--json"), ("lenet", "digits", "--dot -"), ("resnet", "digits", ""),
            ("resnet", "digits", "--full"), ("resnet", "digits", "--dot out/resnet.dot"), ("resnet", "digits", "--json"),
            ("resnet", "digits-own", ""),
            ("lstm", "digits-rows", "--full"), ("tokens", "tokens", ""), ("tokens", "tokens", "--json"), ("tokens", "tokens", "--dot -"),
            ("images", "images", "--full"), ("frozen", "images", "--json"), ("images", "images-nhwc", "--input-layout nhwc"),
            ("two", "two", "--input-key image,facts --output logits --json"), ("flat", "binary", ""), ("sines", "sines", "--json"),
            ("tanh", "odd", "--json"), ("branch", "odd", ""), ("noise", "odd", "--json"), ("rows", "rows", "-q"),
        )),
    ),  # fmt: skip
    "evaluate": case(
        f"{PART} out --outputs 0,3,8",
        "evaluate out --data in/digits-test.npz -v",
        "evaluate out --data in/digits-test.npz --json",
        "evaluate out --data in/digits-test.npz --latency",
        "evaluate out --data in/digits-test.npz --latency --json",
        "evaluate out --data in/digits-test.npz --model in/lenet.pt",
        "evaluate out/module-3.pt --data in/digits-test.npz",
        "evaluate out/module-8.pt --data in/digits-test.npz --json",
        "evaluate in/lenet.pt --data in/digits-test.npz",
        "evaluate in/lenet.pt --data in/digits-test.npz --latency --json",
        "evaluate in/two.pt --data in/two.npz --input-key image,facts --output logits --json",
        f"{SINES} sines --outputs 1,2",
        "evaluate sines --data in/sines.npz",
        "evaluate sines --data in/sines.npz --json",
        "evaluate sines/module-2.pt --data in/sines.npz --json",
        "evaluate in/sines.pt --data in/sines.npz",
    ),
    "compose": case(
        f"{PART} a --outputs 0,1,2,3",
        f"{PART} b --outputs 2 --target-compression 10",
        f"{PART} c --outputs 4,5 --head original",
        "decompose in/fashion.pt --data in/digits-own.npz --task classification --outputs 3,6 --calibration none -q --out d",
        "compose a/module-0.pt c/module-5.pt --out join.pt -v",
        "compose a c --out all.pt --json",
        "compose a --replace 2=b/module-2.pt --out replace.pt",
        "compose a --remove 1,3 --out remove.pt",
        "compose a --names zero,one,two,three --out names.pt",
        "compose a d/module-3.pt d/module-6.pt --data in/digits.npz --out two-models.pt",
        "compose b --out alone.pt",
        *(f"evaluate {name}.pt --data in/digits-test.npz --json" for name in ("join", "all", "replace", "remove", "names", "two-models", "alone")),
        "evaluate all.pt --data in/digits-test.npz",
        "inspect all.pt --data in/digits.npz",
    ),
    "compose-regression": case(
        f"{SINES} a --outputs 0,1",
        f"{SINES} b --outputs 1 --keep 0.5",
        "compose a --replace 1=b/module-1.pt --out new.pt --names sin,cos",
        "evaluate new.pt --data in/sines.npz --json",
        data="sines",
    ),
    "decompose-composition": case(
        f"{PART} a --outputs 0,1,2",
        "compose a --out join.pt",
        "decompose join.pt --data in/digits.npz --outputs 0,2 --head original --keep 0.7 --samples 128 --out out",
    ),
    "errors-usage": case(
        "", "take-apart", "--version", *(f"{verb} --help" for verb in ("inspect", "decompose", "compose", "evaluate")),
        "decompose", f"{D} --kep 0.5", f"{D} --keep 1.5", f"{D} --keep 0.5 --target-compression 4", f"{D} --outputs 12", f"{D} --seed -1",
        f"{D} --metric best", f"{D} --json -q", f"{D} --metric absolute", f"{D} --task regression", f"{D} --output logits",
        f"{D} --device tpu", f"{D} --memory much", f"{D} --held-out 1", f"{D} --input-shape 3,28,28", f"{D} --max-loss 1 --keep 0.5",
        f"{D} --target-compression 100000 --outputs 0,1",
    ),  # fmt: skip
    "errors-files": case(
        *(f"decompose in/{model}.pt --data in/{data}.npz --out out {options}" for model, data, options in (
            ("missing", "digits", ""), ("text", "digits", ""), ("cut", "digits", ""), ("lenet", "missing", ""), ("lenet", "cut", ""),
            ("lenet", "digits", "--input-key image"), ("lenet", "digits", "--target-key label"), ("lenet", "digits-rows", ""),
            ("lenet", "digits", "--test in/sines.npz"), ("images", "images-nhwc", ""), ("points", "odd", ""), ("tokens", "odd", ""),
            ("batch", "odd-labels", ""), ("batch", "odd", ""), ("branch", "odd", ""), ("noise", "odd", ""), ("tanh", "odd", ""),
            ("tanh", "odd-labels", "--head original"), ("tanh", "odd-length", "--head original"), ("two", "two", "--input-key image,facts"),
        )),
    ),  # fmt: skip
    "errors-results": case(
        f"{PART} out --outputs 0,1 --keep-scores",
        f"{PART} out --outputs 0,1",
        f"{PART} in/lenet.pt",
        f"{PART} new --scores out/scores.npz --metric flips",
        "decompose in/lenet.pt --data in/digits-test.npz --scores out/scores.npz --out new",
        "decompose in/fashion.pt --data in/digits.npz --scores out/scores.npz --out new",
        "decompose in/lenet.pt --data in/digits.npz --scores in/digits.npz --out new",
        f"{PART} new --resume --outputs 0",
        f"{SINES} sines --outputs 0",
        "compose out sines --out join.pt",
        "compose out --remove 7 --out join.pt",
        "compose out --names one --out join.pt",
        "compose out --replace 5=out/module-1.pt --out join.pt",
        "compose in/lenet.pt --out join.pt",
        "compose out --out out/module-0.pt",
        "evaluate missing --data in/digits.npz",
        "evaluate sines --data in/digits.npz",
        "evaluate out --data in/digits.npz --model in/fashion.pt",
        "evaluate in --data in/digits.npz",
        "evaluate out --data in/digits-rows.npz",
    ),
}


# ---- runs ----


@dataclass(frozen=True)
class Outcome:
    command: str
    code: int
    out: str
    err: str
    seconds: float


@dataclass(frozen=True)
class Run:
    """What one program gave for a case: the files lie in a folder."""

    folder: Path
    outcomes: list[Outcome]

    @property
    def seconds(self) -> float:
        return sum(outcome.seconds for outcome in self.outcomes)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Runner:
    def __init__(self, args: argparse.Namespace) -> None:
        self.before: Path = args.before.resolve()
        self.work: Path = args.work.resolve()
        self.inputs = self.work / "in"
        self.threads: int = args.threads
        if not self.inputs.exists():
            making = self.work / "in.making"
            shutil.rmtree(making, ignore_errors=True)
            make_inputs(making, args.models)
            making.rename(self.inputs)
        self.hashes = {path.name: sha256(path.read_bytes()) for path in sorted(self.inputs.iterdir())}

    def step(self, step: Step, program: Path, folder: Path) -> Outcome:
        command = shlex.split(step.command)
        if len(command) > 1 and "--help" not in command:
            command += ["--threads", str(self.threads)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(self.threads), "LC_ALL": "C"}
        binary = self.before if step.by_before else program
        began = time.monotonic()
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen([binary, *command], cwd=folder, env=environment, process_group=0, **pipes)
        kill = threading.Timer(LIMIT, os.killpg, (process.pid, signal.SIGKILL))
        kill.start()
        while step.kill_at and process.poll() is None:
            if any(folder.glob(step.kill_at)):
                os.killpg(process.pid, signal.SIGKILL)
                break
            time.sleep(0.001)
        out, err = process.communicate()
        kill.cancel()
        if step.kill_at:  # how far it came is chance
            out = err = ""
        return Outcome(step.command, process.returncode, out, err, time.monotonic() - began)

    def run(self, case: Case, program: Path, folder: Path) -> Run:
        """Leaves the files, and outcomes.json beside them, in the folder, which appears whole. What was too quick to be killed is run again."""
        for _ in range(4):
            run = self.once(case, program, folder)
            if all(outcome.code == -signal.SIGKILL for step, outcome in zip(case.steps, run.outcomes, strict=True) if step.kill_at):
                break
        return run

    def once(self, case: Case, program: Path, folder: Path) -> Run:
        making = folder.with_name(folder.name + ".making")
        for path in (making, folder):
            shutil.rmtree(path, ignore_errors=True)
        (making / "files").mkdir(parents=True)
        (making / "files/in").symlink_to(self.inputs)
        outcomes = [self.step(step, program, making / "files") for step in case.steps]
        (making / "files/in").unlink()
        (making / "outcomes.json").write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=1))
        making.rename(folder)
        return Run(folder / "files", outcomes)

    def kept(self, name: str, case: Case) -> Run:
        """What BEFORE gives, perhaps from an earlier comparison."""
        commands = [asdict(step) for step in case.steps]
        used = {file: digest for file, digest in self.hashes.items() if any(f"in/{file}" in step.command for step in case.steps)}
        made_from = [sha256(self.before.read_bytes()), torch.__version__, self.threads, commands, used]
        folder = self.work / "before" / f"{name}-{sha256(json.dumps(made_from).encode())[:16]}"
        if not folder.exists():
            return self.run(case, self.before, folder)
        return Run(folder / "files", [Outcome(**outcome) for outcome in json.loads((folder / "outcomes.json").read_text())])


# ---- comparison ----


@dataclass
class Found:
    """What a comparison has found."""

    differences: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("texts", "modules", "arrays", "documents", "other files"), 0))
    equal_files: int = 0
    other_bytes: list[str] = field(default_factory=list)

    def compare(self, where: str, before: Facts, after: Facts) -> None:
        if list(before) != list(after):
            one, other = next((a, b) for a, b in zip_longest(before, after) if a != b)
            self.differences.append(f"{where}: entry {one!r} before, {other!r} after")
        for name in before:
            if name in after and before[name] != after[name]:
                self.differences.append(f"{where}: {name}: {shown(before[name])} before, {shown(after[name])} after")


def shown(value: Any) -> str:
    if isinstance(value, tuple):  # an array
        dtype, shape, content = value
        return f"{dtype} {list(shape)} {np.frombuffer(content, dtype)[:3] if dtype != 'bool' else ''} ({sha256(content)[:8]})"
    text = repr(value)
    return text if len(text) < 90 else f"{text[:86]}…'"


def array(value: np.ndarray) -> tuple[str, tuple[int, ...], bytes]:
    return str(value.dtype), value.shape, value.tobytes()


def flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """A document's entries in their order, without times."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not items:
        yield path, value
    for key, below in items:
        if key not in ("timing", "latency_ms"):
            yield from flat(below, f"{path}.{key}" if path else str(key))


def document_facts(text: str) -> Facts:
    return dict(flat(json.loads(text, parse_float=str, parse_int=str)))  # numbers as they are written


def text_facts(text: str, whole: str, command: str) -> Facts:
    """Of stdout or stderr. `whole`: stderr of the run that was not stopped, if this one goes on from a stopped one."""
    if text.startswith("{\n"):
        return document_facts(text)
    text = re.sub(r"(?m)^Seconds: .*$", "Seconds: #", text)
    if "--latency" in command:
        text = re.sub(r" +\d+\.\d{3}\b", " #", text)  # milliseconds
    if "--resume" in command:  # how much is left to do is chance, but it must be less
        text = re.sub(r"(?m)^info: (scoring|making modules): \d+ [\w-]+$", lambda m: m[0] if m[0] in whole else f"info: {m[1]}: a part", text)
    return {f"line {number}": line for number, line in enumerate(text.split("\n"), 1)}


def example(identity: Facts, data: Path) -> list[Tensor]:
    """The first samples, as a module takes them."""
    with np.load(data) as archive:
        stored = [archive[key][:SAMPLES] for key in identity.get("input_key", "x").split(",")]
    inputs = []
    for i, x in enumerate(stored):
        if identity.get("input_layout") == "nhwc" and x.ndim == 4:
            x = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
        tensor = torch.from_numpy(x)
        if tensor.dtype != torch.int64:
            tensor = tensor.float() * (identity.get("scale") or (1 / 255 if x.dtype == np.uint8 else 1))
        inputs.append(tensor.reshape(-1, *identity["shapes"][i]) if "shapes" in identity else tensor)
    return inputs


def module_facts(path: Path, data: Path) -> Facts:
    module = torch.jit.load(str(path))  # type: ignore[no-untyped-call]
    facts: Facts = {f"weight {key}": array(value.numpy()) for key, value in module.state_dict().items()}
    facts["trained"] = [name for name, value in module.named_parameters() if value.requires_grad]
    facts["training"] = [name for name, part in module.named_modules() if part.training]
    for name in ("incite", "names", "outputs"):
        facts[f"attribute {name}"] = getattr(module, name, None)
    identity = json.loads(getattr(module, "incite", "") or "{}")
    with torch.no_grad():
        facts["output"] = array(module(*example(identity, data)).numpy())
    with zipfile.ZipFile(path) as archive:
        facts.update({name: archive.read(name) for name in archive.namelist() if "/extra/" in name})
    return facts


def archive_facts(path: Path) -> Facts:
    with np.load(path) as archive:
        return {f"array {name}": array(archive[name]) for name in archive}


def without_times(content: bytes) -> bytes:
    return re.sub(rb'"(timing|latency_ms)": \{[^}]*\}', b"", content)


def members(before: bytes, after: bytes) -> str:
    """Which files differ in two zip archives, in short; the first folder's name is the archive's own."""
    contents = []
    for content in (before, after):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            contents.append({name.split("/", 1)[-1]: archive.read(name) for name in archive.namelist()})
    names = {name for name in contents[0].keys() | contents[1].keys() if contents[0].get(name) != contents[1].get(name)}
    return ", ".join(sorted({re.sub(r"^data/\d+$", "data/*", name) for name in names})) or "names, order or places alone"


def data_of(path: Path, default: Path) -> Path:
    """The data that a file's decomposition says it comes from: in/points.npz."""
    document = path.parent / "decomposition.json"
    return default.with_name(Path(json.loads(document.read_text())["data"]["file"]).name) if document.exists() else default


def listing(folder: Path) -> list[str]:
    return sorted(f"{path.relative_to(folder)}{'/' if path.is_dir() else ''}" for path in folder.rglob("*"))


def compare_files(found: Found, before: Path, after: Path, data: Path) -> None:
    kinds: dict[str, tuple[str, Callable[[Path], Facts]]] = {
        ".pt": ("modules", lambda path: module_facts(path, data_of(path, data))),
        ".npz": ("arrays", archive_facts),
        ".json": ("documents", lambda path: document_facts(path.read_text())),
    }
    names = [listing(before), listing(after)]
    found.compare("files", *({name: "there" for name in one} for one in names))
    for name in sorted({*names[0]} & {*names[1]}):
        if name.endswith("/"):
            continue
        kind, facts = kinds.get(Path(name).suffix, ("other files", lambda path: {"content": path.read_bytes()}))
        contents = [(folder / name).read_bytes() for folder in (before, after)]
        found.counts[kind] += len(archive_facts(before / name)) if kind == "arrays" else 1
        if without_times(contents[0]) == without_times(contents[1]):
            found.equal_files += 1
            continue
        zipped = kind in ("modules", "arrays")
        found.other_bytes.append(f"{kind}, in {members(*contents)}" if zipped else kind)
        try:
            found.compare(name, facts(before / name), facts(after / name))
        except Exception as error:  # such as a file that can't be read
            found.differences.append(f"{name}: can't be compared: {error}")


def compare(case: Case, before: Run, after: Run, inputs: Path) -> Found:
    found = Found()
    for step, one, other in zip(case.steps, before.outcomes, after.outcomes, strict=True):
        where = f"'incite {step.command}'"
        whole = before.outcomes[0].err
        found.compare(where, {"exit code": one.code}, {"exit code": other.code})
        for stream in () if step.kill_at else ("out", "err"):
            texts = [text_facts(getattr(outcome, stream), whole, step.command) for outcome in (one, other)]
            found.counts["texts"] += 1
            found.compare(f"{where}: std{stream}", *texts)
        if step.kill_at and one.code == other.code != -signal.SIGKILL:
            found.differences.append(f"{where}: ended before it could be killed")
    data = inputs / f"{case.data}.npz"
    compare_files(found, before.folder, after.folder, data)
    if case.equal:
        compare_files(found, after.folder / case.equal[0], after.folder / case.equal[1], data)
    left = [name for name in listing(after.folder) if "checkpoint" in name or ".incite-" in name]
    found.differences += [f"{name}: left" for name in left]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--work", type=Path, required=True, metavar="FOLDER", help="for what BEFORE gives, and models and data")
    parser.add_argument("--only", nargs="+", choices=[*CASES], metavar="NAME", default=[*CASES], help="cases (default: all)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--models", type=Path, default=MODELS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    runner = Runner(args)

    total, differing = Found(), []
    seconds = [0.0, 0.0]
    print(f"{'case':25}{'compared':66}{'result':11}{'file bytes equal':20}{'seconds before, after':>22}")
    for name in args.only:
        before = runner.kept(name, CASES[name])
        folder = runner.work / "different" / name
        after = runner.run(CASES[name], args.after.resolve(), folder)
        found = compare(CASES[name], before, after, runner.inputs)
        what = ", ".join(f"{count} {kind}" for kind, count in found.counts.items() if count)
        bytes_ = f"no: {len(found.other_bytes)} differ" if found.other_bytes else f"yes, {found.equal_files}" if found.equal_files else "no files"
        result = "DIFFERENT" if found.differences else "same"
        print(f"{name:25}{what:66}{result:11}{bytes_:20}{before.seconds:15.1f}{after.seconds:7.1f}", flush=True)
        for line in found.differences[:3]:
            print(f"    {line}")
        if found.differences:
            differing.append(name)
        else:
            shutil.rmtree(folder.parent / name)
        for kind, count in found.counts.items():
            total.counts[kind] += count
        total.equal_files += found.equal_files
        total.other_bytes += found.other_bytes
        seconds = [seconds[0] + before.seconds, seconds[1] + after.seconds]
    commands = sum(len(CASES[name].steps) for name in args.only)
    print(f"\n{len(args.only)} cases, {commands} commands; {', '.join(f'{count} {kind}' for kind, count in total.counts.items())}.")
    print(f"Files with equal bytes (times aside): {total.equal_files}; with others: {len(total.other_bytes)}.")
    for what, count in Counter(total.other_bytes).items():
        print(f"    {count} {what}")
    print(f"Seconds: before {seconds[0]:.0f}, after {seconds[1]:.0f}.")
    print("Left out: 'Seconds: ...' in tables; 'timing' and 'latency_ms' in documents; milliseconds of --latency; what a killed run said.")
    print(f"DIFFERENT: {', '.join(differing)}" if differing else "All are the same.")
    sys.exit(1 if differing else 0)


if __name__ == "__main__":
    main()
