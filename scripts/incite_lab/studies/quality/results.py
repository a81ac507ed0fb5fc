"""docs/quality.json, of which each command writes a part, and the numbers in docs/quality.md."""

import json
from collections.abc import Sequence
from statistics import mean
from typing import Any

from incite_lab.pages.sections import QUALITY, cpu_model, threads_text
from incite_lab.pages.tables import json_lines
from incite_lab.run.record import change, loss, seconds, spread
from incite_lab.run.runner import Runner
from incite_lab.run.store import Record

FILE = QUALITY.with_suffix(".json")


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


def change_of(kind: str, point: dict[str, Any]) -> str:
    return spread([change(kind, lost) for lost in point["loss"]], "+.2f" if kind == "accuracy" else "+.1f")


def overlap_of(point: dict[str, Any]) -> str:
    return spread([100 * overlap for overlap in point["overlap"]], ".1f")


def update(part: str, runner: Runner, subjects: dict[str, Any]) -> dict[str, Any]:
    """Replaces what the part has of these subjects, and returns the part with the others'."""
    whole = json.loads(FILE.read_text()) if FILE.exists() else {}
    found = whole.setdefault(part, {})
    found["cpu"], found["jobs"], found["threads"] = cpu_model(), runner.jobs, runner.threads
    found["subjects"] = found.get("subjects", {}) | subjects
    FILE.write_text(json_lines(whole) + "\n")
    return found


def conditions(part: dict[str, Any]) -> str:
    runs = "one run at a time" if part["jobs"] == 1 else f"{part['jobs']} runs side by side"
    return f"{part['cpu']}, {runs}, {threads_text(part['threads'])} each"
