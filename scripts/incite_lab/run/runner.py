"""Runs of `incite decompose` on any model and data: kept by content, side by side, and gone on with where they were stopped."""

import argparse
import hashlib
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import measures
from batch import Record, Store, hash_of, side_by_side
from decomposing import RELEASE, Failed, command, run, version

Result = TypeVar("Result")


@dataclass(frozen=True)
class Job:
    name: str  # that the user is told
    model: Path
    data: Path
    test: Path | None  # None: a part of the data is held out
    options: tuple[str, ...]
    seed: int = 0
    scores: "Job | None" = None  # the run whose scores it takes
    keep_scores: bool = False  # for others

    def __str__(self) -> str:
        return self.name


@lru_cache
def content(file: Path) -> str:
    """A hash of what is in it."""
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise SystemExit(f"{file}: {error.strerror}") from None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--binary", type=Path, default=RELEASE, help="incite (default: the release build)")
    parser.add_argument("--threads", type=int, default=1, help="of each run (default: %(default)s)")
    parser.add_argument("--jobs", type=int, help="runs side by side (default: the cores over --threads)")


def jobs_within_cores(args: argparse.Namespace) -> int:
    return args.jobs or max(1, (os.cpu_count() or 1) // args.threads)


class Decompositions:
    """Makes jobs into records: what measures.compact() gives, with samples scored, the overlap matrix and whether it was gone on with."""

    def __init__(self, args: argparse.Namespace, cache: Path) -> None:
        self.binary, self.threads, self.jobs, self.cache = args.binary.resolve(), args.threads, jobs_within_cores(args), cache
        self.version = version(self.binary)
        self.store = Store(cache / "results")
        (cache / "scores").mkdir(exist_ok=True)

    def results(self, jobs: Sequence[Job], fresh: bool = False) -> tuple[dict[Job, Record], dict[Job, Failed]]:
        """Of each job, or why it failed. `fresh`: those that are finished are run again."""
        keys = {job: self.key(job) for job in jobs}
        kept = {} if fresh else {job: record for job in jobs if (record := self.finished(job))}
        wanted = {keys[job]: job for job in jobs if job not in kept}  # jobs of other names may be the same run
        print(f"{len(jobs)} runs of incite, {len(kept)} of them in {self.cache}", file=sys.stderr, flush=True)
        made, failed = side_by_side("runs", [*wanted.values()], self.make, told, self.jobs, sys.stderr)
        return by_job(keys, kept | made), by_job(keys, failed)

    def finished(self, job: Job) -> Record | None:
        record = self.store.load(self.key(job))
        return record if not job.keep_scores or self.scores_file(job).exists() else None

    def make(self, job: Job) -> Record:
        key = self.key(job)
        out = self.cache / "work" / key  # stays when the run is stopped
        resumed = any(out.glob("checkpoint*"))
        data = ["--data", str(job.data), *(["--test", str(job.test)] if job.test else [])]
        options = [*job.options, "--seed", str(job.seed), "--threads", str(self.threads), "--resume", "--force"]
        if job.keep_scores:
            options.append("--keep-scores")
        if job.scores:
            options += ["--scores", str(self.scores_file(job.scores))]
        document = run(command(self.binary, job.model, data, options, out)).document
        record = measures.compact(document)
        record |= {"scored": document["data"]["scored_samples"], "resumed": resumed, "overlaps": document["evaluation"].get("overlap", [])}
        if job.scores:
            scored = self.store.load(self.key(job.scores))
            assert scored is not None
            measures.add_scoring(record, scored)
            record["resumed"] |= scored["resumed"]
        if job.keep_scores:
            (out / "scores.npz").rename(self.scores_file(job))
        self.store.save(key, record)
        shutil.rmtree(out)
        return record

    def key(self, job: Job) -> str:
        """Of all that the result depends on: the program's bytes too, since a version may have many builds."""
        files = [content(file) if file else None for file in (self.binary, job.model, job.data, job.test)]
        return hash_of([self.version, files, job.options, job.seed, self.threads, self.key(job.scores) if job.scores else None])

    def scores_file(self, job: Job) -> Path:
        return self.cache / "scores" / f"{self.key(job)}.npz"


def by_job(keys: Mapping[Job, str], results: Mapping[Job, Result]) -> dict[Job, Result]:
    """Results for all jobs that are the same runs."""
    found = {keys[job]: result for job, result in results.items()}
    return {job: found[key] for job, key in keys.items() if key in found}


def told(record: Record) -> str:
    return measures.summary(record) if record["combined"] is not None else "one module"
