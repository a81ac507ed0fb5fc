"""Saves a model as TorchScript."""

from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import _sources, nn

from incite_lab.paths import ROOT

SITE_PACKAGES = Path(torch.__file__).resolve().parents[1]


def save_scripted(model: nn.Module, path: Path) -> torch.jit.ScriptModule:
    """Scripts `model` in eval mode, saves it to `path`, and returns it.

    TorchScript keeps the source file of each operation. Here the names are made relative: the folders of the machine that
    trained a model do not belong in it, and error messages that cite a line stay short.
    """
    original = _sources.get_source_lines_and_file

    def with_relative_name(*args: Any) -> tuple[Any, Any, str | None]:
        lines, number, name = original(*args)
        for folder in (SITE_PACKAGES, ROOT):  # SITE_PACKAGES first: it may lie inside ROOT
            if name and Path(name).is_relative_to(folder):
                return lines, number, str(Path(name).relative_to(folder))
        return lines, number, name

    model.eval()
    with patch.object(_sources, "get_source_lines_and_file", with_relative_name):
        scripted = torch.jit.script(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    scripted.save(str(path))
    return scripted
