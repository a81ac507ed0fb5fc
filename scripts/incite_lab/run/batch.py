"""Tasks that are done side by side and never twice: what they make is kept in a folder, by what it was made from."""

import hashlib
import json
import signal
import sys
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, TextIO, TypeVar

sys.path.append(str(Path(__file__).resolve().parent / "bench"))

from decomposing import Failed, stop_all  # noqa: E402 (it lies in a folder below)

Record = dict[str, Any]
Task = TypeVar("Task", bound=Hashable)
Made = TypeVar("Made")

INTERRUPTED = 130  # exit status, as the program's own
QUIET = 300.0  # seconds without news after which what is running is named


class Store:
    """Finished records, a file for each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def file(self, key: str) -> Path:
        return self.folder / f"{key}.json"

    def load(self, key: str) -> Record | None:
        file = self.file(key)
        return json.loads(file.read_text()) if file.exists() else None

    def save(self, key: str, record: Record) -> None:
        unfinished = self.file(key).with_suffix(".new")
        unfinished.write_text(json.dumps(record))
        unfinished.rename(self.file(key))


def hash_of(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:24]


def side_by_side(
    what: str,
    tasks: Sequence[Task],
    do: Callable[[Task], Made],
    tell: Callable[[Made], str],
    jobs: int,
    stream: TextIO = sys.stdout,
) -> tuple[dict[Task, Made], dict[Task, Failed]]:
    """What was made of each task, and why others failed. A line for each that ends says how much time is left."""
    done: dict[Task, Made] = {}
    failed: dict[Task, Failed] = {}
    began = time.monotonic()
    pool = ThreadPoolExecutor(jobs)
    try:
        futures = {pool.submit(do, task): task for task in tasks}
        for future in as_they_end(what, futures, stream):
            task = futures[future]
            try:
                done[task] = future.result()
                told = tell(done[task])
            except Failed as failure:
                failed[task] = failure
                told = f"failed: {failure}"
            count = len(done) + len(failed)
            left = (time.monotonic() - began) / count * (len(tasks) - count) / 60
            print(f"[{what} {count}/{len(tasks)}, {left:.0f} min left] {task}: {told}", file=stream, flush=True)
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        stop_all()
        raise
    finally:
        pool.shutdown()
    return done, failed


def as_they_end(what: str, futures: Mapping[Future[Made], Task], stream: TextIO) -> Iterator[Future[Made]]:
    pending = set(futures)
    while pending:
        ended, pending = wait(pending, QUIET, FIRST_COMPLETED)
        if not ended:
            running = "; ".join(sorted(str(futures[future]) for future in pending if future.running()))
            print(f"[{what} {len(futures) - len(pending)}/{len(futures)}] still running: {running}", file=stream, flush=True)
        yield from ended


def exit_status(main: Callable[[], int]) -> int:
    """That of a script that can be stopped, by Ctrl-C or a polite kill, and goes on when it is called again."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the first too: a shell's background jobs, and what they start, ignore it
        signal.signal(number, signal.default_int_handler)
    try:
        return main()
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return INTERRUPTED
