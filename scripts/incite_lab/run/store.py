"""Finished work, one JSON file each, named by a hash of all that it depends on."""

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

Record = dict[str, Any]


class Store:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def file(self, key: str) -> Path:
        return self.folder / f"{key}.json"

    def load(self, key: str) -> Record | None:
        file = self.file(key)
        return json.loads(file.read_text()) if file.exists() else None

    def save(self, key: str, record: Record) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self.file(key), json.dumps(record))


def write_whole(file: Path, text: str) -> None:
    """A process that is stopped leaves the old file or the new one."""
    unfinished = file.with_name(f"{file.name}.new")
    unfinished.write_text(text)
    unfinished.rename(file)


def hash_of(value: Any) -> str:
    """Of anything that JSON can hold."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:24]


@lru_cache
def content(file: Path) -> str:
    """SHA-256 of a file's bytes."""
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise SystemExit(f"{file}: {error.strerror}") from None
