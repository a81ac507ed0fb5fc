#!/usr/bin/env python3
"""Kills a decomposition at random moments, resumes it, and compares what comes out with an undisturbed run.

Every file must be the same, byte for byte, but for the timing in decomposition.json. Needs the release build:
scripts/bench/resume.py [--kills 20]
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "models" / "lenet5-mnist"


def command(binary: Path, out: Path) -> list[str]:
    return [
        str(binary), "decompose", str(MODEL / "model.pt"), "--data", str(MODEL / "val.npz"), "--test", str(MODEL / "test.npz"),
        "--clustering", "none", "--agreement", "0.999", "--memory", "256MB", "--threads", "1", "--outputs", "0,1,2", "--quiet", "--keep-scores",
        "--out", str(out),
    ]  # fmt: skip


def content(folder: Path) -> dict[str, bytes]:
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    document = json.loads(files["decomposition.json"])
    del document["timing"]
    return {**files, "decomposition.json": json.dumps(document).encode()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--binary", type=Path, default=ROOT / "build" / "release" / "incite")
    args = parser.parse_args()
    moments = random.Random(0)
    with tempfile.TemporaryDirectory() as name:
        whole, out = Path(name) / "whole", Path(name) / "out"
        began = time.monotonic()
        subprocess.run(command(args.binary, whole), check=True)
        seconds = time.monotonic() - began
        gone_on = 0
        for _ in range(args.kills):
            resumed = (out / "checkpoint.npz").exists()
            process = subprocess.Popen([*command(args.binary, out), "--resume", "--force"])
            try:
                process.wait(timeout=moments.uniform(0, seconds))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
            gone_on += resumed
        subprocess.run([*command(args.binary, out), "--resume", "--force"], check=True)
        differing = [file for file, bytes_ in content(whole).items() if content(out).get(file) != bytes_]
        extra = sorted(set(content(out)) - set(content(whole)))
    print(f"{args.kills} runs of up to {seconds:.1f} s stopped, {gone_on} of them had gone on from a checkpoint; ", end="")
    print(f"differing files: {', '.join(differing + extra) or 'none'}")
    sys.exit(1 if differing or extra else 0)


if __name__ == "__main__":
    main()
