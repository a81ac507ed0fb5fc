#!/usr/bin/env python3
"""Measures why `--preset paper` does not give the paper's figures: what the mistakes of its public program cost, and what originals do.

The program's slices and heads are made again in PyTorch from the clusters that Incite keeps, once as they should be and once with each
of its mistakes. --epochs, --images and --given make originals that were trained longer or shorter, on more images or fewer, and
decomposed with fewer; --options adds options of Incite's to the paper's. Originals, data and runs are those of reproduce.py, in
build/reproduce/. Writes docs/artifact.json and docs/artifact.md.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import product
from multiprocessing import get_context
from operator import itemgetter
from pathlib import Path
from statistics import mean
from typing import Any

import artifact_modules
import numpy as np
import paper_originals
import torch
from artifact_modules import MISTAKES
from batch import hash_of
from decomposing import decompose
from decompositions import Decompositions, Job, add_arguments, content
from measures import loss
from paper_originals import ORIGINALS, Trained
from reproduce import CACHE
from reproduction import PRESETS, PUBLISHED
from results import one_line_a_point, page, several
from tables import markdown
from torch import Tensor

from originals import NETWORKS  # isort: skip (paper_originals knows its folder)

FILE = page.DOCS / "artifact.json"
SEEDS = 5  # of the heads' training
NONE, ALL, REGRESSION = "none", "all", "regression"
WAYS: Mapping[str, tuple[str, ...]] = {NONE: (), **{mistake: (mistake,) for mistake in MISTAKES}, ALL: MISTAKES}
MADE = ("epochs", "images", "given")  # what originals of a subject differ in
OPTIONS = "options"  # of incite, beside the paper's
SUBJECTS = [name for name, original in ORIGINALS.items() if original.network is not None and not original.regression]


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", nargs="+", choices=SUBJECTS, default=SUBJECTS, metavar="NAME", help=f"of {', '.join(SUBJECTS)}")
    parser.add_argument("--epochs", nargs="+", type=int, default=[0], help="of the original's training; 0: as reproduce.py has it (default)")
    parser.add_argument("--images", nargs="+", type=int, default=[0], help="that it is trained on; 0: as reproduce.py has it (default)")
    parser.add_argument("--given", nargs="+", type=int, default=[0], help="images to decompose with; 0: as reproduce.py has it (default)")
    example = "such as '--metric probability', and without PyTorch; '': none (default)"
    parser.add_argument("--options", nargs="+", default=[""], help=f"of incite, beside or against the paper's, {example}")
    parser.add_argument("--incite-only", action="store_true", help="no modules in PyTorch, which take longest")
    parser.add_argument("--data-dir", type=Path, metavar="FOLDER")
    add_arguments(parser)
    return parser


def network_of(name: str, trained: Trained) -> torch.nn.Sequential:
    state = torch.jit.load(str(trained.folder / "model.pt")).state_dict()
    network = NETWORKS[str(ORIGINALS[name].network)].make(1, len([*state.values()][-1]))
    network.load_state_dict(state)
    return network


def arrays(file: Path) -> tuple[Tensor, Tensor]:
    data = np.load(file)
    return torch.from_numpy(data["x"]), torch.from_numpy(data["y"])


def accuracies(name: str, trained: Trained, kept: list[dict[str, list[int]]], threads: int) -> dict[str, list[float]]:
    """By way, of the modules together, for each seed."""
    torch.set_num_threads(threads)
    network, train, test = network_of(name, trained), arrays(trained.folder / "train.npz"), arrays(trained.folder / "test.npz")
    artifact = artifact_modules.Artifact(network, kept, train, test, SEEDS)
    found = {way: artifact.combined_accuracies(mistakes) for way, mistakes in WAYS.items()}
    return {REGRESSION: [artifact.accuracy_by_regression()], **found}


def given_once(usual: list[str], more: list[str]) -> tuple[str, ...]:
    """The usual options, each with its value, but for those that are told anew; then these."""
    pairs = [*zip(usual[::2], usual[1::2], strict=True)]
    return (*(word for option, value in pairs if option not in more for word in (option, value)), *more)


def measured(name: str, trained: Trained, more: list[str], runs: Decompositions, pool: ProcessPoolExecutor | None) -> dict[str, Any] | None:
    """Without a pool, and with more options, only of Incite."""
    options = given_once([*ORIGINALS[name].paper.options, *PRESETS["paper"].options], more)
    files = [trained.folder / file for file in ("model.pt", "train.npz", "test.npz")]
    job = Job(f"{name}, paper", *files, options, keep_scores=True)
    record = runs.results([job])[0].get(job)
    if record is None:
        return None
    key = hash_of(["artifact", runs.key(job), SEEDS, content(Path(artifact_modules.__file__))])
    kept_record = runs.store.load(key)
    if kept_record is None and pool is not None and not more:
        # What is kept does not depend on the head; the original's is the fastest.
        fast = [*options, "--head", "original", "--scores", str(runs.scores_file(job)), "--threads", str(runs.threads)]
        data = ["--data", str(files[1]), "--test", str(files[2])]
        document = decompose(runs.binary, files[0], data, fast).document
        kept = [module["kept"] for module in document["modules"]]
        kept_record = {"accuracies": pool.submit(accuracies, name, trained, kept, runs.threads).result()}
        runs.store.save(key, kept_record)
    accuracies_of = kept_record["accuracies"] if kept_record else {}
    losses = {way: [round(100 * (record["original"] - each), 4) for each in found] for way, found in accuracies_of.items()}
    return {"original": record["original"], "compression": record["compression"], "overlap": record["overlap"],
            "incite": round(loss(record), 4), "losses": losses}  # fmt: skip


def table(rows: list[dict[str, Any]]) -> list[str]:
    header = ["network", "data", "epochs", "trained on", "given", "options", "original", "compression", "overlap, %"]
    header += ["`--preset paper`", REGRESSION, *WAYS]

    def lost(row: dict[str, Any], way: str) -> str:
        return several(row["losses"][way], "+.2f") if way in row["losses"] else ""

    shown = [
        [
            row["title"], row["data"], *(told_of(row, key) for key in (*MADE, OPTIONS)), f"{100 * row['original']:.2f} %",
            f"{row['compression']:.2f}x", f"{100 * row['overlap']:.1f}", f"{row['incite']:+.2f}",
            *(lost(row, way) for way in (REGRESSION, *WAYS)),
        ]
        for row in rows
    ]
    return markdown(header, shown, [i < 2 for i in range(len(header))])


def findings(rows: list[dict[str, Any]]) -> list[str]:
    """What the rows say of each cause: images, epochs, options, mistakes."""

    def lost(chosen: list[dict[str, Any]], *causes: str) -> str:
        """By these rows, of which those of one subject are compared that differ in the causes and in nothing else."""
        groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
        for row in chosen:
            groups.setdefault(tuple(row[key] for key in ("subject", *MADE, OPTIONS) if key not in causes), []).append(row)
        compared = [group for group in groups.values() if len(group) > 1]

        def which(row: dict[str, Any]) -> str:
            """What tells its group from others of its subject."""
            rivals = [group[0] for group in compared if group[0]["subject"] == row["subject"]]
            differs = [key for key in (*MADE, OPTIONS) if key not in causes and any(rival[key] != row[key] for rival in rivals)]
            return "".join(f", {key} {told_of(row, key)}" for key in differs)

        told = []
        for group in compared:
            each = [
                f"{row['incite']:+.2f} at {row['compression']:.2f}x with {told_of(row, causes[0])}"
                for row in sorted(group, key=itemgetter(causes[0]))
            ]
            told.append(f"{place(group[0])}{which(group[0])}: {', '.join(each)}")
        return "; ".join(told) or "not measured"

    def added(way: str) -> str:
        each = [(mean(row["losses"][way]) - mean(row["losses"][NONE]), place(row)) for row in rows if way in row["losses"]]
        if not each:
            return f"{way} not measured"
        least, (most, where) = min(each)[0], max(each)
        return f"{way} {least:+.2f} to {most:+.2f} ({where})" if most - least >= 0.005 else f"{way} {most:+.2f}"

    same = [row for row in rows if row["images"] == row["given"]]
    return [
        f"- Images to decompose with. {lost(rows, 'given')}.",
        f"- Images to train on, which are those to decompose with too. {lost(same, 'images', 'given')}.",
        f"- Epochs of the original's training. {lost(rows, 'epochs')}.",
        f"- Options of Incite beside the paper's. {lost(rows, OPTIONS)}.",
        f"- Mistakes, against {NONE}, means of the orders: {', '.join(added(way) for way in WAYS if way != NONE)}.",
    ]


def told_of(row: dict[str, Any], key: str) -> str:
    return f"{row[key]:,}" if key in MADE else f"`{row[key]}`" if row[key] else "none"


def place(row: dict[str, Any]) -> str:
    return f"{row['title']} on {row['data']}"


def write(rows: list[dict[str, Any]]) -> None:
    FILE.write_text(one_line_a_point({"rows": rows}) + "\n")
    published = PUBLISHED[False]
    text = f"""# The paper's figures and its program

`scripts/artifact.py` writes this page. The paper reports, as means of twelve classifiers, {published.loss} points of accuracy lost at
{published.compression}x, and an overlap of {published.overlap} %. Below: points lost by the paper's way, from originals of ours that differ in
what they were trained on and for how long. `--preset paper` is Incite; *none* is the same in PyTorch, with heads as the paper's public
program trains them, and *{REGRESSION}* with heads by penalised logistic regression on the same samples instead, so that what is lost there
is lost in the layers that are pruned; the last columns add one mistake of that program each to *{NONE}*, and *{ALL}* has them all. ±: sample
standard deviation over {SEEDS} orders in which heads are trained, where a row has it, else one order; originals and clusters have one seed.
Rows with options are of Incite alone, with these beside the paper's or against them.

- **flatten**: inputs of the first dense layer are chosen as if channels came first; in Keras they come last.
- **norm**: a slice's batch norm is not given the original's parameters and statistics, so that it does nothing; it is frozen, so that
  fitting the head does not mend it.
- **start**: the head starts with the columns of the class and of the others exchanged.
- **validation**: the tenth of the samples that chooses the head's epoch is the end of a list that begins with the class, so that it has
  none of it.
- **rounding**: classes are compared by probabilities in float32, of which many are 1.

"""
    lines = [*table(rows), "", "Points lost, and at which compression, in short:", "", *findings(rows)]
    (FILE.with_suffix(".md")).write_text(text + "\n".join(lines) + "\n")


def add(row: dict[str, Any]) -> None:
    """To the page, in place of a row of the same; those that another process has written meanwhile stay."""
    rows = json.loads(FILE.read_text())["rows"] if FILE.exists() else []
    rows = [old for old in rows if any(old[key] != row[key] for key in ("subject", *MADE, OPTIONS))] + [row]
    rows.sort(key=lambda row: ([*ORIGINALS].index(row["subject"]), [row[key] for key in (*reversed(MADE), OPTIONS)]))
    write(rows)


def main() -> int:
    args = arguments().parse_args()
    runs = Decompositions(args, CACHE)
    failed = 0
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        for name, *told, more in product(args.subjects, args.epochs, args.images, args.given, args.options):
            recipe = replace(ORIGINALS[name].recipe, **{key: value for key, value in zip(MADE, told, strict=True) if value})
            trained, failures = paper_originals.train({name: recipe}, args.data_dir, CACHE, 1, runs.threads, fresh=False)
            row = measured(name, trained[name], shlex.split(more), runs, None if args.incite_only else pool) if name in trained else None
            failed += failures + (row is None)
            if row is None:
                continue
            made = trained[name].record
            made = {"epochs": made["epochs"], "images": made["samples"], "given": made["given"], OPTIONS: more}
            add({"subject": name, "title": ORIGINALS[name].title, "data": trained[name].data, **made, **row})
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
