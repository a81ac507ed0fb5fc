#!/usr/bin/env python3
"""Breaks the label analysis, one rule at a time, and shows which tests notice.

A test that can't fail proves nothing. Each mutation below replaces one piece of src/units in a scratch copy of the working tree,
which is built and tested: the named networks first (they pin down units), and where those say nothing random networks (slice =
mask). The script fails if a mutation goes unnoticed, or does not apply any more.

  scripts/mutate_rules.py                  all mutations; takes some minutes
  scripts/mutate_rules.py --only gates     those whose name contains a word
"""

import argparse
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NAMED = "Analysis.*:Layouts.*:Attention.*:Normalisation.*:Recurrent.*:Embedding.*:Elementwise.*:Writes.*:Spans.*"
RANDOM = "RandomNetworks.SlicesAreTheMaskedOriginal"


@dataclass(frozen=True)
class Mutation:
    name: str
    file: str
    old: str
    new: str


MUTATIONS = (
    Mutation("sums do not tie", "rules.cpp", 'a.tie(flow, operand.flow, "none");', ""),
    Mutation("what is added to the input stays free", "rules.cpp", 'a.pin(flow, "none");', ""),
    Mutation("layer norm lets channels pass", "rules.cpp", "if (labelled_beside(a, a.node().inputs[0], over)) pass(a);\n}\n\n/// The inputs", "pass(a);\n}\n\n/// The inputs"),
    Mutation("softmax lets channels pass", "rules.cpp", "labelled_beside(a, a.node().inputs[0], {from_front(a.integer(1), a.input_rank(0))});\n  pass(a);", "pass(a);"),
    Mutation("group norm does not tie", "rules.cpp", 'a.tie(labels[static_cast<size_t>(first)], labels[static_cast<size_t>(i)], "grouped");', "static_cast<void>(first);"),
    Mutation("batch norm's parameters stay whole", "rules.cpp", "a.bind(a.place(i), 0, labels);\n    }\n  }\n  pass(a);", "}\n  }\n  pass(a);"),
    Mutation("unknown operations pass", "analysis.cpp", 'if (!apply_rule(*this)) pin_inputs("unknown");', "apply_rule(*this);"),
    Mutation("biases stay whole", "layers.cpp", "a.bind(*bias, 0, labels);", ""),
    Mutation("grouped convolutions do not tie what they read", "layers.cpp", 'a.tie(first, labelled ? read[static_cast<size_t>(g * reads + i)] : no_unit, "grouped");', ""),
    Mutation("only one gate is cut", "layers.cpp", "for (int64_t gate = 0; gate < gates; ++gate)\n    rows.insert(rows.end(), units.begin(), units.end());", "rows.insert(rows.end(), units.begin(), units.end());\n  rows.resize(rows.size() * static_cast<size_t>(gates), no_unit);"),
    Mutation("recurrent weights read their units whole", "layers.cpp", "a.bind(first[1], 1, units);", ""),
    Mutation("heads of query and key are apart", "contractions.cpp", 'a.tie(labels_x[i], labels_y[i], "contracted");', ""),
    Mutation("an attention's bias stays whole", "rules.cpp", "a.bind(operand.place, axis - missing, labels_of(flow));", "static_cast<void>(missing);"),
    Mutation("parts in the wrong order", "layout.cpp", "labels.insert(labels.end(), own.begin(), own.end());\n  }", "labels.insert(labels.begin(), own.begin(), own.end());\n  }"),
    Mutation("padding on the other side", "layout.cpp", "labels(static_cast<size_t>(sizes[first]), no_unit);", "labels(static_cast<size_t>(sizes[first + 1]), no_unit);"),
    Mutation("chunks and slices stay as they are", "layouts.cpp", "axes.size() <= 1 && !meet(axes, layout.sensitive)", "axes.size() <= 1"),
    Mutation("sizes stay as they are", "unit_map.cpp", "map_.sizes.push_back(counted);", ""),
    Mutation("shared parameters do not tie", "unit_map.cpp", 'tie(units[i], binding.labels[i], "shared");', ""),
    Mutation("labels settle along the worst axis", "analysis.cpp", "if (classes > most) {", "if (most == 0 || classes < most) {"),
    Mutation("spans may be emptied", "unit_map.cpp", "for (const Labels& labels : map_.activations)\n    add(labels.units);", ""),
    Mutation("a shuffle ties its channels", "layouts.cpp", "    if (auto found = rearrangement(output)) {", "    if (auto found = rearrangement(output); found && axes.size() < 2) {"),
)


def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, text=True, capture_output=True, **options)  # type: ignore[call-overload]


def make_copy(scratch: Path) -> None:
    """A copy of the tree's tracked files, built. With ccache the objects come from the tree's own build."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    names = run(["git", "ls-files", "-z"], cwd=ROOT, check=True).stdout.split("\0")
    for name in filter(None, names):
        if not (ROOT / name).is_file():
            continue
        (scratch / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, scratch / name)
    (scratch / ".venv").symlink_to(ROOT / ".venv")
    run(["cmake", "--preset", "dev", "-DINCITE_WERROR=OFF"], cwd=scratch, check=True)  # what is left unused must not stop a build
    build(scratch)


def build(scratch: Path) -> None:
    done = run(["cmake", "--build", "--preset", "dev", "--target", "incite_tests"], cwd=scratch)
    if done.returncode != 0:
        sys.exit(f"mutate_rules: does not build:\n{done.stdout[-3000:]}")


def failures(scratch: Path, tests: str) -> list[str]:
    """The tests that fail; a crash or a hang counts."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "INCITE_SEEDS": "0:300"}
    command = [str(scratch / "build/dev/tests/incite_tests"), f"--gtest_filter={tests}"]
    try:
        done = run(command, env=environment, timeout=600)
    except subprocess.TimeoutExpired:
        return ["(hangs)"]
    if done.returncode == 0:
        return []
    failed = {line.split("]")[1].split("(")[0].strip() for line in done.stdout.splitlines() if line.startswith("[  FAILED  ]") and "." in line}
    return sorted(name.rstrip(",") for name in failed) or ["(crashes)"]


def try_mutation(scratch: Path, mutation: Mutation) -> str:
    """The tests that notice the mutation, in one line; empty if none does."""
    path = scratch / "src/units" / mutation.file
    whole = path.read_text()
    if whole.count(mutation.old) != 1:
        sys.exit(f"mutate_rules: '{mutation.name}' does not apply to {mutation.file} any more: mend the script")
    path.write_text(whole.replace(mutation.old, mutation.new or ";"))
    try:
        build(scratch)
        noticed = failures(scratch, NAMED) or failures(scratch, RANDOM)
    finally:
        path.write_text(whole)
    return ", ".join([*noticed[:3], *(["…"] if len(noticed) > 3 else [])])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="mutations whose name contains this")
    parser.add_argument("--scratch", type=Path, default=ROOT / "build/mutants", help="folder for the copy")
    arguments = parser.parse_args()
    make_copy(arguments.scratch)
    if unmutated := failures(arguments.scratch, f"{NAMED}:{RANDOM}"):
        sys.exit(f"mutate_rules: fails without a mutation: {', '.join(unmutated)}")
    missed = 0
    for mutation in MUTATIONS:
        if arguments.only not in mutation.name:
            continue
        noticed = try_mutation(arguments.scratch, mutation)
        missed += not noticed
        print(f"{mutation.name:50} {noticed or 'NOT NOTICED'}", flush=True)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
