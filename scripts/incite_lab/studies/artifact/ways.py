"""How modules are made from the clusters that are kept: as they should be, or with mistakes of the paper's public program."""

from collections.abc import Mapping

# What that program does otherwise than it should.
FLATTEN = "flatten"  # the first dense layer's inputs are chosen as if channels came first, which come last
NORM = "norm"  # batch norm stays as it was created: with no mean, of variance 1
START = "start"  # the head starts with its columns exchanged
VALIDATION = "validation"  # the samples that choose the head's epoch are all of other classes
ROUNDING = "rounding"  # classes are compared by probabilities in float32
MISTAKES = (FLATTEN, NORM, START, VALIDATION, ROUNDING)

NONE, ALL, REGRESSION = "none", "all", "regression"
WAYS: Mapping[str, tuple[str, ...]] = {NONE: (), **{mistake: (mistake,) for mistake in MISTAKES}, ALL: MISTAKES}
SEEDS = 5  # of the heads' training
