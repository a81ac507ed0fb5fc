"""Results of the zoo, one for each model and form, kept in a file."""

import json
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

from incite_lab.run.store import content, write_whole
from incite_lab.studies.zoo.families import FORMS, Family, family_of

KEEP = 0.6
TOLERANCE = 1e-5  # slice = mask, relative, float32


@dataclass(frozen=True)
class Row:
    """A line of the table. What was not reached is None."""

    model: str
    form: str
    verdict: str
    reason: str = ""
    size: int | None = None
    layers: int | None = None
    units: int | None = None
    pinned: float | None = None
    compression: float | None = None
    error: float | None = None
    seconds: float | None = None

    @property
    def family(self) -> Family:
        return family_of(self.model)

    @property
    def order(self) -> tuple[str, str, int]:
        return self.family.name, self.model, list(FORMS).index(self.form)


class Results:
    """Rows, saved in a file after each. Rows of another build of the program are not read."""

    def __init__(self, path: Path | None, binary: Path) -> None:
        self.path, self.program = path, content(binary)
        self.lock = threading.Lock()
        self.by_task: dict[tuple[str, str], Row] = {}
        if path is not None and path.exists():
            document = json.loads(path.read_text())
            if document["program"] == self.program:
                self.by_task = {(row["model"], row["form"]): Row(**row) for row in document["rows"]}

    def __contains__(self, task: tuple[str, str]) -> bool:
        return task in self.by_task

    def add(self, row: Row) -> None:
        with self.lock:
            self.by_task[row.model, row.form] = row
            if self.path is not None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                rows = [asdict(row) for row in self.rows()]
                write_whole(self.path, json.dumps({"program": self.program, "rows": rows}, indent=1) + "\n")

    def rows(self) -> list[Row]:
        return sorted(self.by_task.values(), key=lambda row: row.order)
