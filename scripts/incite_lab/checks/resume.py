"""Kills a decomposition at random moments, resumes it, and compares the result with an uninterrupted run.

Every file must be the same, byte for byte, except the timing in decomposition.json. Needs the release build: incite-lab check resume
"""

import argparse
import json
import random
import subprocess
import tempfile
import time
from pathlib import Path

from incite_lab.paths import MODELS, PROGRAM
from incite_lab.run.program import decompose_command, executable, run

MODEL = MODELS / "lenet5-mnist"
DATA = ["--data", str(MODEL / "val.npz"), "--test", str(MODEL / "test.npz")]
OPTIONS = [
    "--clustering", "none", "--agreement", "0.999", "--memory", "256MB", "--threads", "1", "--outputs", "0,1,2", "--keep-scores",
]  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kills", type=int, default=20, help="number of kills (default: %(default)s)")
    parser.add_argument("--binary", type=Path, default=PROGRAM, help="the program (default: the release build)")


def main(args: argparse.Namespace) -> int:
    binary, moments = executable(args.binary), random.Random(0)
    with tempfile.TemporaryDirectory() as name:
        whole, out = Path(name) / "whole", Path(name) / "out"
        resume = command(binary, out, "--resume", "--force")
        start = time.monotonic()
        run(command(binary, whole))
        seconds = time.monotonic() - start
        resumed = 0
        for _ in range(args.kills):
            resumed += (out / "checkpoint.npz").exists()
            process = subprocess.Popen(resume, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                process.wait(timeout=moments.uniform(0, seconds))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        run(resume)
        expected, found = content(whole), content(out)
    differing = [file for file in sorted({*expected, *found}) if expected.get(file) != found.get(file)]
    print(f"{args.kills} runs of up to {seconds:.1f} s stopped, {resumed} of them had continued from a checkpoint; ", end="")
    print(f"differing files: {', '.join(differing) or 'none'}")
    return 1 if differing else 0


def command(binary: Path, out: Path, *more: str) -> list[str]:
    return decompose_command(binary, MODEL / "model.pt", DATA, [*OPTIONS, *more], out)


def content(folder: Path) -> dict[str, bytes]:
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    document = json.loads(files["decomposition.json"])
    del document["timing"]
    return {**files, "decomposition.json": json.dumps(document).encode()}
