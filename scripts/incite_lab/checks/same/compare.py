"""What two programs gave for a case, compared bit by bit, times aside."""

import io
import json
import re
import signal
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from incite_lab.checks.same.cases import Case
from incite_lab.checks.same.runs import Run, sha256

SAMPLES = 64  # that outputs of modules are compared on
Facts = dict[str, Any]  # what is compared, by a name for people


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
