"""Runs of the cases by both programs. What the first one gives is kept."""

import hashlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from incite_lab.checks.same.cases import Case, Step
from incite_lab.checks.same.inputs import make_inputs
from incite_lab.paths import MODELS

LIMIT = 300  # seconds for a command


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
    def __init__(self, before: Path, work: Path, threads: int) -> None:
        self.before = before.resolve()
        self.work = work.resolve()
        self.inputs = self.work / "in"
        self.threads = threads
        if not self.inputs.exists():
            making = self.work / "in.making"
            shutil.rmtree(making, ignore_errors=True)
            make_inputs(making, MODELS)
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
