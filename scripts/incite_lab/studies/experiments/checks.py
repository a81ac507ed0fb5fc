"""What can be wrong with an experiment, found before its first run: options that incite does not take, arrays that are not there."""

import difflib
import re
import subprocess
import tempfile
import zipfile
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

from incite_lab.run.runner import Job
from incite_lab.studies.experiments.files import Mistake, Origin

REFUSED = (2, 8)  # exit codes: options that make no sense, a device that is not there
INPUT_KEY = "x"  # incite's default


def check(jobs: Mapping[Job, Origin], checked: Collection[Job], binary: Path, workers: int) -> None:
    """Throws Mistake. The options of `checked` have been accepted before."""
    check_names(jobs.values(), binary)
    accepted = {job.options for job in checked}
    new: dict[tuple[str, ...], Origin] = {}
    for job, origin in jobs.items():
        if job.options not in accepted:
            new.setdefault(job.options, origin)
    with ThreadPoolExecutor(workers) as pool:
        for origin, message in zip(new.values(), pool.map(lambda options: complaint(binary, options), new), strict=True):
            if message:
                raise Mistake(f"{origin.where}, model {origin.model}: {message}")
    for job, origin in jobs.items():
        check_arrays(job, origin)


def check_names(origins: Iterable[Origin], binary: Path) -> None:
    known = option_names(binary)
    for origin in origins:
        for name in origin.options:
            if name not in known:
                close = "".join(f"; did you mean {one!r}?" for one in difflib.get_close_matches(name, known, 1))
                raise Mistake(f"{origin.where}, model {origin.model}: incite decompose has no option {name!r}{close}")


def option_names(binary: Path) -> list[str]:
    text = subprocess.run([binary, "decompose", "--help"], check=True, capture_output=True, text=True).stdout
    return re.findall(r"^ {0,6}(?:-\w, ?)?--([a-z][a-z0-9-]*)", text, re.MULTILINE)


def complaint(binary: Path, options: tuple[str, ...]) -> str | None:
    """What incite says against these options: it checks them before it misses a file."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(binary), "decompose", "absent.pt", "--data", "absent.npz", "--out", "out", *options]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return done.stderr.strip().removeprefix("error: ") if done.returncode in REFUSED else None


def check_arrays(job: Job, origin: Origin) -> None:
    """The arrays that are named; those of inputs by default too. Targets by default need not be there."""
    keys = origin.options
    inputs, targets = keys.get("input-key") or INPUT_KEY, keys.get("target-key") or ""
    check_archive(job.data, inputs, targets, origin)
    if job.test:
        check_archive(job.test, keys.get("test-input-key") or inputs, keys.get("test-target-key") or targets, origin)


def check_archive(file: Path, inputs: Any, targets: Any, origin: Origin) -> None:
    found = names_in(file)
    for key in [*str(inputs).split(","), *([str(targets)] if targets else [])]:
        if key not in found:
            raise Mistake(f"{origin.where}, model {origin.model}: {file}: no array {key!r}; it holds {', '.join(found) or 'none'}")


@lru_cache
def names_in(file: Path) -> tuple[str, ...]:
    try:
        with zipfile.ZipFile(file) as archive:
            return tuple(name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy"))
    except (OSError, zipfile.BadZipFile):
        raise Mistake(f"{file}: can't be read as an .npz archive of NumPy") from None
