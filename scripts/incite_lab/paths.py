"""Where things are in the repository, which this package is a part of."""

from pathlib import Path


def repository() -> Path:
    folder = Path(__file__).resolve().parents[2]
    if not (folder / "scripts" / "incite_lab").is_dir():
        raise SystemExit(f"incite-lab: installed in {folder}, which is not Incite's repository; run pip install -e scripts there")
    return folder


ROOT = repository()
BUILD = ROOT / "build"
DOCS = ROOT / "docs"
MODELS = ROOT / "models"
PROGRAM = BUILD / "release" / "incite"
