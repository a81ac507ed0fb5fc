"""Compares the results of two builds of incite.

Each case is one command or several, run in a folder of its own by both programs. Compared are exit codes, stdout and stderr, the names of
all files, weights and outputs of modules to the last bit, arrays, and documents. Times are left out: the line "Seconds: ...", "timing" and
"latency_ms". Whether the bytes of files are equal too is told and is no condition. What BEFORE gives is kept in the folder, by the SHA-256
of the program, the commands and what they read: a later comparison runs AFTER alone. What AFTER gives stays in FOLDER/different where it
differs. Exit code 1: something differs.
"""

import argparse
import shutil
from collections import Counter
from pathlib import Path

from incite_lab.checks.same.cases import CASES
from incite_lab.run.program import executable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--work", type=Path, required=True, metavar="FOLDER", help="for what BEFORE gives, and models and data")
    parser.add_argument("--only", nargs="+", choices=[*CASES], metavar="NAME", default=[*CASES], help="cases (default: all)")
    parser.add_argument("--threads", type=int, default=1)


def main(args: argparse.Namespace) -> int:
    import torch

    from incite_lab.checks.same.compare import Found, compare
    from incite_lab.checks.same.runs import Runner

    torch.set_num_threads(1)
    runner = Runner(args.before, args.work, args.threads)

    total, differing = Found(), []
    seconds = [0.0, 0.0]
    print(f"{'case':25}{'compared':66}{'result':11}{'file bytes equal':20}{'seconds before, after':>22}")
    for name in args.only:
        before = runner.kept(name, CASES[name])
        folder = runner.work / "different" / name
        after = runner.run(CASES[name], executable(args.after), folder)
        found = compare(CASES[name], before, after, runner.inputs)
        what = ", ".join(f"{count} {kind}" for kind, count in found.counts.items() if count)
        bytes_ = f"no: {len(found.other_bytes)} differ" if found.other_bytes else f"yes, {found.equal_files}" if found.equal_files else "no files"
        result = "DIFFERENT" if found.differences else "same"
        print(f"{name:25}{what:66}{result:11}{bytes_:20}{before.seconds:15.1f}{after.seconds:7.1f}", flush=True)
        for line in found.differences[:3]:
            print(f"    {line}")
        if found.differences:
            differing.append(name)
        else:
            shutil.rmtree(folder.parent / name)
        for kind, count in found.counts.items():
            total.counts[kind] += count
        total.equal_files += found.equal_files
        total.other_bytes += found.other_bytes
        seconds = [seconds[0] + before.seconds, seconds[1] + after.seconds]
    commands = sum(len(CASES[name].steps) for name in args.only)
    print(f"\n{len(args.only)} cases, {commands} commands; {', '.join(f'{count} {kind}' for kind, count in total.counts.items())}.")
    print(f"Files with equal bytes (times aside): {total.equal_files}; with others: {len(total.other_bytes)}.")
    for what, count in Counter(total.other_bytes).items():
        print(f"    {count} {what}")
    print(f"Seconds: before {seconds[0]:.0f}, after {seconds[1]:.0f}.")
    print("Left out: 'Seconds: ...' in tables; 'timing' and 'latency_ms' in documents; milliseconds of --latency; what a killed run said.")
    print(f"DIFFERENT: {', '.join(differing)}" if differing else "All are the same.")
    return 1 if differing else 0
