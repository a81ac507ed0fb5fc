"""Tasks side by side, with progress, which can be stopped."""

import signal
import sys
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TextIO, TypeVar

from incite_lab.run.program import Failed, stop_all

Task = TypeVar("Task", bound=Hashable)
Result = TypeVar("Result")

INTERRUPTED = 130  # exit status, as the program's own
QUIET = 300.0  # seconds without news after which the running tasks are named


def side_by_side(
    what: str, tasks: Sequence[Task], do: Callable[[Task], Result], describe: Callable[[Result], str], jobs: int, stream: TextIO
) -> tuple[dict[Task, Result], dict[Task, Failed]]:
    """Each task's result, and why others failed. Prints a line for each that ends, with the time left."""
    done: dict[Task, Result] = {}
    failed: dict[Task, Failed] = {}
    start = time.monotonic()
    pool = ThreadPoolExecutor(jobs)
    try:
        futures = {pool.submit(do, task): task for task in tasks}
        for future in as_they_end(what, futures, stream):
            task = futures[future]
            try:
                done[task] = future.result()
                line = describe(done[task])
            except Failed as failure:
                failed[task] = failure
                line = f"failed: {failure}"
            count = len(done) + len(failed)
            left = (time.monotonic() - start) / count * (len(tasks) - count) / 60
            print(f"[{what} {count}/{len(tasks)}, {left:.0f} min left] {task}: {line}", file=stream, flush=True)
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        stop_all()
        raise
    finally:
        pool.shutdown()
    return done, failed


def as_they_end(what: str, futures: Mapping[Future[Result], Task], stream: TextIO) -> Iterator[Future[Result]]:
    pending = set(futures)
    while pending:
        ended, pending = wait(pending, QUIET, FIRST_COMPLETED)
        if not ended:
            running = "; ".join(sorted(str(futures[future]) for future in pending if future.running()))
            print(f"[{what} {len(futures) - len(pending)}/{len(futures)}] still running: {running}", file=stream, flush=True)
        yield from ended


def interruptible(main: Callable[[], int]) -> int:
    """The exit status of work that can be stopped, by Ctrl-C or SIGTERM, and continues when it is started again."""
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background jobs ignore the first unless it is set here
        signal.signal(number, signal.default_int_handler)
    try:
        return main()
    except KeyboardInterrupt:
        print("stopped; the same command continues from here", file=sys.stderr)
        return INTERRUPTED
