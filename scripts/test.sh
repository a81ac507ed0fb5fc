#!/usr/bin/env bash
# Checks the format, builds and runs all tests. Further arguments go to ctest: scripts/test.sh -R kmeans
#   --asan   with the address and undefined-behaviour sanitizers
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

preset=test
ctest_args=()
for arg in "$@"; do
  case $arg in
    --asan) preset=asan ;;
    *) ctest_args+=("$arg") ;;
  esac
done
if [[ $preset == asan ]]; then
  # LibTorch keeps objects until the process ends, which the leak checker takes for leaks.
  export ASAN_OPTIONS=detect_leaks=0
fi

scripts/setup.sh
export PATH="$PWD/.venv/bin:$PATH"

sources=$(git ls-files '*.cpp' '*.hpp')
if [[ -n $sources ]] && ! xargs -d '\n' clang-format --dry-run -Werror <<<"$sources"; then
  echo "test: format differs; run clang-format -i on the files named above" >&2
  exit 1
fi

cmake --preset "$preset"
cmake --build --preset "$preset"
exec ctest --preset "$preset" "${ctest_args[@]}"
