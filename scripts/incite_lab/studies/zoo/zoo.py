#!/usr/bin/env python3
"""Takes every torchvision classification model apart, scripted and traced (or frozen, with --forms), and writes docs/zoo.md.

Weights are random and inputs as small as the model accepts: what is checked is that modules are right, not that they are good.
Each model is exported, inspected and decomposed for two outputs at keep 0.6; then Python loads the modules and checks

  1. that the program computes what the file computes (incite checks it while loading and refuses the model otherwise),
  2. that a module which keeps everything gives the original's output to the last bit,
  3. that a slice is the original with the removed units masked (incite checks it too, and reports the difference),

and that modules have only the original's keys, readable code, and gradients. A whole run takes hours: results gather in
--json, and a run with the same program goes on where the last one stopped.

  scripts/zoo.py --json build/zoo.json                          all models, then docs/zoo.md
  scripts/zoo.py --models 'resnet18,vgg*' --forms trace --check --out /tmp/zoo.md
"""

import argparse
import fnmatch
import gc
import hashlib
import json
import os
import platform
import re
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision

from zoo_models import SAMPLES, Failed, NotExported, export, logits_of, normal, one_line, smallest

ROOT = Path(__file__).resolve().parents[1]

OUTPUTS = (3, 7)
KEEP = 0.6
MEDIAN_OF = 10  # a family's median says something from so many files on
TOLERANCE = 1e-5  # slice = mask, relative, float32
FOLDED = 1e-3  # freezing folds batch norms into convolutions, in other sums
BATCH_TOLERANCE = 1e-4  # a sample alone = the same sample in a batch: kernels differ with the batch's size

# Random scores: what is kept does not matter here, and scoring some 20,000 units would take most of the time.
METHOD = ("--metric", "random", "--clustering", "none", "--repair", "none", "--head", "original", "--samples", "all")


# What a family must reach


@dataclass(frozen=True)
class Bar:
    """Compression that --check asks for, the head not counted. At keep 0.6: 2.8-fold at most, 1 / 0.36."""

    name: str
    least: float
    median: float = 0.0


CONVOLUTIONAL = Bar("convolutional", least=1.5, median=2.4)
PLAIN = Bar("AlexNet and SqueezeNet", least=1.5)
SHUFFLED = Bar("ShuffleNet", least=2.0)
ATTENTION = Bar("layer norm or attention", least=1.5)  # layer norm pins the residual stream
BARS = (CONVOLUTIONAL, PLAIN, SHUFFLED, ATTENTION)


@dataclass(frozen=True)
class Family:
    name: str
    pattern: str
    bar: Bar


FAMILIES = (
    Family("AlexNet", "alexnet", PLAIN),
    Family("ConvNeXt", "convnext_*", ATTENTION),
    Family("DenseNet", "densenet*", CONVOLUTIONAL),
    Family("EfficientNet", "efficientnet_*", CONVOLUTIONAL),
    Family("GoogLeNet", "googlenet", CONVOLUTIONAL),
    Family("Inception", "inception_*", CONVOLUTIONAL),
    Family("MaxViT", "maxvit_*", ATTENTION),
    Family("MNASNet", "mnasnet*", CONVOLUTIONAL),
    Family("MobileNet", "mobilenet_*", CONVOLUTIONAL),
    Family("RegNet", "regnet_*", CONVOLUTIONAL),
    Family("ResNet", "resnet*", CONVOLUTIONAL),
    Family("ResNeXt", "resnext*", CONVOLUTIONAL),
    Family("ShuffleNet", "shufflenet_*", SHUFFLED),
    Family("SqueezeNet", "squeezenet*", PLAIN),
    Family("Swin", "swin_*", ATTENTION),
    Family("VGG", "vgg*", CONVOLUTIONAL),
    Family("ViT", "vit_*", ATTENTION),
    Family("Wide ResNet", "wide_resnet*", CONVOLUTIONAL),
)

# A trace made without gradients holds fused attention, which a trace made with them does not.
FORMS = {"script": "scripted", "trace": "traced", "trace-no-grad": "traced, no gradients", "frozen": "scripted, frozen"}
USUAL_FORMS = ("script", "trace", "trace-no-grad")  # those of docs/zoo.md
FUSED_ATTENTION = ("ViT",)


def family_of(model: str) -> Family:
    for family in FAMILIES:
        if fnmatch.fnmatch(model, family.pattern):
            return family
    sys.exit(f"zoo: {model} is of no family in FAMILIES: add one")


# How a model can end


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
        raise NotExported(f"TorchScript's output differs from the model's by {difference(found, wanted):.1e}")
    exported.save(str(folder / "model.pt"))
    targets = np.array([OUTPUTS[index % len(OUTPUTS)] for index in range(SAMPLES)])
    np.savez(folder / "data.npz", x=samples.numpy(), y=targets)
    return size


# Running incite


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


def decompose(binary: Path, threads: int, folder: str, outputs: Iterable[int], keep: float) -> dict[str, Any]:
    data = ("--data", "data.npz", "--test", "data.npz", "--threads", str(threads))
    wanted = ("--outputs", ",".join(map(str, outputs)), "--keep", str(keep))
    return incite(binary, "decompose", "model.pt", "--out", folder, *data, *wanted, *METHOD)


# Checking modules in Python


def difference(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """The largest difference over the largest wanted value, as incite has it."""
    return float((found - wanted).abs().max() / wanted.abs().max().clamp_min(1e-30))


def load(path: Path) -> torch.jit.ScriptModule:
    return torch.jit.load(str(path), map_location="cpu").eval()


def outputs_of(module: torch.jit.ScriptModule, batches: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    """With gradients enabled: without them, scripted attention takes another, fused way."""
    return [logits_of(module(batch)).detach() for batch in batches]


def require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Wrong(otherwise)


def check_gradients(module: torch.jit.ScriptModule, batch: torch.Tensor) -> None:
    """A module can be trained further."""
    logits_of(module(batch)).square().sum().backward()
    gradients = [parameter.grad for parameter in module.parameters()]
    require(all(gradient is not None for gradient in gradients), "a parameter of the module has no gradient")
    require(all(bool(torch.isfinite(gradient).all()) for gradient in gradients), "a gradient of the module is not finite")


def check_module(path: Path, keys: set[str], wanted: list[torch.Tensor], batches: list[torch.Tensor]) -> None:
    module = load(path)
    # The weights of a frozen model are constants; its modules' are named after operations: "conv2d_1.weight".
    extra = sorted(key for key in set(module.state_dict()) - keys if keys or not re.fullmatch(r"[a-z]\w*_\d+\.[\w.]+", key))
    require(not extra, f"{path.name} has keys that the original has not: {', '.join(extra[:3])}")
    require("def forward" in module.code, f"{path.name} has no readable code")
    found = outputs_of(module, batches)
    for output, original in zip(found, wanted):
        require(output.shape == original.shape, f"{path.name} gives {list(output.shape)}, not {list(original.shape)}")
        require(bool(torch.isfinite(output).all()), f"{path.name} gives values that are not finite")
        require(difference(output, original) > 1e-3, f"{path.name} gives the original's output: nothing was removed")
    apart = difference(found[0], found[1][:1])  # the first batch is the second's first sample
    require(apart <= BATCH_TOLERANCE, f"{path.name}: a sample alone and in a batch differ by {apart:.1e}")
    check_gradients(module, batches[1])


def parameters_without(module: torch.jit.ScriptModule, head: str | None) -> int:
    return sum(value.numel() for name, value in module.named_parameters() if head is None or not name.startswith(head + "."))


def check_folder(folder: Path, form: str, size: int, head: str | None, reported: int) -> float:
    """Invariants 2 and 7, and that incite counts the original's parameters as Python does. Returns the compression."""
    batches = [normal(3, size, seed=4)[:1], normal(3, size, seed=4)]
    original = load(folder / "model.pt")
    keys, wanted = set(original.state_dict()), outputs_of(original, batches)
    del original
    for output in OUTPUTS:
        check_module(folder / "modules" / f"module-{output}.pt", keys, wanted, batches)
    whole = load(folder / "whole" / f"module-{OUTPUTS[0]}.pt")
    apart = max(map(difference, outputs_of(whole, batches), wanted))
    # Fused attention is taken apart: the same sums in another order. A frozen model has it where no weight is trained.
    require(apart <= (TOLERANCE if form in ("trace-no-grad", "frozen") else 0), f"a module that keeps everything differs from the original by {apart:.1e}")
    # The whole module has the parameters that forward reads and no others: auxiliary heads are gone.
    count = parameters_without(whole, head=None)
    require(count == reported, f"incite counts {reported} parameters, Python {count}")
    before = parameters_without(whole, head)
    del whole
    after = [parameters_without(load(folder / "modules" / f"module-{output}.pt"), head) for output in OUTPUTS]
    return before / statistics.mean(after)


# One model, in a process of its own


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
    inspected = incite(binary, "inspect", "model.pt", "--data", "data.npz", "--threads", str(threads))
    yield counts(inspected)
    started = time.monotonic()
    document = decompose(binary, threads, "modules", OUTPUTS, KEEP)
    slices = max(module["slice_difference"] for module in document["modules"])
    yield {"seconds": time.monotonic() - started, "error": slices}
    require(slices <= TOLERANCE, f"a slice differs from the masked original by {slices:.1e}")
    decompose(binary, threads, "whole", OUTPUTS[:1], 1.0)
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


# All models


@dataclass(frozen=True)
class Row:
    """A line of the table. What was not reached is None."""

    model: str
    form: str
    verdict: str
    reason: str = ""
    size: int | None = None
    layers: int | None = None
    units: int | None = None
    pinned: float | None = None
    compression: float | None = None
    error: float | None = None
    seconds: float | None = None

    @property
    def family(self) -> Family:
        return family_of(self.model)

    @property
    def order(self) -> tuple[str, str, int]:
        return self.family.name, self.model, list(FORMS).index(self.form)


class Results:
    """Rows, kept in a file after each: rows of another build of the program are dropped when it is read."""

    def __init__(self, path: Path | None, binary: Path) -> None:
        self.path_ = path
        self.program_ = hashlib.sha256(binary.read_bytes()).hexdigest()
        self.lock_ = threading.Lock()
        self.rows_: dict[tuple[str, str], Row] = {}
        if path is not None and path.exists():
            document = json.loads(path.read_text())
            if document["program"] == self.program_:
                self.rows_ = {(row["model"], row["form"]): Row(**row) for row in document["rows"]}

    def __contains__(self, task: tuple[str, str]) -> bool:
        return task in self.rows_

    def add(self, row: Row) -> None:
        with self.lock_:
            self.rows_[row.model, row.form] = row
            if self.path_ is None:
                return
            self.path_.parent.mkdir(parents=True, exist_ok=True)
            new = self.path_.with_name(self.path_.name + ".new")
            new.write_text(json.dumps({"program": self.program_, "rows": [asdict(row) for row in self.rows()]}, indent=1) + "\n")
            new.replace(self.path_)

    def rows(self) -> list[Row]:
        return sorted(self.rows_.values(), key=lambda row: row.order)


class Runner:
    """Runs each model in a process of its own: one that is out of memory or time takes no other with it."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options_ = options
        self.processes_: set[subprocess.Popen[bytes]] = set()

    def run(self, model: str, form: str) -> Row:
        kept = self.options_.keep_files
        folder = Path(tempfile.mkdtemp(prefix="zoo-")) if kept is None else kept.resolve() / f"{model}-{form}"
        folder.mkdir(parents=True, exist_ok=True)
        try:
            return self.run_in_(folder, model, form)
        finally:
            if kept is None:
                shutil.rmtree(folder, ignore_errors=True)

    def stop(self) -> None:
        for process in list(self.processes_):
            os.killpg(process.pid, signal.SIGKILL)  # the program that it runs is of its group

    def run_in_(self, folder: Path, model: str, form: str) -> Row:
        options = self.options_
        command = [sys.executable, str(Path(__file__).resolve()), "--work", "--models", model, "--forms", form]
        command += ["--binary", str(options.binary), "--threads", str(options.threads)]
        command += ["--export-only"] if options.export_only else []
        (folder / "result.json").unlink(missing_ok=True)
        with (folder / "log.txt").open("wb") as log:
            process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)
            self.processes_.add(process)
            try:
                ending = f"the process ended with {process.wait(options.timeout)}"
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                ending = f"no result in {options.timeout:g} s"
            self.processes_.discard(process)
        found = json.loads((folder / "result.json").read_text()) if (folder / "result.json").exists() else {}
        return Row(model, form, **(found if "verdict" in found else found | {"verdict": "failed", "reason": ending}))


def size_of(model: str) -> int:
    return torchvision.models.get_model_weights(model).DEFAULT.meta["num_params"]


def tasks_of(models: str, forms: list[str]) -> list[tuple[str, str]]:
    """What to run, small models first: a mistake shows within the first minute."""
    known = torchvision.models.list_models(module=torchvision.models)
    chosen: list[str] = []
    for pattern in models.split(","):
        matching = fnmatch.filter(known, pattern)
        if not matching:
            sys.exit(f"zoo: --models: no model of torchvision {torchvision.__version__} is called {pattern!r}")
        chosen += matching
    every = [(model, form) for model in sorted(set(chosen), key=size_of) for form in forms]
    return [(model, form) for model, form in every if form != "trace-no-grad" or family_of(model).name in FUSED_ATTENTION]


def run_all(tasks: list[tuple[str, str]], results: Results, options: argparse.Namespace) -> None:
    runner = Runner(options)

    def run(task: tuple[str, str]) -> None:
        row = runner.run(*task)
        results.add(row)
        print(f"{row.model:20} {FORMS[row.form]:20} {verdict_of(row)}", flush=True)

    pool = ThreadPoolExecutor(options.jobs)
    try:
        for future in [pool.submit(run, task) for task in tasks if task not in results]:
            future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        runner.stop()


# The page


def number(value: float | None, pattern: str) -> str:
    return "" if value is None else format(value, pattern)


def verdict_of(row: Row) -> str:
    """The verdict and its reason, without folders: they are those of one machine."""
    reason = re.sub(r"(?<![\w.])/(?:[^\s/:'\"]+/)+", "", row.reason)
    return f"{row.verdict}: {reason}" if reason else row.verdict


def table(rows: list[Row]) -> Iterator[str]:
    yield "| model | form | input | layers | units | pinned | compression | largest error | seconds | verdict |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for row in rows:
        cells = [row.model, FORMS[row.form], number(row.size, "d"), number(row.layers, "d"), number(row.units, ",d")]
        cells += [number(row.pinned, ".1%"), number(row.compression, ".2f"), number(row.error, ".1e"), number(row.seconds, ".1f")]
        yield "| " + " | ".join([*cells, verdict_of(row).replace("|", "\\|")]) + " |"


def compressions(rows: Iterable[Row]) -> list[float]:
    return [row.compression for row in rows if row.compression is not None]


def family_table(rows: list[Row]) -> Iterator[str]:
    yield "| family | files | decomposed | median compression | least |"
    yield "|---|---|---|---|---|"
    for family in FAMILIES:
        own = [row for row in rows if row.family == family]
        found = compressions(own)
        shown = (f"{statistics.median(found):.2f}", f"{min(found):.2f}") if found else ("", "")
        if own:
            yield f"| {family.name} | {len(own)} | {len(found)} | {shown[0]} | {shown[1]} |"


def summary(rows: list[Row]) -> Iterator[str]:
    verdicts = [row.verdict for row in rows]
    others = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in sorted(set(verdicts) - {"ok"}))
    files = f"{len(rows)} files of {len({row.model for row in rows})} models"
    yield f"- {verdicts.count('ok')} of {files} decompose{'; ' + others if others else ''}."
    found = compressions(rows)
    if found:
        yield f"- Median compression {statistics.median(found):.2f}, least {min(found):.2f}."
    measured = [row for row in rows if row.error is not None]
    if measured:
        worst = max(measured, key=lambda row: row.error or 0.0)
        yield f"- Largest relative error of a slice: {worst.error:.1e} ({worst.model}, {FORMS[worst.form]}); allowed: {TOLERANCE:.0e}."
    yield f"- In all {verdicts.count('ok')} a module that keeps everything gives the original's output to the last bit (traced without gradients and frozen, within 1e-5)."


def command_of(options: argparse.Namespace) -> str:
    words = ["scripts/zoo.py", "--json", "build/zoo.json"]
    for name, default in (("models", "*"), ("forms", ",".join(USUAL_FORMS))):
        if getattr(options, name) != default:
            words += [f"--{name}", getattr(options, name)]
    return shlex.join(words)


def page(rows: list[Row], options: argparse.Namespace) -> str:
    program = subprocess.run([str(options.binary), "--version"], capture_output=True, text=True, check=True).stdout.strip()
    versions = f"{program}, PyTorch {torch.__version__}, torchvision {torchvision.__version__}"
    return "\n".join(
        [
            "# Zoo",
            "",
            "torchvision's classification models, with random weights, at the smallest input that each accepts: two modules at",
            f"keep {KEEP}, checked for the invariants and loaded again in Python. Scores are random: the table says that modules are",
            "right and how much smaller they get, not how good they are.",
            "",
            *summary(rows),
            f"- Again: `.venv/bin/python {command_of(options)}` writes this page; with `--check` it fails where a model does.",
            f"- With {versions}, Python {platform.python_version()}.",
            "",
            *family_table(rows),
            "",
            "- *input*: pixels of a side. *layers*, *units*, *pinned* (share of units that can't be removed): without the output layer.",
            "- *compression*: parameters of the original over the mean module's, without the output layer and auxiliary heads.",
            "- *largest error*: between a slice and the original with the removed units masked, over the largest output.",
            "- *seconds*: of `incite decompose`. *traced, no gradients*: the trace holds fused attention, which incite takes apart.",
            "- *refused*: incite says that it can't decompose this, and why. *not exported*: PyTorch can't write it as TorchScript.",
            "",
            *table(rows),
            "",
        ]
    )


def problems(rows: list[Row]) -> Iterator[str]:
    """What --check fails for: models that failed, and compression under a bar."""
    for row in rows:
        if row.verdict not in ("ok", "exported", "refused", "not exported"):
            yield f"{row.model} {FORMS[row.form]}: {verdict_of(row)}"
            continue
        if row.compression is not None and row.compression < row.family.bar.least:
            yield f"{row.model} {FORMS[row.form]}: compression {row.compression:.2f}, expected {row.family.bar.least} or more"
    for bar in BARS:
        found = compressions(row for row in rows if row.family.bar == bar)
        if len(found) >= MEDIAN_OF and statistics.median(found) < bar.median:
            yield f"{bar.name}: median compression {statistics.median(found):.2f}, expected {bar.median} or more"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="*", help="names or patterns, with commas between (default: all)")
    parser.add_argument("--forms", default=",".join(USUAL_FORMS), help=f"some of {', '.join(FORMS)} (default: %(default)s)")
    parser.add_argument("--binary", type=Path, default=ROOT / "build" / "release" / "incite", help="the program")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "zoo.md", help="the page (default: docs/zoo.md)")
    parser.add_argument("--json", type=Path, help="results; a run with the same program goes on from them")
    parser.add_argument("--jobs", type=int, default=1, help="models at a time")
    parser.add_argument("--threads", type=int, help="threads for each (default: all cores over --jobs)")
    parser.add_argument("--timeout", type=float, default=7200, help="seconds for one model (default: %(default)g)")
    parser.add_argument("--keep-files", type=Path, metavar="FOLDER", help="keep models and modules in this folder")
    parser.add_argument("--export-only", action="store_true", help="export and check the export; run nothing and write no page")
    parser.add_argument("--check", action="store_true", help="fail if a model fails, or falls under its family's compression")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)  # the process of one model
    options = parser.parse_args()
    unknown = set(options.forms.split(",")) - set(FORMS)
    if unknown:
        parser.error(f"--forms: {', '.join(sorted(unknown))}: expected {', '.join(FORMS)}")
    options.threads = options.threads or max(1, (os.cpu_count() or 1) // options.jobs)
    options.binary = options.binary.resolve()
    if not os.access(options.binary, os.X_OK):
        parser.error(f"--binary: {options.binary} can't be run; build it first")
    return options


def main() -> int:
    options = parse()
    if options.work:
        work(options.models, options.forms, options.binary, options.threads, options.export_only)
        return 0
    results = Results(options.json, options.binary)
    tasks = tasks_of(options.models, options.forms.split(","))
    run_all(tasks, results, options)
    rows = [row for row in results.rows() if (row.model, row.form) in tasks]
    if not options.export_only:
        options.out.write_text(page(rows, options))
    found = list(problems(rows)) if options.check else []
    for problem in found:
        print(f"zoo: {problem}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
