"""incite-lab multilabel and segmentation but for decomposing: what is read of a decomposition, and the page."""

from pathlib import Path

import numpy as np
import pytest

from incite_lab.models import made_data
from incite_lab.run import record
from incite_lab.studies.made import page, studies


@pytest.mark.parametrize(("kind", "lost"), [("accuracy", 2.0), ("mean_average_precision", 2.0), ("mean_iou", 2.0), ("mae", -2.5)])
def test_a_loss_is_points_of_a_share_or_per_cent_of_an_error(kind: str, lost: float) -> None:
    evaluation = {f"original_{kind}": 0.8, f"combined_{kind}": 0.78, "mean_compression": 2.0, "mean_overlap": 0.5}
    document = {
        "evaluation": evaluation,
        "model": {"parameters": 10},
        "modules": [{"parameters": 5, "kept": {"fc": [0]}}],
        "data": {"scored_samples": 3},
        "timing": {"load": 1.0, "total": 1.0},
    }
    found = record.compact(document)
    assert (found["kind"], found["original"], found["combined"]) == (kind, 0.8, 0.78)
    assert record.loss(found) == pytest.approx(lost)
    assert record.change(kind, lost) == -2.0 if kind != "mae" else lost


def test_of_maps_the_iou_counts() -> None:
    assert record.KINDS.index("mean_iou") < record.KINDS.index("accuracy")  # a decomposition has both


def test_fewer_training_samples_are_the_first_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studies, "BUILD", tmp_path / "build")
    files = {part: tmp_path / "made" / f"{part}.npz" for part in made_data.PARTS}
    for file in files.values():
        made_data.write(file, {"x": np.arange(9), "y": np.arange(9) % 2})
    fewer = studies.fitted(files, 4)
    assert made_data.read(fewer["train"])["x"].tolist() == [0, 1, 2, 3]
    assert fewer["test"] == files["test"]
    assert studies.fitted(files, 0) == files


def test_the_page_says_whether_the_bar_is_held() -> None:
    def row(method: str, target: str, losses: list[float]) -> dict[str, object]:
        numbers = {"combined": [0.9, 0.9], "compression": [5.0, 5.0], "parameters": [20, 20], "total": [3.0, 3.0]}
        return {"method": method, "target": target, "loss": losses, **numbers}

    one = {"title": "Net", "fit": 1000, "options": ("--samples", "200"), "original": 0.91, "parameters": 10}
    one["rows"] = [row("each", "5", [0.5, 0.7]), row("all-finetune", "5", [3.0, 3.0]), row("each", "10", [2.0, 2.0])]
    part = {"cpu": "CPU", "jobs": 1, "threads": 1, "subjects": {"net": one}}
    lines = page.section(part, "multilabel", page.Words("mean average precision", "of the labels", bar=1, at="5", epochs=4))
    assert "`--finetune 4`" in lines[0]
    assert lines[0].endswith("one seed. Net: 1,000 training samples, `--samples 200`.")
    assert "| Net | each | 5x | 5.00 ± 0.00x | 91.00 % | 90.00 % | -0.60 ± 0.14 | 2.00x | 3 ± 0 s |" in lines
    assert lines[-1] == "- Net, at most 1 point lost at 5x: each: 0.60, held; all, finetune: 3.00, missed."
