"""Trains small dense regressors on functions of one variable; writes SUBJECT/model.pt, train.npz and test.npz."""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from incite_lab.models.recipes import DENSE
from incite_lab.paths import MODELS

SUBJECTS = ("sin-cos-sqrt", "exp-log")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--subject", choices=[*SUBJECTS, "both"], default="both")
    parser.add_argument("--recipe", choices=[*DENSE], default="paper")
    parser.add_argument("--epochs", type=int, help="default: the recipe's")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=MODELS / "regression", help="folder for SUBJECT/ (default: models/regression)")


def main(args: argparse.Namespace) -> None:
    from incite_lab.models import regressor
    from incite_lab.models.training import repeatable

    recipe = DENSE[args.recipe]
    if args.epochs is not None:
        recipe = replace(recipe, epochs=args.epochs)
    repeatable(threads=1)
    for subject in SUBJECTS if args.subject == "both" else [args.subject]:
        fitted = regressor.fit_to_functions(subject, recipe, args.seed, args.out / subject)
        names = [function.__name__ for function in regressor.FUNCTIONS[subject][1]]
        each = ", ".join(f"{name} {error:.5f}" for name, error in zip(names, fitted.errors, strict=True))
        print(f"{subject}: test MAE {np.mean(fitted.errors):.5f} ({each}); {recipe.epochs} epochs, {fitted.seconds:.0f} s")
