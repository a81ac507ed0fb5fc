"""Measures why `--preset paper` differs from the paper's figures: the mistakes of its public program, and the originals.

The command rebuilds the program's slices and heads in PyTorch from the clusters that Incite keeps: once correctly, and once with each
mistake. --epochs and --images train originals for more or fewer epochs, on more or fewer images; --given decomposes them with fewer.
--options adds options of Incite to the paper's. Originals, data and runs are shared with incite-lab reproduce.
Writes docs/artifact.json and docs/artifact.md.
"""

import argparse
import shlex
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from incite_lab.models.paper.subjects import ORIGINALS
from incite_lab.run import runner
from incite_lab.run.program import decompose
from incite_lab.run.record import loss
from incite_lab.run.runner import Job, Runner
from incite_lab.run.store import content, hash_of
from incite_lab.studies.artifact.page import AMOUNTS, OPTIONS, add
from incite_lab.studies.artifact.ways import SEEDS
from incite_lab.studies.reproduction import originals
from incite_lab.studies.reproduction.originals import Trained
from incite_lab.studies.reproduction.results import PRESETS

SUBJECTS = [name for name, original in ORIGINALS.items() if original.network is not None and not original.regression]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--subjects", nargs="+", choices=SUBJECTS, default=SUBJECTS, metavar="NAME", help=f"some of {', '.join(SUBJECTS)}")
    usual = "0: as in incite-lab reproduce (default)"
    parser.add_argument("--epochs", nargs="+", type=int, default=[0], help=f"epochs of the original's training; {usual}")
    parser.add_argument("--images", nargs="+", type=int, default=[0], help=f"images that the original is trained on; {usual}")
    parser.add_argument("--given", nargs="+", type=int, default=[0], help=f"images to decompose with; {usual}")
    example = "such as '--metric probability', without modules in PyTorch; '': none (default)"
    parser.add_argument("--options", nargs="+", default=[""], help=f"options of incite, added to the paper's or replacing them, {example}")
    parser.add_argument("--incite-only", action="store_true", help="skip the modules in PyTorch, which take longest")
    parser.add_argument("--data-dir", type=Path, metavar="FOLDER", help="files to use as data")
    runner.add_arguments(parser)


def main(args: argparse.Namespace) -> int:
    runs = Runner(args)
    failed = 0
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        for name, *amounts, more in product(args.subjects, args.epochs, args.images, args.given, args.options):
            recipe = replace(ORIGINALS[name].recipe, **{key: value for key, value in zip(AMOUNTS, amounts, strict=True) if value})
            trained, failures = originals.train({name: recipe}, args.data_dir, 1, runs.threads, fresh=False)
            row = measured(name, trained[name], shlex.split(more), runs, None if args.incite_only else pool) if name in trained else None
            failed += failures + (row is None)
            if row is None:
                continue
            original = trained[name].record
            used = {"epochs": original["epochs"], "images": original["samples"], "given": original["given"], OPTIONS: more}
            add({"subject": name, "title": ORIGINALS[name].title, "data": trained[name].data, **used, **row})
    return 1 if failed else 0


def given_once(usual: list[str], more: list[str]) -> tuple[str, ...]:
    """The usual options, each with its value, but for those that are given again; then these."""
    pairs = [*zip(usual[::2], usual[1::2], strict=True)]
    return (*(word for option, value in pairs if option not in more for word in (option, value)), *more)


def measured(name: str, trained: Trained, more: list[str], runs: Runner, pool: ProcessPoolExecutor | None) -> dict[str, Any] | None:
    """Without a pool, and with more options, only of Incite."""
    options = given_once([*ORIGINALS[name].paper.options, *PRESETS["paper"].options], more)
    files = [trained.folder / file for file in ("model.pt", "train.npz", "test.npz")]
    job = Job(f"{name}, paper", *files, options, keep_scores=True)
    record = runs.results([job])[0].get(job)
    if record is None:
        return None
    key = hash_of(["artifact", runs.key(job), SEEDS, content(Path(__file__).with_name("modules.py"))])
    stored = runs.store.load(key)
    if stored is None and pool is not None and not more:
        from incite_lab.studies.artifact.modules import accuracies

        # What is kept does not depend on the head; the original's is the fastest.
        fast = [*options, "--head", "original", "--scores", str(runs.scores_file(job)), "--threads", str(runs.threads)]
        data = ["--data", str(files[1]), "--test", str(files[2])]
        document = decompose(runs.binary, files[0], data, fast).document
        kept = [module["kept"] for module in document["modules"]]
        stored = {"accuracies": pool.submit(accuracies, str(ORIGINALS[name].network), trained.folder, kept, runs.threads).result()}
        runs.store.save(key, stored)
    accuracies_of = stored["accuracies"] if stored else {}
    losses = {way: [round(100 * (record["original"] - each), 4) for each in found] for way, found in accuracies_of.items()}
    return {"original": record["original"], "compression": record["compression"], "overlap": record["overlap"],
            "incite": round(loss(record), 4), "losses": losses}  # fmt: skip
