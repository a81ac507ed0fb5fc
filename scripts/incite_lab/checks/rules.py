"""Leaves out the effects of the label analysis' rules, one at a time, and shows which tests notice.

A test that can't fail proves nothing. An effect is what a rule does for an operation: it ties labels, pins them, cuts a parameter (bind)
or corrects a size. A separate build in build/mutants lists the effects that its tests reach, and leaves out the one that the environment
names. Tests of named networks run first (they pin down units); if they pass, random networks follow (slice = mask). The command fails if
no test notices an effect and unnoticed.txt, beside this file, does not list it. A line there is a test to be written, or an effect that
changes nothing because another one does the same.

  incite-lab check rules                   all effects; takes about half an hour
  incite-lab check rules --only gate       those whose name contains a word
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from incite_lab.paths import BUILD, ROOT
from incite_lab.run.batch import side_by_side

# Test suites, and seeds of random networks: what costs least first.
NAMED = "Analysis.*:Layouts.*:Attention.*:Normalisation.*:Recurrent.*:Embedding.*:Elementwise.*:Writes.*:Spans.*"
RANDOM = "RandomNetworks.SlicesAreTheMaskedOriginal"
STEPS = ((NAMED, ""), (RANDOM, "0:30"), (RANDOM, "30:270"))
SECONDS = 600  # after which tests count as hanging


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", default="", metavar="WORD", help="effects whose name contains this")
    parser.add_argument("--build", type=Path, default=BUILD / "mutants", metavar="FOLDER", help="default: build/mutants")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="effects at a time (default: one for each core)")


def main(args: argparse.Namespace) -> int:
    tests = build(args.build)
    if failing := failures(tests, f"{NAMED}:{RANDOM}"):
        raise SystemExit(f"check rules: fails with nothing left out: {', '.join(failing)}")
    chosen = [effect for effect in effects(tests, args.build / "effects.txt") if args.only in effect]
    if not chosen:
        raise SystemExit("check rules: no such effect")
    noticed, _ = side_by_side("effects", chosen, lambda effect: noticing(tests, effect), summary, args.jobs, sys.stderr)
    for effect, names in noticed.items():
        print(f"{effect:50} {summary(names)}")
    known = {*Path(__file__).with_name("unnoticed.txt").read_text().splitlines()}
    missed = {effect for effect, names in noticed.items() if not names}
    print(f"{len(missed)} of {len(chosen)} effects are not noticed")
    for effect in sorted(missed - known):
        print(f"not in unnoticed.txt: {effect}")
    for effect in sorted(known & noticed.keys() - missed):
        print(f"noticed now, to be taken out of unnoticed.txt: {effect}")
    return 1 if missed - known else 0


def build(folder: Path) -> Path:
    """Builds the tests so that they can leave effects out. Returns the program."""
    configure = ["cmake", "--preset", "dev", "-B", str(folder), "-DINCITE_MUTANTS=ON"]
    for command in (configure, ["cmake", "--build", str(folder), "--target", "incite_tests"]):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"check rules: {' '.join(command)}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return folder / "tests" / "incite_tests"


def effects(tests: Path, log: Path) -> list[str]:
    """Those that the tests reach, such as "aten::linear bind"."""
    log.unlink(missing_ok=True)
    failures(tests, f"{NAMED}:{RANDOM}", INCITE_MUTANT_LOG=str(log))
    return sorted({*log.read_text().splitlines()}) if log.exists() else []


def noticing(tests: Path, effect: str) -> list[str]:
    """The tests that fail without the effect."""
    found = (failures(tests, names, INCITE_SEEDS=seeds, INCITE_MUTANT=effect) for names, seeds in STEPS)
    return next(filter(None, found), [])


def failures(tests: Path, names: str, **environment: str) -> list[str]:
    """The tests that fail; a crash or a hang counts."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "INCITE_SEEDS": "0:300", **environment}
    try:
        done = subprocess.run([tests, f"--gtest_filter={names}"], env=environment, timeout=SECONDS, capture_output=True, text=True)
    except subprocess.TimeoutExpired:
        return ["(hangs)"]
    if done.returncode == 0:
        return []
    failed = {line.split("]")[1].split("(")[0].strip() for line in done.stdout.splitlines() if line.startswith("[  FAILED  ]") and "." in line}
    return sorted(name.rstrip(",") for name in failed) or ["(crashes)"]


def summary(names: list[str]) -> str:
    return ", ".join([*names[:3], *(["…"] if len(names) > 3 else [])]) or "NOT NOTICED"
