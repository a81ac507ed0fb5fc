#!/usr/bin/env python3
"""Reuses, replaces and removes modules of LeNet-5 models, and writes the results into docs/compose.md.

Models that are not in the cache folder are trained, decomposed and put there; `incite compose` joins modules; Python loads the joined
files and measures them. Data are .npz files with x_train, y_train, x_test, y_test (uint8 [N, 28, 28]); MNIST is fetched where no file is
given, and what other files are not given is left out.

  scripts/compose_demo.py --mnist mnist.npz --kuzushiji kmnist.npz --letters cmnist26.npz --cache build/compose
"""

import argparse
import importlib.util
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "compose.md"
BEGIN, END = "<!-- results: written by scripts/compose_demo.py -->\n", "<!-- end of results -->\n"
sys.path.append(str(ROOT / "models"))

import data  # noqa: E402 (it lies in another folder)
from export import save_scripted  # noqa: E402

LENET = ROOT / "models" / "lenet5-mnist"
EPOCHS = 15
TRAIN_SAMPLES = 20_000  # at most, of each data set, but for the LeNet-5 that is in this repository
FIT_SAMPLES = 8_000  # that a model is decomposed with
FURTHER_SAMPLES = 2_000  # of both data sets together, that a joined file is trained further on
FURTHER_EPOCHS = 3
FEW = 10  # samples of the class that the weak model knows little of
WEAK_CLASS = 5
WEAK_SAMPLES = 10_000
REMOVED = 7


def lenet_module():
    """models/lenet5-mnist/train.py, whose folder is no package."""
    spec = importlib.util.spec_from_file_location("lenet5_train", LENET / "train.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["lenet5_train"] = module
    spec.loader.exec_module(module)
    return module


lenet = lenet_module()


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
    return torch.cat([model(batch) for batch in lenet.as_input(samples.images).split(500)])


def recalls(outputs: Tensor, labels: np.ndarray) -> np.ndarray:
    """For each class that has samples, the share of them that is found."""
    found = outputs.argmax(1).numpy() == labels
    return np.array([found[labels == label].mean() for label in np.unique(labels)])


def percent(recall: np.ndarray | float) -> str:
    return f"{100 * float(np.mean(recall)):.2f} %"


def train_further(model: nn.Module, samples: Samples) -> None:
    """A few epochs of Adam on all weights of a joined file, in place."""
    torch.manual_seed(1)
    x, y = lenet.as_input(samples.images), torch.from_numpy(samples.labels)
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
        model = lenet.LeNet5()
        model.fc3 = nn.Linear(model.fc3.in_features, outputs)
        lenet.train(model, lenet.as_input(samples.images), torch.from_numpy(samples.labels), EPOCHS)
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

    def source(self, name: str, arrays: data.Arrays, model: Path | None = None) -> Source:
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


def reuse(demo: Demo, first: Source, second: Source, classes: tuple[range, range], anew: bool) -> str:
    """A row: classes of two models side by side."""
    print(f"joining {first.name} with {second.name}", flush=True)
    parts = [(source, list(some)) for source, some in zip((first, second), classes, strict=True)]
    name = f"{first.name}-{second.name}"
    combined = demo.composed(name, *(file for source, some in parts for file in modules(source, some)))
    offset = len(parts[0][1])
    tests = [parts[0][0].test.of(parts[0][1]), parts[1][0].test.of(parts[1][1]).shifted(offset)]
    found = [recalls(outputs_of(combined, test), test.labels) for test in tests]
    # The originals, among the same classes: each told which data a sample is from, and side by side by their probabilities.
    told = []
    joint = []
    for test in tests:
        columns = [outputs_of(torch.jit.load(str(source.model)), test).softmax(1)[:, some] for source, some in parts]
        own = columns[0] if test is tests[0] else columns[1]
        told.append(recalls(own, test.labels - (0 if test is tests[0] else offset)))
        joint.append(recalls(torch.cat(columns, 1), test.labels))
    row = [f"{first.name} {span(classes[0])} and {second.name} {span(classes[1])}", str(len(combined.names))]
    row += [percent(found[0]), percent(found[1]), percent(np.concatenate(found)), percent(np.concatenate(joint)),
            percent(np.concatenate(told))]
    train = [parts[0][0].train.of(parts[0][1]), parts[1][0].train.of(parts[1][1]).shifted(offset)]
    train_further(combined, train[0].some(FURTHER_SAMPLES // 2) + train[1].some(FURTHER_SAMPLES // 2))
    row.append(percent(np.concatenate([recalls(outputs_of(combined, test), test.labels) for test in tests])))
    if anew:
        model = torch.jit.load(str(demo.trained(f"{name}-anew", train[0] + train[1], len(combined.names))))
        row.append(percent(np.concatenate([recalls(outputs_of(model, test), test.labels) for test in tests])))
    else:
        row.append("-")
    return "| " + " | ".join(row) + " |"


def span(classes: range) -> str:
    return f"{classes[0]}–{classes[-1]}"


def replacement(demo: Demo, strong: Source) -> list[str]:
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
        rows.append(f"| {name} | {percent(found[WEAK_CLASS])} | {percent(np.delete(found, WEAK_CLASS))} | {percent(found)} |")
    return rows


def removal(demo: Demo, source: Source) -> list[str]:
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
        rows.append(f"| {name} | {outputs_of(network, samples.take(np.arange(1))).shape[1]} | {count:,} | {percent(found)} |")
    return rows


def page(demo: Demo, digits: Source, others: list[Source], anew: bool) -> list[str]:
    half = range(5)
    rows = []
    for other in others:
        labels = np.unique(other.train.labels)
        second = range(5, 10) if len(labels) == 10 else range(len(labels))
        first = half if len(labels) == 10 else range(10)
        rows.append(reuse(demo, digits, other, (first, second), anew))
    lines = []
    if rows:
        lines += [
            "### Reuse", "",
            "Balanced accuracy: the mean over classes of the share that is found. Beside it: the originals side by side, where the",
            "class with the largest of all probabilities is chosen; the originals when each is told that a sample is from its data;",
            f"the joined file trained further on {FURTHER_SAMPLES:,} samples, {FURTHER_EPOCHS} epochs of Adam; and a LeNet-5 trained"
            " anew on all samples of these",
            f"classes. Models are trained on at most {TRAIN_SAMPLES:,} samples of a data set, but for the LeNet-5 of digits (52,000).",
            "",
            "| joined | classes | on the first | on the second | on both | originals side by side | originals told "
            "| trained further | trained anew |",
            "|---|--:|--:|--:|--:|--:|--:|--:|--:|", *rows, ""]
    lines += [
        "### Replacement", "",
        f"The weak model was trained on {WEAK_SAMPLES:,} images of {digits.name}, of which {FEW} of class {WEAK_CLASS}.", "",
        f"| model | recall of {WEAK_CLASS} | of the others | of all |", "|---|--:|--:|--:|", *replacement(demo, digits), "",
        "### Removal", "",
        f"On the test samples of all classes but {REMOVED}.", "",
        "| model | classes | parameters | balanced accuracy |", "|---|--:|--:|--:|", *removal(demo, digits), ""]
    return lines


def write_page(lines: list[str]) -> None:
    text = PAGE.read_text()
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    PAGE.write_text(head + BEGIN + "\n" + "\n".join(lines) + "\n" + END + tail)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mnist", type=Path, metavar="FILE.npz", help="x_train, y_train, x_test, y_test")
    parser.add_argument("--kuzushiji", type=Path, metavar="FILE.npz", help="Kuzushiji-MNIST, the same arrays")
    parser.add_argument("--letters", type=Path, metavar="FILE.npz", help="CMNIST-26, handwritten Cyrillic letters, the same arrays")
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "compose", help="folder for models and modules")
    parser.add_argument("--incite", type=Path, default=ROOT / "build" / "release" / "incite", metavar="PROGRAM")
    parser.add_argument("--no-anew", action="store_true", help="train no models on joined data for comparison")
    parser.add_argument("--print", action="store_true", help="print the results; leave the page as it is")
    args = parser.parse_args()

    # One thread: the sums, and so the weights, are then the same on every run.
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)

    demo = Demo(args.incite.resolve(), args.cache.resolve())
    digits = demo.source("MNIST", data.mnist(args.mnist), LENET / "model.pt")
    given = (("Kuzushiji", args.kuzushiji), ("CMNIST-26", args.letters))
    others = [demo.source(name, data.from_npz(path)) for name, path in given if path is not None]
    lines = page(demo, digits, others, not args.no_anew)
    print("\n".join(lines))
    if not args.print:
        write_page(lines)


if __name__ == "__main__":
    main()
