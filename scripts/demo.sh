#!/usr/bin/env bash
# Builds incite and takes LeNet-5 apart into ten modules, one a digit. Safe to run again.
# Further arguments go to `incite decompose`: scripts/demo.sh --keep 0.4
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh
export PATH="$PWD/.venv/bin:$PATH"
cmake --preset release
cmake --build --preset release

incite=build/release/incite
model=models/lenet5-mnist
modules=modules/lenet5-mnist
"$incite" decompose "$model/model.pt" --data "$model/val.npz" --test "$model/test.npz" --out "$modules" --force "$@"

cat <<NEXT

The modules are in $modules. Next:
  $incite inspect $model/model.pt --data $model/val.npz
  $incite evaluate $modules --data $model/test.npz
  $incite decompose --help
NEXT
