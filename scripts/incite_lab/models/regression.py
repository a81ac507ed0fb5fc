#!/usr/bin/env python3
"""Trains small dense regressors on functions of one variable; writes SUBJECT/model.pt, train.npz and test.npz."""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

from regressor import RECIPES, SUBJECTS, make  # noqa: E402 (it lies in the folder above)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subject", choices=[*SUBJECTS, "both"], default="both")
    parser.add_argument("--recipe", choices=[*RECIPES], default="paper")
    parser.add_argument("--epochs", type=int, help="default: as the recipe has it")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=HERE, help="folder for SUBJECT/ (default: beside this script)")
    args = parser.parse_args()

    recipe = RECIPES[args.recipe]
    if args.epochs is not None:
        recipe = replace(recipe, epochs=args.epochs)

    # One thread: the sums, and so the weights, are then the same on every run.
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for subject in SUBJECTS if args.subject == "both" else [args.subject]:
        made = make(subject, recipe, args.seed, args.out / subject)
        names = [function.__name__ for function in SUBJECTS[subject][1]]
        each = ", ".join(f"{name} {error:.5f}" for name, error in zip(names, made.errors, strict=True))
        print(f"{subject}: test MAE {np.mean(made.errors):.5f} ({each}); {recipe.epochs} epochs, {made.seconds:.0f} s")


if __name__ == "__main__":
    main()
