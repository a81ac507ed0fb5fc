"""How networks are trained: epochs, batches, learning rates and amounts of data."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ImageRecipe:
    """How a network for images is trained, on how much, and what Incite gets of the data."""

    epochs: int
    batch: int
    learning_rate: float  # at its highest
    images: int | None = None  # to train on, drawn with the seed; None: all
    given: int | None = None  # to decompose with, those that it was trained on first; None: all
    tested: int | None = None  # test images, drawn with the seed; None: all
    side: int = 28  # of an image
    turned: bool = False  # each batch is mirrored or turned by quarters at random, its labels for pixels too
    bfloat16: bool = False  # multiply in it where the processor does, which is up to several times as fast; weights stay float32


@dataclass(frozen=True)
class DenseRecipe:
    """How a dense regressor is trained."""

    epochs: int
    batch: int
    learning_rate: float
    cosine: bool  # the learning rate falls to 0 along a half cosine; otherwise it is constant


VGGNET16 = ImageRecipe(epochs=3, batch=32, learning_rate=3e-4, images=4_000, given=8_000, tested=2_000, side=56, bfloat16=True)
MULTILABEL = ImageRecipe(epochs=8, batch=64, learning_rate=4e-3, side=48)
UNET = ImageRecipe(epochs=12, batch=16, learning_rate=5e-3, side=64)
FCN = ImageRecipe(epochs=16, batch=16, learning_rate=5e-3, side=64, turned=True)
# paper: as the artifact of the paper trains its regressors. long: what these networks can reach.
DENSE = {
    "paper": DenseRecipe(epochs=100, batch=32, learning_rate=1e-3, cosine=False),
    "long": DenseRecipe(epochs=200, batch=64, learning_rate=3e-3, cosine=True),
}
