"""One model of the zoo: exported, decomposed by incite, and its modules checked in Python."""

import gc
import json
import re
import statistics
import subprocess
import time
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from incite_lab.models.torchvision_models import (
    SAMPLES,
    Failed,
    NotExported,
    export,
    is_segmentation,
    logits_of,
    normal,
    one_line,
    smallest,
)
from incite_lab.studies.zoo.rows import KEEP, TOLERANCE

OUTPUTS = (3, 7)
FOLDED = 1e-3  # freezing folds batch norms into convolutions, in other sums
BATCH_TOLERANCE = 1e-4  # a sample alone = the same sample in a batch: kernels differ with the batch's size

# Random scores: what is kept does not matter here, and scoring some 20,000 units would take most of the time.
METHOD = ("--metric", "random", "--clustering", "none", "--repair", "none", "--head", "original", "--samples", "all")


class Refused(Exception):
    """incite says that it can't decompose this model."""


class Wrong(Exception):
    """An invariant does not hold."""


VERDICTS = {NotExported: "not exported", Refused: "refused", Wrong: "WRONG"}


def write_inputs(name: str, form: str, folder: Path) -> int:
    """Writes model.pt and data.npz. Returns the input's size. The model is gone when this returns: memory is for incite."""
    model, size = smallest(name)
    exported = export(model, form, size)
    samples = normal(SAMPLES, size, seed=3)
    with torch.no_grad():
        wanted, found = logits_of(model(samples)), logits_of(exported(samples))
    if difference(found, wanted) > (FOLDED if form == "frozen" else TOLERANCE):
        raise NotExported(f"its output differs from the model's by {difference(found, wanted):.1e}")
    exported.save(str(folder / "model.pt"))
    targets = np.array([OUTPUTS[index % len(OUTPUTS)] for index in range(SAMPLES)])
    if wanted.dim() > 2:  # a class for each position
        targets = np.broadcast_to(targets[:, None, None], (SAMPLES, *wanted.shape[2:]))
    np.savez(folder / "data.npz", x=samples.numpy(), y=targets)
    return size


DATA_MISMATCH, UNSUPPORTED, INTERNAL = 5, 6, 1  # docs/exit-codes.md


def incite(binary: Path, *arguments: str) -> dict[str, Any]:
    """Runs the program and returns its JSON document."""
    done = subprocess.run([str(binary), *arguments, "--json"], capture_output=True, text=True)
    # inspect describes the model also where decompose, with its defaults, would want samples of every class.
    if done.returncode == 0 or (arguments[0] == "inspect" and done.returncode == DATA_MISMATCH and done.stdout):
        return json.loads(done.stdout)
    errors = "".join(line for line in done.stderr.splitlines(keepends=True) if not line.startswith("warning: "))
    message = one_line(errors or f"ended with {done.returncode} and no message")
    message = message.removeprefix("error: ").removeprefix("model.pt: ")
    if done.returncode == UNSUPPORTED:
        raise Refused(message)
    raise (Wrong if done.returncode == INTERNAL else Failed)(f"{message} (exit code {done.returncode})")


def output_of(name: str) -> tuple[str, ...]:
    return ("--output", "out") if is_segmentation(name) else ()


def decompose(
    binary: Path, threads: int, name: str, form: str, folder: str, outputs: Iterable[int], keep: float
) -> dict[str, Any]:
    data = ("--data", "data.npz", "--test", "data.npz", "--threads", str(threads), *output_of(name))
    wanted = ("--outputs", ",".join(map(str, outputs)), "--keep", str(keep), "--format", "pt2" if form == "export" else "torchscript")
    return incite(binary, "decompose", "model.pt", "--out", folder, *data, *wanted, *METHOD)


def difference(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """The largest difference over the largest wanted value, as incite has it."""
    return float((found - wanted).abs().max() / wanted.abs().max().clamp_min(1e-30))


def load(path: Path, form: str) -> torch.nn.Module:
    if form == "export":
        with path.open("rb") as stream:
            return torch.export.load(stream).module()
    return torch.jit.load(str(path), map_location="cpu").eval()


def module_path(folder: Path, form: str, output: int) -> Path:
    return folder / f"module-{output}.{'pt2' if form == 'export' else 'pt'}"


def outputs_of(module: torch.nn.Module, batches: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    """With gradients enabled: without them, scripted attention takes another, fused way."""
    return [logits_of(module(batch)).detach() for batch in batches]


def require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Wrong(otherwise)


def check_gradients(module: torch.nn.Module, batch: torch.Tensor) -> None:
    """A module can be trained further."""
    logits_of(module(batch)).square().sum().backward()
    gradients = [parameter.grad for parameter in module.parameters()]
    require(all(gradient is not None for gradient in gradients), "a parameter of the module has no gradient")
    require(all(bool(torch.isfinite(gradient).all()) for gradient in gradients), "a gradient of the module is not finite")


def check_module(path: Path, form: str, keys: set[str], wanted: list[torch.Tensor], batches: list[torch.Tensor]) -> None:
    module = load(path, form)
    # The weights of a frozen model are constants; its modules' are named after operations: "conv2d_1.weight".
    extra = sorted(key for key in set(module.state_dict()) - keys if keys or not re.fullmatch(r"[a-z]\w*_\d+\.[\w.]+", key))
    require(not extra, f"{path.name} has keys that the original has not: {', '.join(extra[:3])}")
    require("def forward" in str(module.code), f"{path.name} has no readable code")
    found = outputs_of(module, batches)
    for output, original in zip(found, wanted):
        require(output.shape == original.shape, f"{path.name} gives {list(output.shape)}, not {list(original.shape)}")
        require(bool(torch.isfinite(output).all()), f"{path.name} gives values that are not finite")
        require(difference(output, original) > 1e-3, f"{path.name} gives the original's output: nothing was removed")
    apart = difference(found[0], found[1][:1])  # the first batch is the second's first sample
    require(apart <= BATCH_TOLERANCE, f"{path.name}: a sample alone and in a batch differ by {apart:.1e}")
    check_gradients(module, batches[1])


def parameters_without(module: torch.nn.Module, head: str | None) -> int:
    return sum(value.numel() for name, value in module.named_parameters() if head is None or not name.startswith(head + "."))


def check_folder(folder: Path, form: str, size: int, head: str | None, reported: int) -> float:
    """Invariants 2 and 7, and that incite counts the original's parameters as Python does. Returns the compression."""
    batches = [normal(3, size, seed=4)[:1], normal(3, size, seed=4)]
    original = load(folder / "model.pt", form)
    keys, wanted = set(original.state_dict()), outputs_of(original, batches)
    del original
    for output in OUTPUTS:
        check_module(module_path(folder / "modules", form, output), form, keys, wanted, batches)
    whole = load(module_path(folder / "whole", form, OUTPUTS[0]), form)
    apart = max(map(difference, outputs_of(whole, batches), wanted))
    # Fused attention is taken apart: the same sums in another order. A frozen model has it where no weight is trained.
    allowed = TOLERANCE if form in ("trace-no-grad", "frozen") else 0
    require(apart <= allowed, f"a module that keeps everything differs from the original by {apart:.1e}")
    # The whole module has the parameters that forward reads and no others: auxiliary heads are gone.
    count = parameters_without(whole, head=None)
    require(count == reported, f"incite counts {reported} parameters, Python {count}")
    before = parameters_without(whole, head)
    del whole
    after = [parameters_without(load(module_path(folder / "modules", form, output), form), head) for output in OUTPUTS]
    return before / statistics.mean(after)


def counts(inspected: dict[str, Any]) -> dict[str, Any]:
    """Layers, units and the pinned share, the head's left out: its units are pinned in every model."""
    head = inspected["outputs"]["head"]
    groups = [group for group in inspected["groups"] if head not in group["layers"]]
    units, pinned = sum(group["units"] for group in groups), sum(group["pinned"] for group in groups)
    layers = [layer for layer in inspected["layers"] if layer["name"] != head]
    return {"layers": len(layers), "units": units, "pinned": pinned / units if units else 1.0}


def examine(name: str, form: str, binary: Path, threads: int, export_only: bool) -> Iterator[dict[str, Any]]:
    """Yields what is found of one model, as it is found; the working directory is a folder for its files."""
    size = write_inputs(name, form, Path.cwd())
    gc.collect()
    yield {"size": size}
    if export_only:
        yield {"verdict": "exported"}
        return
    inspected = incite(binary, "inspect", "model.pt", "--data", "data.npz", "--threads", str(threads), *output_of(name))
    yield counts(inspected)
    started = time.monotonic()
    document = decompose(binary, threads, name, form, "modules", OUTPUTS, KEEP)
    slices = max(module["slice_difference"] for module in document["modules"])
    yield {"seconds": time.monotonic() - started, "error": slices}
    require(slices <= TOLERANCE, f"a slice differs from the masked original by {slices:.1e}")
    decompose(binary, threads, name, form, "whole", OUTPUTS[:1], 1.0)
    with torch.jit.optimized_execution(False):
        compression = check_folder(Path.cwd(), form, size, inspected["outputs"]["head"], document["model"]["parameters"])
    yield {"compression": compression, "verdict": "ok"}


def work(name: str, form: str, binary: Path, threads: int, export_only: bool) -> None:
    """The process of one model: writes result.json into the working directory after each step, so that a kill loses little."""
    torch.set_num_threads(threads)
    warnings.filterwarnings("ignore")
    result: dict[str, Any] = {}
    try:
        for found in examine(name, form, binary, threads, export_only):
            result |= found
            Path("result.json").write_text(json.dumps(result))
    except Exception as error:
        result |= {"verdict": VERDICTS.get(type(error), "failed"), "reason": one_line(error)}
    Path("result.json").write_text(json.dumps(result))
