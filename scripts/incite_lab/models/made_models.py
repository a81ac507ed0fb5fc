"""The commands that train the models on made data: `incite-lab train multilabel-mnist` and others."""

import argparse
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from incite_lab.models import made_data
from incite_lab.models.made_data import Made
from incite_lab.models.recipes import FCN, MULTILABEL, UNET, ImageRecipe
from incite_lab.paths import MODELS

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class MadeModel:
    """Trains a network on made data, or measures the model that is there, on the test images."""

    HELP: str
    data: Made
    network: tuple[str, str]  # module of incite_lab.models, and the class in it
    folder: str  # below models/
    recipe: ImageRecipe
    per_pixel: bool  # a class for each pixel; otherwise several labels for an image

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        self.data.add_source(parser)
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--out", type=Path, default=MODELS / self.folder, metavar="FOLDER", help=f"for model.pt (default: models/{self.folder})")
        parser.add_argument("--evaluate", action="store_true", help="don't train; measure the existing model.pt")

    def main(self, args: argparse.Namespace) -> None:
        import torch
        from torch.nn import functional

        from incite_lab.models.export import save_scripted
        from incite_lab.models.training import repeatable, train_on_images

        repeatable(threads=1, seed=args.seed)
        parts = {part: made_data.read(file) for part, file in self.data.files(args).items()}
        file = args.out / "model.pt"
        if not args.evaluate:
            module = import_module(f"incite_lab.models.{self.network[0]}")
            model = getattr(module, self.network[1])()
            y = torch.from_numpy(parts["train"]["y"])
            loss = functional.cross_entropy if self.per_pixel else functional.binary_cross_entropy_with_logits
            start = time.monotonic()
            train_on_images(model, torch.from_numpy(parts["train"]["x"]), y.long() if self.per_pixel else y.float(), loss, self.recipe)
            print(f"{self.recipe.epochs} epochs, {time.monotonic() - start:.0f} s")
            save_scripted(model, file)
        scripted = torch.jit.load(str(file))
        print(f"{sum(parameter.numel() for parameter in scripted.parameters()):,} parameters")
        for part, arrays in reversed(parts.items()):
            x, truth = arrays["x"][: len(parts["test"]["x"])], arrays["y"][: len(parts["test"]["x"])]
            with torch.no_grad():
                outputs = [scripted(batch.float() / 255) for batch in torch.from_numpy(x).split(100)]
            print(f"{part}, {len(x):,} images: {self.measured(outputs, truth)}")

    def measured(self, outputs: "list[Tensor]", y: np.ndarray) -> str:
        from incite_lab.models import measures

        if not self.per_pixel:
            scores = np.concatenate([batch.numpy() for batch in outputs])
            alone = [measures.average_precision(own, truth) for own, truth in zip(scores.T, y.T, strict=True)]
            each = ", ".join(f"{100 * one:.2f}" for one in alone)
            return f"mean average precision {np.mean(alone):.2%} ({each}), accuracy of labels {((scores > 0) == y).mean():.2%}"
        predicted = np.concatenate([batch.argmax(1).numpy() for batch in outputs])
        counts = measures.confusion(predicted, y, outputs[0].shape[1])
        each = ", ".join(f"{100 * one:.1f}" for one in measures.ious(counts))
        return f"mean IoU {measures.mean_iou(counts):.2%} ({each}), accuracy of pixels {(predicted == y).mean():.2%}"


MULTILABEL_MNIST = MadeModel(
    "Trains a small CNN that says which digits are in an image, and writes model.pt.\n\nThe data is that of `incite-lab data digits`.",
    made_data.DIGITS, ("multilabel_cnn", "MultilabelCNN"), "multilabel-mnist", MULTILABEL, per_pixel=False,
)  # fmt: skip
UNET_SHAPES = MadeModel(
    "Trains a small U-Net that finds shapes, and writes model.pt.\n\nThe data is that of `incite-lab data shapes`.",
    made_data.SHAPES, ("segmenters", "UNet"), "unet-shapes", UNET, per_pixel=True,
)  # fmt: skip
FCN_SHAPES = MadeModel(
    "Trains a small FCN that finds shapes, and writes model.pt.\n\nThe data is that of `incite-lab data shapes`.",
    made_data.SHAPES, ("segmenters", "FCN"), "fcn-shapes", FCN, per_pixel=True,
)  # fmt: skip
