"""Trains the original of one of the paper's subjects; writes model.pt, train.npz and test.npz, and prints a summary as JSON.

train.npz has the samples for decomposing: some or all of the training samples, or those and some more. Training does not use test.npz.
"""

import argparse
import contextlib
import json
import sys
from dataclasses import replace
from pathlib import Path

from incite_lab.models.data import from_npz
from incite_lab.models.paper.subjects import ORIGINALS
from incite_lab.models.recipes import ImageRecipe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("subject", choices=[*ORIGINALS], metavar="SUBJECT", help=f"one of {', '.join(ORIGINALS)}")
    parser.add_argument("--data", type=Path, metavar="FILE.npz", help="x_train, y_train, x_test, y_test; not for subjects that are functions")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--epochs", type=int, help="default: the recipe's")
    parser.add_argument("--images", type=int, help="images to train on (default: the recipe's)")
    parser.add_argument("--given", type=int, help="images to decompose with (default: the recipe's)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)


def main(args: argparse.Namespace) -> None:
    original = ORIGINALS[args.subject]
    if (original.data is None) != (args.data is None):
        args.error(f"{args.subject} {'takes no' if original.data is None else 'needs'} --data")
    changes = {key: value for key in ("epochs", "images", "given") if (value := getattr(args, key)) is not None}
    if (amounts := changes.keys() - {"epochs"}) and not isinstance(original.recipe, ImageRecipe):
        args.error(f"{args.subject} takes no --{min(amounts)}: it is trained on all of its data, and all of that is given")
    from incite_lab.models.paper import training
    from incite_lab.models.training import repeatable

    recipe = replace(original.recipe, **changes)
    repeatable(args.threads, args.seed)
    data = None if args.data is None else from_npz(args.data)
    with contextlib.redirect_stdout(sys.stderr):  # stdout is for the document
        if isinstance(recipe, ImageRecipe):
            assert data is not None
            document = training.images(original, recipe, data, args.seed, args.out)
        else:
            document = training.dense(original, args.subject, recipe, data, args.seed, args.out)
    print(json.dumps({"epochs": recipe.epochs, **document}))
