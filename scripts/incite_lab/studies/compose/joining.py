"""Models that are trained and decomposed, their modules joined by `incite compose`, and the quality of the joined files."""

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from incite_lab.models import lenet5
from incite_lab.models.data import Arrays
from incite_lab.models.export import save_scripted
from incite_lab.models.training import as_input
from incite_lab.pages.tables import markdown

EPOCHS = 15
TRAIN_SAMPLES = 20_000  # at most, of each data set, but for the LeNet-5 that is in this repository
FIT_SAMPLES = 8_000  # that a model is decomposed with
FURTHER_SAMPLES = 2_000  # of both data sets together, that a joined file is trained further on
FURTHER_EPOCHS = 3
FEW = 10  # samples of the class that the weak model knows little of
WEAK_CLASS = 5
WEAK_SAMPLES = 10_000
REMOVED = 7


@dataclass
class Samples:
    """Images uint8 [N, 28, 28] and their classes."""

    images: np.ndarray
    labels: np.ndarray

    def of(self, classes: Iterable[int]) -> "Samples":
        """Those of some classes; their labels become places in the list of classes."""
        places = {label: place for place, label in enumerate(classes)}
        chosen = np.isin(self.labels, list(places))
        return Samples(self.images[chosen], np.array([places[label] for label in self.labels[chosen].tolist()], np.int64))

    def some(self, count: int) -> "Samples":
        """A random choice of `count`, always the same; all where there are no more."""
        if len(self.labels) <= count:
            return self
        return self.take(np.random.default_rng(0).permutation(len(self.labels))[:count])

    def take(self, indices: np.ndarray) -> "Samples":
        return Samples(self.images[indices], self.labels[indices])

    def shifted(self, by: int) -> "Samples":
        return Samples(self.images, self.labels + by)

    def __add__(self, other: "Samples") -> "Samples":
        return Samples(np.concatenate([self.images, other.images]), np.concatenate([self.labels, other.labels]))


@dataclass
class Source:
    """A model, its modules and its data."""

    name: str
    model: Path
    modules: Path
    train: Samples
    test: Samples


@torch.no_grad()
def outputs_of(model: nn.Module, samples: Samples) -> Tensor:
    return torch.cat([model(batch) for batch in as_input(samples.images).unsqueeze(1).split(500)])


def recalls(outputs: Tensor, labels: np.ndarray) -> np.ndarray:
    """For each class that has samples, the share of them that is found."""
    found = outputs.argmax(1).numpy() == labels
    return np.array([found[labels == label].mean() for label in np.unique(labels)])


def percent(recall: np.ndarray | float) -> str:
    return f"{100 * float(np.mean(recall)):.2f} %"


def train_further(model: nn.Module, samples: Samples) -> None:
    """A few epochs of Adam on all weights of a joined file, in place."""
    torch.manual_seed(1)
    x, y = as_input(samples.images).unsqueeze(1), torch.from_numpy(samples.labels)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(FURTHER_EPOCHS):
        for index in torch.randperm(len(y)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[index]), y[index]).backward()
            optimizer.step()


class Demo:
    def __init__(self, incite: Path, cache: Path) -> None:
        self.incite = incite
        self.cache = cache

    def run(self, *arguments: object) -> None:
        subprocess.run([str(self.incite), *map(str, arguments), "--quiet", "--threads", "1"], check=True)

    def trained(self, name: str, samples: Samples, outputs: int) -> Path:
        """A LeNet-5, trained unless it is there."""
        file = self.cache / name / "model.pt"
        if file.exists():
            return file
        print(f"training {name} on {len(samples.labels):,} images of {outputs} classes", flush=True)
        torch.manual_seed(1)
        model = lenet5.LeNet5()
        model.fc3 = nn.Linear(model.fc3.in_features, outputs)
        lenet5.train(model, as_input(samples.images).unsqueeze(1), torch.from_numpy(samples.labels), EPOCHS)
        save_scripted(model, file)
        return file

    def decomposed(self, name: str, model: Path, samples: Samples) -> Path:
        """The folder of a model's modules, made unless it is there."""
        folder = self.cache / name / "modules"
        if (folder / "decomposition.json").exists():
            return folder
        print(f"decomposing {name}", flush=True)
        (self.cache / name).mkdir(parents=True, exist_ok=True)
        fit = self.cache / name / "fit.npz"
        order = np.random.default_rng(1).permutation(len(samples.labels))[:FIT_SAMPLES]
        np.savez(fit, x=samples.images[order][:, None], y=samples.labels[order])
        self.run("decompose", model, "--data", fit, "--out", folder)
        return folder

    def source(self, name: str, arrays: Arrays, model: Path | None = None) -> Source:
        train = Samples(arrays["x_train"], arrays["y_train"].astype(np.int64)).some(TRAIN_SAMPLES)
        test = Samples(arrays["x_test"], arrays["y_test"].astype(np.int64))
        model = model or self.trained(name, train, int(train.labels.max()) + 1)
        return Source(name, model, self.decomposed(name, model, train), train, test)

    def composed(self, name: str, *arguments: object) -> torch.jit.ScriptModule:
        """What `incite compose` makes."""
        file = self.cache / "composed" / f"{name}.pt"
        self.run("compose", *arguments, "--out", file, "--force")
        return torch.jit.load(str(file))


def modules(source: Source, classes: Iterable[int]) -> list[Path]:
    return [source.modules / f"module-{label}.pt" for label in classes]


def reuse(demo: Demo, first: Source, second: Source, classes: tuple[range, range], anew: bool) -> list[str]:
    """A row: classes of two models side by side."""
    print(f"joining {first.name} with {second.name}", flush=True)
    name = f"{first.name}-{second.name}"
    sources, offset = (first, second), len(classes[0])
    joined = demo.composed(name, *(file for source, some in zip(sources, classes, strict=True) for file in modules(source, some)))
    tests = [first.test.of(classes[0]), second.test.of(classes[1]).shifted(offset)]
    train = [first.train.of(classes[0]), second.train.of(classes[1]).shifted(offset)]

    def on_both(model: nn.Module) -> np.ndarray:
        return np.concatenate([recalls(outputs_of(model, test), test.labels) for test in tests])

    found = on_both(joined)
    # The originals, among the same classes: side by side by their probabilities, and each told which data a sample is from.
    side_by_side, told = [], []
    for own, test in enumerate(tests):
        columns = [
            outputs_of(torch.jit.load(str(source.model)), test).softmax(1)[:, [*some]] for source, some in zip(sources, classes, strict=True)
        ]
        side_by_side.append(recalls(torch.cat(columns, 1), test.labels))
        told.append(recalls(columns[own], test.labels - own * offset))
    train_further(joined, train[0].some(FURTHER_SAMPLES // 2) + train[1].some(FURTHER_SAMPLES // 2))
    row = [f"{first.name} {span(classes[0])} and {second.name} {span(classes[1])}", str(len(joined.names))]
    row += map(percent, (found[:offset], found[offset:], found, np.concatenate(side_by_side), np.concatenate(told), on_both(joined)))
    if not anew:
        return [*row, "-"]
    model = torch.jit.load(str(demo.trained(f"{name}-anew", train[0] + train[1], len(joined.names))))
    return [*row, percent(on_both(model))]


def span(classes: range) -> str:
    return f"{classes[0]}–{classes[-1]}"


def replacement(demo: Demo, strong: Source) -> list[list[str]]:
    """Rows: a model that saw little of a class, its modules, and those with the strong model's for that class."""
    random = np.random.default_rng(2)
    order = random.permutation(len(strong.train.labels))[:WEAK_SAMPLES]
    of_class = order[strong.train.labels[order] == WEAK_CLASS]
    kept = np.setdiff1d(order, of_class[FEW:])
    model = demo.trained("weak", strong.train.take(random.permutation(kept)), len(np.unique(strong.train.labels)))
    folder = demo.decomposed("weak", model, strong.train.take(kept))
    plain = demo.composed("weak", folder)
    mended = demo.composed("weak-mended", folder, "--replace", f"{WEAK_CLASS}={modules(strong, [WEAK_CLASS])[0]}")
    rows = []
    for name, network in (("the weak model", torch.jit.load(str(model))), ("its modules joined", plain),
                          (f"with the other model's module {WEAK_CLASS}", mended),
                          ("the other model's modules joined", demo.composed("strong", strong.modules)),
                          ("the other model", torch.jit.load(str(strong.model)))):
        found = recalls(outputs_of(network, strong.test), strong.test.labels)
        rows.append([name, percent(found[WEAK_CLASS]), percent(np.delete(found, WEAK_CLASS)), percent(found)])
    return rows


def removal(demo: Demo, source: Source) -> list[list[str]]:
    """Rows: all modules, and all but one, on the samples of the classes that stay."""
    stay = [label for label in range(int(source.test.labels.max()) + 1) if label != REMOVED]
    test = source.test.of(stay)
    whole = demo.composed("whole", source.modules)
    without = demo.composed("without", source.modules, "--remove", REMOVED)
    original = torch.jit.load(str(source.model))
    asked = Samples(test.images, np.array(stay)[test.labels])
    rows = []
    for name, network, samples in (("the original", original, asked), ("all modules joined", whole, asked),
                                   (f"all but module {REMOVED}", without, test)):
        found = recalls(outputs_of(network, samples), samples.labels)
        count = sum(parameter.numel() for parameter in network.parameters())
        rows.append([name, str(outputs_of(network, samples.take(np.arange(1))).shape[1]), f"{count:,}", percent(found)])
    return rows


def results(demo: Demo, digits: Source, others: list[Source], anew: bool) -> list[str]:
    """The lines of the page."""
    rows = []
    for other in others:
        count = int(other.train.labels.max()) + 1
        classes = (range(5), range(5, 10)) if count == 10 else (range(10), range(count))
        rows.append(reuse(demo, digits, other, classes, anew))
    lines = []
    if rows:
        header = ["joined", "classes", "on the first", "on the second", "on both", "originals side by side", "originals told"]
        lines += [
            "### Reuse", "",
            "Balanced accuracy is the mean recall over classes. The other columns: the originals side by side, where the class with",
            "the largest of all probabilities wins; the originals if each is told which samples are from its data; the joined file",
            f"after further training on {FURTHER_SAMPLES:,} samples, {FURTHER_EPOCHS} epochs of Adam; a LeNet-5 trained from scratch on all "
            "samples of these",
            f"classes. Models are trained on at most {TRAIN_SAMPLES:,} samples of a data set, except the LeNet-5 for digits (52,000).",
            "", *markdown([*header, "trained further", "trained from scratch"], rows, "lr"), "",
        ]  # fmt: skip
    weak, removed = replacement(demo, digits), removal(demo, digits)
    return [
        *lines,
        "### Replacement", "",
        f"The weak model was trained on {WEAK_SAMPLES:,} images of {digits.name}, with only {FEW} of class {WEAK_CLASS}.", "",
        *markdown(["model", f"recall of {WEAK_CLASS}", "of the others", "of all"], weak, "lr"), "",
        "### Removal", "",
        f"On the test samples of all classes but {REMOVED}.", "",
        *markdown(["model", "classes", "parameters", "balanced accuracy"], removed, "lr"), "",
    ]  # fmt: skip
