"""docs/quality.json, to which quality.py, controls.py and promises.py each write a part, and the numbers in docs/quality.md."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from batch import Record
from measures import change, loss, seconds

sys.path.append(str(Path(__file__).resolve().parent / "bench"))

import page  # noqa: E402 (it lies in a folder below)

FILE = page.QUALITY.with_suffix(".json")


def several(values: Sequence[float], form: str = ".2f") -> str:
    """The mean, and the sample standard deviation."""
    middle = format(mean(values), form)
    return f"{middle} ± {format(deviation(values), form.lstrip('+'))}" if len(values) > 1 else middle


def deviation(values: Sequence[float]) -> float:
    """The sample standard deviation; 0 of one value."""
    return stdev(values) if len(values) > 1 else 0.0


def point(records: Sequence[Record]) -> dict[str, Any]:
    """One point of a curve, by seed; seconds by stage are means."""
    stages = records[0]["timing"]
    return {
        "combined": [round(record["combined"], 7) for record in records],
        "loss": [round(loss(record), 4) for record in records],
        "compression": [round(record["compression"], 4) for record in records],
        "overlap": [round(record["overlap"], 4) for record in records],
        "parameters": [sum(record["parameters"]) for record in records],
        "seconds": {stage: round(mean(record["timing"][stage] for record in records), 2) for stage in stages},
        "total": [round(seconds(record), 2) for record in records],
    }


def unit(kind: str) -> str:
    return "change, points" if kind == "accuracy" else "change of MAE, %"


def change_of(kind: str, point: dict[str, Any]) -> str:
    return several([change(kind, lost) for lost in point["loss"]], "+.2f" if kind == "accuracy" else "+.1f")


def update(part: str, args: argparse.Namespace, subjects: dict[str, Any]) -> dict[str, Any]:
    """Replaces what the part has of these subjects, and returns the part with the others'."""
    whole = json.loads(FILE.read_text()) if FILE.exists() else {}
    found = whole.setdefault(part, {})
    found["cpu"], found["jobs"], found["threads"] = page.cpu_model(), args.jobs, args.threads
    found["subjects"] = found.get("subjects", {}) | subjects
    FILE.write_text(one_line_a_point(whole) + "\n")
    return found


def one_line_a_point(value: Any, depth: int = 0) -> str:
    """JSON indented down to what holds numbers alone, so that differences can be read."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if depth > 4 or not any(isinstance(one, (dict, list)) for one in inner):
        return json.dumps(value)
    pad = "  " * (depth + 1)
    if isinstance(value, dict):
        lines = [f"{pad}{json.dumps(key)}: {one_line_a_point(one, depth + 1)}" for key, one in value.items()]
    else:
        lines = [f"{pad}{one_line_a_point(one, depth + 1)}" for one in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return opening + "\n" + ",\n".join(lines) + "\n" + "  " * depth + closing


def conditions(part: dict[str, Any]) -> str:
    runs = "one run at a time" if part["jobs"] == 1 else f"{part['jobs']} runs side by side"
    return f"{part['cpu']}, {runs}, {part['threads']} {'thread' if part['threads'] == 1 else 'threads'} each"
