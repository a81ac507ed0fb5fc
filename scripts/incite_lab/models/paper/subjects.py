"""The originals of the paper's 16 subjects: network, data, how they are trained here, and the options that Incite gets for them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from incite_lab.models.recipes import DENSE, VGGNET16, DenseRecipe, ImageRecipe

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Budget:
    """What runs of incite get, where its defaults and all samples would take days."""

    options: tuple[str, ...] = ()
    samples: int | None = None  # the first of those that are given; None: all of them


@dataclass(frozen=True)
class Network:
    title: str
    architecture: str  # function of incite_lab.models.architectures
    recipe: ImageRecipe
    paper: Budget = Budget()  # of the paper's way
    others: Budget = Budget()

    def make(self, channels: int, outputs: int) -> nn.Sequential:
        from incite_lab.models import architectures

        return getattr(architectures, self.architecture)(channels, outputs)


def scored(samples: int, given: int | None = None) -> Budget:
    """Memory is given too, so that results do not depend on what is free."""
    return Budget(("--samples", f"{samples}", "--memory", "2GB"), given)


# Trained on what makes it good, decomposed with what takes two cores an hour. The paper's way needs many samples for its heads, which it
# fits to equally many of the class and of all others; with four times as many scored it loses as much.
DEEP = replace(VGGNET16, images=8_000, given=20_000, tested=1_000)
FEW = scored(64, 3_000)
NETWORKS = {
    "lenet5": Network("LeNet-5", "lenet5", ImageRecipe(epochs=15, batch=128, learning_rate=4e-3)),
    "alexnet": Network(
        "AlexNet",
        "alexnet",
        ImageRecipe(epochs=4, batch=64, learning_rate=1e-3, images=20_000, given=30_000),
        scored(1024),
        scored(1024),
    ),
    "vggnet16": Network("VGGNet-16", "vggnet16", DEEP, scored(64), FEW),
    "cnn": Network("CNN", "cnn_wider_face", DEEP, scored(64), FEW),
}
CLASSIFIERS = ("lenet5", "alexnet", "vggnet16")

# As the paper's public scripts train their dense regressors; two of them on all of 10,000 points of their functions.
FUNCTIONS = DENSE["paper"]
WEATHER = DenseRecipe(epochs=200, batch=32, learning_rate=1e-3, cosine=False)


@dataclass(frozen=True)
class Original:
    title: str
    data: str | None  # of sources.DATA_SETS; None: points of a function
    network: str | None = None  # of NETWORKS; None: a dense regressor
    recipe: ImageRecipe | DenseRecipe = FUNCTIONS
    paper: Budget = Budget()
    others: Budget = Budget()
    regression: bool = False


def of_images(network: str, data: str, regression: bool = False) -> Original:
    kind = NETWORKS[network]
    return Original(kind.title, data, network, kind.recipe, kind.paper, kind.others, regression)


ORIGINALS = {
    **{f"{network}-{data}": of_images(network, data) for network in CLASSIFIERS for data in ("mnist", "emnist", "fmnist", "kmnist")},
    "exp-log": Original("Exp-Log", None, regression=True),
    "sin-cos-sqrt": Original("Sin-Cos-Sqrt", None, regression=True),
    "nsrdb": Original("Dense", "nsrdb", recipe=WEATHER, regression=True),
    "cnn-wider-face": of_images("cnn", "wider-face", regression=True),
}
