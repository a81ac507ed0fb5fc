"""Runs of `incite decompose`: side by side, continued where they were stopped, and never run twice."""

import argparse
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from incite_lab.paths import BUILD
from incite_lab.run import program, record
from incite_lab.run.batch import side_by_side
from incite_lab.run.program import Failed, decompose_command, run
from incite_lab.run.store import Record, Store, content, hash_of

Result = TypeVar("Result")


@dataclass(frozen=True)
class Job:
    name: str  # for the log
    model: Path
    data: Path
    test: Path | None  # None: a part of the data is held out
    options: tuple[str, ...]
    seed: int = 0
    scores: "Job | None" = None  # the run whose scores it takes
    keep_scores: bool = False  # for others
    details: bool = False  # the record also has what record.details() says

    def __str__(self) -> str:
        return self.name


def add_arguments(parser: argparse.ArgumentParser) -> None:
    program.add_arguments(parser)
    parser.add_argument("--jobs", type=int, help="runs side by side (default: cores divided by --threads)")
    parser.add_argument("--cache", type=Path, default=BUILD / "runs", metavar="FOLDER", help="finished runs (default: build/runs)")


def side_by_side_jobs(args: argparse.Namespace) -> int:
    return args.jobs or max(1, (os.cpu_count() or 1) // args.threads)


class Runner:
    """Turns jobs into records: see record.compact(), and `resumed`.

    resume: a run that was stopped continues, and its seconds are those of its last part. Otherwise it starts again.
    """

    def __init__(self, args: argparse.Namespace, resume: bool = True) -> None:
        self.binary, self.threads, self.jobs = program.executable(args.binary), args.threads, side_by_side_jobs(args)
        self.cache, self.resume = args.cache, resume
        self.store = Store(self.cache / "results")

    def results(self, jobs: Iterable[Job], fresh: bool = False) -> tuple[dict[Job, Record], dict[Job, Failed]]:
        """Each job's record, or why it failed. Runs that others need the scores of come first. `fresh`: run finished ones again."""
        jobs = list(dict.fromkeys(jobs))
        stored = {} if fresh else {job: record for job in jobs if (record := self.finished(job))}
        wanted = [job for job in jobs if job not in stored]
        print(f"{len(jobs)} runs of incite, {len(stored)} of them in {self.cache}", file=sys.stderr, flush=True)
        scoring = [job.scores for job in wanted if job.scores and (job.scores in wanted or not self.finished(job.scores))]
        first, failed = self.run_all([*(job for job in wanted if job.scores is None), *scoring])
        second, failed_too = self.run_all([job for job in wanted if job.scores and job.scores not in failed])
        failed |= failed_too | {job: Failed(f"scores: {failed[job.scores]}") for job in wanted if job.scores in failed}
        found = stored | first | second
        return {job: found[job] for job in jobs if job in found}, {job: failed[job] for job in jobs if job in failed}

    def run_all(self, jobs: Iterable[Job]) -> tuple[dict[Job, Record], dict[Job, Failed]]:
        """Jobs with different names may be the same run, which is then run once."""
        keys = {job: self.key(job) for job in jobs}
        single = {keys[job]: job for job in sorted(keys, key=lambda job: job.keep_scores)}  # one that keeps scores goes first
        done, failed = side_by_side("runs", [*single.values()], self.run, record.summary, self.jobs, sys.stderr)
        return for_all(keys, done), for_all(keys, failed)

    def finished(self, job: Job) -> Record | None:
        return self.store.load(self.key(job)) if not job.keep_scores or self.scores_file(job).exists() else None

    def run(self, job: Job) -> Record:
        key = self.key(job)
        out = self.cache / "work" / key  # stays when the run is stopped
        if not self.resume:
            shutil.rmtree(out, ignore_errors=True)
        resumed = any(out.glob("checkpoint*"))
        data = ["--data", str(job.data), *(["--test", str(job.test)] if job.test else [])]
        options = [*job.options, "--seed", str(job.seed), "--threads", str(self.threads), "--resume", "--force"]
        if job.keep_scores:
            options.append("--keep-scores")
        if job.scores:
            options += ["--scores", str(self.scores_file(job.scores))]
        done = run(decompose_command(self.binary, job.model, data, options, out))
        result = record.compact(done.document) | {"resumed": resumed} | (record.details(done) if job.details else {})
        if job.scores:
            scored = self.store.load(self.key(job.scores))
            assert scored is not None
            # The seconds that the run would have taken by itself.
            result["timing"] |= {stage: scored["timing"][stage] for stage in record.SCORING}
            result["resumed"] |= scored["resumed"]
        if job.keep_scores:
            self.scores_file(job).parent.mkdir(parents=True, exist_ok=True)
            (out / "scores.npz").rename(self.scores_file(job))
        self.store.save(key, result)
        shutil.rmtree(out)
        return result

    def key(self, job: Job) -> str:
        """Made from the bytes of the program and of all files, since a version may have many builds, and from the options."""
        files = [content(file) if file else None for file in (self.binary, job.model, job.data, job.test)]
        parts = [files, job.options, job.seed, self.threads, self.key(job.scores) if job.scores else None]
        return hash_of([*parts, "details"] if job.details else parts)

    def scores_file(self, job: Job) -> Path:
        return self.cache / "scores" / f"{self.key(job)}.npz"


def for_all(keys: Mapping[Job, str], results: Mapping[Job, Result]) -> dict[Job, Result]:
    """Results for all jobs that are the same runs."""
    found = {keys[job]: result for job, result in results.items()}
    return {job: found[key] for job, key in keys.items() if key in found}
