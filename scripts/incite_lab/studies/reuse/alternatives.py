"""What the modules made for some classes are compared with: modules of all classes, composed, and a network trained from scratch."""

import io
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from incite_lab.models import data, lenet5
from incite_lab.models.classifiers import HELD_OUT
from incite_lab.models.training import as_input
from incite_lab.run.program import IMAGE_OPTIONS, decompose_command, run
from incite_lab.studies.quality.specs import Spec

BATCH = 128
EPOCHS = 15  # of the originals
IMAGES = 52_000  # that they saw
STEPS = EPOCHS * -(-IMAGES // BATCH)
ORIGINAL_SEED = 1


@dataclass(frozen=True)
class Measured:
    combined: float  # accuracy on the test samples of the classes
    parameters: int


def compositions(binary: Path, spec: Spec, sets: Iterable[tuple[int, ...]], threads: int) -> dict[tuple[int, ...], Measured]:
    """By set of classes, the composition of their modules, all taken from one decomposition into a module for each class."""
    subject, common = spec.subject, ["--threads", str(threads)]
    with TemporaryDirectory() as folder:
        modules, file = Path(folder) / "modules", Path(folder) / "composed.pt"
        options = [*IMAGE_OPTIONS, *subject.options, *spec.method.options, *spec.size, "--seed", str(spec.seed), *common]
        run(decompose_command(binary, subject.model, ["--data", str(subject.train), "--test", str(subject.test)], options, modules))
        found = {}
        for classes in sets:
            names = [str(modules / f"module-{label}.pt") for label in classes]
            run([str(binary), "compose", *names, "--out", str(file), "--force", "--json"])
            of_test = ["--data", str(subject.test), "--input-key", "x_test", "--target-key", "y_test"]
            document = run([str(binary), "evaluate", str(file), *of_test, *common, "--json"]).document
            found[classes] = Measured(document["evaluation"]["accuracy"], document["costs"]["model"]["parameters"])
    return found


def of_classes(x: np.ndarray, y: np.ndarray, classes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The samples of these classes; labels become places in `classes`, which ascend."""
    chosen = np.isin(y, classes)
    return x[chosen], np.searchsorted(classes, y[chosen])


def trained(archive: Path, classes: Sequence[int], steps: int, seed: int, threads: int) -> Measured:
    """A LeNet-5 for these classes, trained as the original was, on the original's images of them, for about so many steps."""
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    arrays = data.from_npz(archive)
    seen = np.random.default_rng(ORIGINAL_SEED).permutation(len(arrays["x_train"]))[:-HELD_OUT]
    x, y = of_classes(arrays["x_train"][seen], arrays["y_train"][seen], classes)
    model = lenet5.LeNet5(len(classes))
    with redirect_stdout(io.StringIO()):
        lenet5.train(model, as_input(x[:, None]), torch.from_numpy(y), epochs_of(steps, len(x)))
    x, y = of_classes(arrays["x_test"], arrays["y_test"], classes)
    with torch.no_grad():
        predicted = torch.cat([model.eval()(batch).argmax(1) for batch in as_input(x[:, None]).split(500)])
    return Measured(float((predicted.numpy() == y).mean()), sum(parameter.numel() for parameter in model.parameters()))


def epochs_of(steps: int, images: int) -> int:
    """Whole epochs of about so many steps, at least one."""
    return max(1, round(steps / -(-images // BATCH)))
