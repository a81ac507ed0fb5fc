"""Decomposes every torchvision classification and segmentation model, scripted, traced and exported (or frozen, with --forms), and writes docs/zoo.md.

Weights are random, and inputs are as small as the model accepts: the checks show that modules are correct, not how accurate they are.
Each model is exported, inspected and decomposed for two outputs at keep 0.6. Then Python loads the modules and checks that

  1. the program computes what the file computes (incite checks it while loading and refuses the model otherwise),
  2. a module which keeps everything gives the original's output to the last bit,
  3. a slice is the original with the removed units masked (incite checks it too, and reports the difference),

and that modules have only the original's keys, readable code, and gradients. A whole run takes hours. It keeps results in --json, and a
run with the same program continues where the last one stopped.

  incite-lab zoo --json build/zoo.json                          all models, then docs/zoo.md
  incite-lab zoo --models 'resnet18,vgg*' --forms trace --check --out /tmp/zoo.md
"""

import argparse
import fnmatch
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from incite_lab.paths import DOCS
from incite_lab.run import program
from incite_lab.studies.zoo import page
from incite_lab.studies.zoo.families import FORMS, FUSED_ATTENTION, USUAL_FORMS, family_of
from incite_lab.studies.zoo.rows import Results, Row

Task = tuple[str, str]  # model and form


def add_arguments(parser: argparse.ArgumentParser) -> None:
    program.add_arguments(parser, threads=None)
    parser.add_argument("--models", default="*", help="names or patterns, separated by commas (default: all)")
    parser.add_argument("--forms", default=",".join(USUAL_FORMS), help=f"some of {', '.join(FORMS)} (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=DOCS / "zoo.md", help="the page (default: docs/zoo.md)")
    parser.add_argument("--json", type=Path, help="results; a run with the same program continues from them")
    parser.add_argument("--jobs", type=int, default=1, help="models at a time (default: 1; default of --threads: cores divided by --jobs)")
    parser.add_argument("--timeout", type=float, default=7200, help="limit for one model, in seconds (default: %(default)g)")
    parser.add_argument("--keep-files", type=Path, metavar="FOLDER", help="keep models and modules in this folder")
    parser.add_argument("--export-only", action="store_true", help="only export models and check the export; write no page")
    parser.add_argument("--check", action="store_true", help="fail if a model fails or stays under its family's compression")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)  # the process of one model


def main(args: argparse.Namespace) -> int:
    if unknown := set(args.forms.split(",")) - set(FORMS):
        args.error(f"--forms: {', '.join(sorted(unknown))}: expected {', '.join(FORMS)}")
    args.threads = args.threads or max(1, (os.cpu_count() or 1) // args.jobs)
    args.binary = program.executable(args.binary)
    if args.work:
        from incite_lab.studies.zoo.one_model import work

        work(args.models, args.forms, args.binary, args.threads, args.export_only)
        return 0
    results = Results(args.json, args.binary)
    tasks = tasks_of(args.models, args.forms.split(","))
    run_all(tasks, results, args)
    rows = [row for row in results.rows() if (row.model, row.form) in tasks]
    if not args.export_only:
        args.out.write_text(page.page(rows, args))
    problems = list(page.problems(rows)) if args.check else []
    for problem in problems:
        print(f"zoo: {problem}", file=sys.stderr)
    return 1 if problems else 0


def tasks_of(patterns: str, forms: list[str]) -> list[Task]:
    """What to run, small models first: a mistake shows within the first minute."""
    import torchvision
    from torchvision import models

    known = [*models.list_models(module=models), *models.list_models(module=models.segmentation)]
    chosen: set[str] = set()
    for pattern in patterns.split(","):
        matching = fnmatch.filter(known, pattern)
        if not matching:
            raise SystemExit(f"zoo: --models: no model of torchvision {torchvision.__version__} is called {pattern!r}")
        chosen |= {*matching}
    by_size = sorted(sorted(chosen), key=lambda model: models.get_model_weights(model).DEFAULT.meta["num_params"])
    every = [(model, form) for model in by_size for form in forms]
    return [(model, form) for model, form in every if form != "trace-no-grad" or family_of(model).name in FUSED_ATTENTION]


def run_all(tasks: list[Task], results: Results, args: argparse.Namespace) -> None:
    processes = Processes(args)

    def run(task: Task) -> None:
        row = processes.run(*task)
        results.add(row)
        print(f"{row.model:20} {FORMS[row.form]:20} {page.verdict_of(row)}", flush=True)

    pool = ThreadPoolExecutor(args.jobs)
    try:
        for future in [pool.submit(run, task) for task in tasks if task not in results]:
            future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        processes.stop()


class Processes:
    """Examines each model in its own process, so that one that is out of memory or time stops no other."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.running: set[subprocess.Popen[bytes]] = set()

    def run(self, model: str, form: str) -> Row:
        files = self.args.keep_files
        folder = Path(tempfile.mkdtemp(prefix="zoo-")) if files is None else files.resolve() / f"{model}-{form}"
        folder.mkdir(parents=True, exist_ok=True)
        try:
            return self.run_in(folder, model, form)
        finally:
            if files is None:
                shutil.rmtree(folder, ignore_errors=True)

    def stop(self) -> None:
        for process in list(self.running):
            os.killpg(process.pid, signal.SIGKILL)  # the program that it runs is in its group

    def run_in(self, folder: Path, model: str, form: str) -> Row:
        command = [sys.executable, "-m", "incite_lab", "zoo", "--work", "--models", model, "--forms", form]
        command += ["--binary", str(self.args.binary), "--threads", str(self.args.threads)]
        command += ["--export-only"] if self.args.export_only else []
        result = folder / "result.json"
        result.unlink(missing_ok=True)
        with (folder / "log.txt").open("wb") as log:
            process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)
            self.running.add(process)
            try:
                ending = f"the process ended with {process.wait(self.args.timeout)}"
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                ending = f"no result in {self.args.timeout:g} s"
            self.running.discard(process)
        found = json.loads(result.read_text()) if result.exists() else {}
        return Row(model, form, **(found if "verdict" in found else found | {"verdict": "failed", "reason": ending}))
