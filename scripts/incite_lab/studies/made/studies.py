"""The commands `incite-lab multilabel` and `incite-lab segmentation`."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from incite_lab.models import made_data
from incite_lab.models.made_models import FCN_SHAPES, MULTILABEL_MNIST, UNET_SHAPES, MadeModel
from incite_lab.pages.sections import QUALITY, write_section
from incite_lab.paths import BUILD, MODELS
from incite_lab.run import runner
from incite_lab.run.runner import Job, Runner
from incite_lab.run.store import Record
from incite_lab.studies.made import page
from incite_lab.studies.quality import results
from incite_lab.studies.quality.specs import SCORES_ALONE

METHODS = ("each", "each-finetune", "all", "all-finetune")


@dataclass(frozen=True)
class Run:
    model: MadeModel
    method: str
    target: str
    seed: int


@dataclass(frozen=True)
class Study:
    """Decomposes models at several sizes and measures modules and originals on test data. Writes a section of docs/quality.md."""

    HELP: str
    part: str  # of docs/quality.json
    section: str  # of docs/quality.md
    models: Mapping[str, MadeModel]  # by title
    options: tuple[str, ...]  # of every run
    targets: tuple[str, ...]
    epochs: int  # of fine-tuning
    fit: int  # training samples to use
    words: page.Words

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        names = [model.folder for model in self.models.values()]
        next(iter(self.models.values())).data.add_source(parser)
        parser.add_argument("--subjects", nargs="+", choices=names, default=names, metavar="NAME", help=f"some of {', '.join(names)}")
        parser.add_argument("--methods", nargs="+", choices=METHODS, default=[*METHODS], metavar="NAME", help=f"some of {', '.join(METHODS)}")
        default = " ".join(self.targets)
        parser.add_argument("--targets", nargs="+", default=[*self.targets], metavar="TIMES", help=f"compression (default: {default})")
        parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="SEED")
        parser.add_argument("--fit", type=int, default=self.fit, help="training samples to use, the first ones; 0: all (default: %(default)s)")
        runner.add_arguments(parser)

    def main(self, args: argparse.Namespace) -> None:
        chosen = {title: model for title, model in self.models.items() if model.folder in args.subjects}
        runs = Runner(args, resume=False)
        files = {model: fitted(model.data.files(args), args.fit) for model in chosen.values()}
        jobs = {
            (run := Run(model, method, target, seed)): self.job(run, files[model])
            for model in chosen.values()
            for method in args.methods
            for target in args.targets
            for seed in args.seeds
        }
        done, _ = runs.results(jobs.values())
        if not done:
            raise SystemExit("no run was finished; nothing is written")
        found = {run: done[job] for run, job in jobs.items() if job in done}
        measures = {model.folder: one | {"options": self.options} for title, model in chosen.items() if (one := measured(title, model, args, found))}
        write_section(self.section, page.section(results.update(self.part, runs, measures), self.part, self.words), QUALITY)

    def job(self, run: Run, files: Mapping[str, Path]) -> Job:
        """Runs of all methods and sizes share scores."""
        model = MODELS / run.model.folder / "model.pt"
        data = (model, files["train"], files["test"])
        scores = Job(f"{run.model.folder}, seed {run.seed}, scores", *data, (*self.options, *SCORES_ALONE), run.seed, keep_scores=True)
        modules, _, finetuned = run.method.partition("-")
        method = (*(("--modules", "all") if modules == "all" else ()), *(("--finetune", str(self.epochs)) if finetuned else ()))
        options = (*self.options, *method, "--target-compression", run.target)
        return Job(f"{run.model.folder}, {run.method}, seed {run.seed}, {run.target}x", *data, options, run.seed, scores)


def fitted(files: Mapping[str, Path], count: int) -> dict[str, Path]:
    """train.npz with the first `count` samples, and test.npz."""
    train = files["train"]
    file = BUILD / "quality" / "data" / f"{train.parent.name}-{count}.npz"
    arrays = made_data.read(train) if count and not (file.exists() and file.stat().st_mtime > train.stat().st_mtime) else {}
    if arrays:
        made_data.write(file, {key: array[:count] for key, array in arrays.items()})
    return {"train": file if count else train, "test": files["test"]}


def measured(title: str, model: MadeModel, args: argparse.Namespace, found: Mapping[Run, Record]) -> dict[str, Any] | None:
    """Without rows of which a run failed, since means over other seeds can't be compared; None without any row."""
    rows = []
    for method in args.methods:
        for target in args.targets:
            of_row = [Run(model, method, target, seed) for seed in args.seeds]
            if all(run in found for run in of_row):
                rows.append({"method": method, "target": target, **results.point([found[run] for run in of_row])})
    if not rows:
        return None
    one = next(record for run, record in found.items() if run.model == model)
    return {"title": title, "fit": args.fit, "original": one["original"], "parameters": one["original_parameters"], "rows": rows}


MULTILABEL = Study(
    "Measures modules of a model with several labels: mean average precision at several sizes.\n\n"
    "Needs the release build: incite-lab multilabel [--mnist MNIST.npz]\n"
    "Test data is used only to measure. Writes docs/quality.json and a section of docs/quality.md.",
    "multilabel", "Several labels for a sample", {"CNN, digits in one image": MULTILABEL_MNIST}, ("--task", "multilabel"),
    targets=("2", "5", "10"), epochs=3, fit=0,
    words=page.Words("mean average precision", "of the labels", bar=1.0, at="5", epochs=3),
)  # fmt: skip
SEGMENTATION = Study(
    "Measures modules of models that segment images: mean intersection over union (IoU) at several sizes.\n\n"
    "Needs the release build: incite-lab segmentation\n"
    "Test data is used only to measure. Writes docs/quality.json and a section of docs/quality.md.",
    "segmentation", "Segmentation", {"U-Net, shapes": UNET_SHAPES, "FCN, shapes": FCN_SHAPES}, ("--samples", "128"),
    targets=("2", "3", "5"), epochs=10, fit=0,
    words=page.Words("mean IoU", "over the classes, of all pixels of the test images", bar=2.0, at="3", epochs=10),
)  # fmt: skip
