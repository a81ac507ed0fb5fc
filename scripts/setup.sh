#!/usr/bin/env bash
# Installs what building and testing need: Debian packages, and .venv with PyTorch, NumPy, pytest, torchvision, incite-lab, and packages for
# the tests of the Python package.
# Safe to run again: it installs only what is missing.
#
#   INCITE_TORCH   pip's words for PyTorch (default: torch==2.13.0), for instance to choose a package index:
#                  INCITE_TORCH="torch==2.13.0 --index-url URL" scripts/setup.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf 'setup: %s\n' "$*"; }

packages=(
  cmake ninja-build g++ ccache pkg-config
  libcli11-dev nlohmann-json3-dev libspdlog-dev libfmt-dev libgtest-dev libgmock-dev
  libzip-dev libssl-dev zlib1g-dev
  clang-format python3 python3-venv
)

install_packages() {
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    say "not a Debian system: install the counterparts of ${packages[*]} yourself"
    return
  fi
  local package missing=() as_root=()
  for package in "${packages[@]}"; do
    # shellcheck disable=SC2016 # dpkg-query expands it
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
  done
  if ((${#missing[@]} == 0)); then
    say "Debian packages: all ${#packages[@]} present"
    return
  fi
  say "Debian packages: installing ${missing[*]}"
  if ((EUID != 0)); then
    command -v sudo >/dev/null || { say "need root or sudo to install packages" >&2; exit 1; }
    as_root=(sudo)
  fi
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
}

# Prints the version of a package in .venv, nothing if it is not there.
version_of() {
  .venv/bin/python - "$1" <<'PYTHON'
import sys
from importlib.metadata import PackageNotFoundError, version

try:
    print(version(sys.argv[1]))
except PackageNotFoundError:
    pass
PYTHON
}

pip_install() { .venv/bin/python -m pip install --quiet --disable-pip-version-check "$@"; }

install_python() {
  # pip is looked for too: without python3-venv, `python3 -m venv` leaves a folder with no pip in it.
  if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    say ".venv: creating it with $(python3 --version)"
    python3 -m venv --clear .venv
  fi

  local words word wanted="" found
  read -ra words <<<"${INCITE_TORCH:-torch==2.13.0}"
  for word in "${words[@]}"; do
    [[ $word == torch==* ]] && wanted=${word#torch==}
  done
  found=$(version_of torch)
  # 2.13.0+cpu satisfies 2.13.0; an INCITE_TORCH that names no version is satisfied by any.
  if [[ -n $found && (-z $wanted || $found == "$wanted" || ${found%%+*} == "$wanted") ]]; then
    say "PyTorch: $found present"
  else
    say "PyTorch: installing ${words[*]} (found ${found:-none}; this takes some minutes)"
    pip_install "${words[@]}"
  fi

  local package missing=()
  for package in numpy pytest; do
    [[ -n $(version_of "$package") ]] || missing+=("$package")
  done
  if ((${#missing[@]} == 0)); then
    say "Python packages: numpy and pytest present"
  else
    say "Python packages: installing ${missing[*]}"
    pip_install "${missing[@]}"
  fi
}

imports() { .venv/bin/python -c "import $1" >/dev/null 2>&1; }

# incite-lab: the Python of scripts/, which runs where it is.
install_lab() {
  local found
  found=$(.venv/bin/python -c 'from incite_lab.paths import ROOT; print(ROOT)' 2>/dev/null) || true
  if [[ -x .venv/bin/incite-lab && $found == "$(pwd -P)" ]]; then
    say "incite-lab: present"
    return
  fi
  say "incite-lab: installing it from scripts/"
  # Older ones need the package wheel too.
  .venv/bin/python -c 'import setuptools as s; assert [*map(int, s.__version__.split(".")[:2])] >= [70, 1]' 2>/dev/null ||
    pip_install 'setuptools>=70.1'
  pip_install --no-deps --no-build-isolation --editable scripts
}

# torchvision's models are what incite-lab zoo and its tests decompose. Its own requirements would replace PyTorch; of them
# the models need Pillow alone. Another PyTorch than 2.13 goes with another torchvision: those tests are skipped without.
install_torchvision() {
  local torch word index=()
  torch=$(version_of torch)
  [[ $torch == 2.13.* ]] || return 0
  if [[ $(version_of torchvision) == 0.28.* && -n $(version_of pillow) ]] && imports torchvision; then
    say "torchvision: $(version_of torchvision) present"
    return
  fi
  say "torchvision: installing 0.28"
  for word in ${INCITE_TORCH:-}; do
    [[ $word == torch* || $word == *.whl ]] || index+=("$word")
  done
  # 2.13.0+cpu goes with 0.28.0+cpu, where the package index has that.
  if [[ $torch != *+* ]] || ! pip_install --no-deps "${index[@]}" "torchvision==0.28.${torch#2.13.}" 2>/dev/null; then
    pip_install --no-deps "${index[@]}" 'torchvision==0.28.*'
  fi
  pip_install pillow
  imports torchvision || declare_operators
  imports torchvision || say "torchvision: it can't be imported beside PyTorch $torch; see .venv/bin/python -c 'import torchvision'" >&2
}

# A CUDA build of torchvision beside a PyTorch without CUDA: its C++ operators don't load, and its import stops at two of them that
# its Python code describes. With their signatures declared all models work; operators such as nms say that they are missing.
declare_operators() {
  .venv/bin/python - <<'PYTHON'
from importlib.util import find_spec
from pathlib import Path

DECLARATIONS = """

if not _has_ops():  # added by incite's scripts/setup.sh: this build's C++ operators need CUDA
    _signatures = torch.library.Library("torchvision", "FRAGMENT")
    for _name in ("nms", "qnms"):
        _signatures.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""
extension = Path(find_spec("torchvision").submodule_search_locations[0]) / "extension.py"
text = extension.read_text()
if DECLARATIONS not in text:
    extension.write_text(text + DECLARATIONS)
PYTHON
}

# What the tests of the Python package need besides. Tests are skipped if a package is missing. onnx2torch comes without its
# requirements: all of them are here.
install_extras() {
  local package missing=()
  for package in mypy==2.4.1 onnx==1.23.2 onnxruntime==1.32.0 onnxscript==0.7.2 scikit-learn==1.9.1; do
    [[ -n $(version_of "${package%%==*}") ]] || missing+=("$package")
  done
  if ((${#missing[@]} > 0)); then
    say "Python packages: installing ${missing[*]}"
    pip_install "${missing[@]}" || say "${missing[*]}: can't be installed; their tests will be skipped" >&2
  else
    say "Python packages: mypy, ONNX and scikit-learn present"
  fi
  if [[ -z $(version_of onnx2torch) ]]; then
    pip_install --no-deps 'onnx2torch==1.5.15' || say "onnx2torch: can't be installed; its tests will be skipped" >&2
  fi
}

install_packages
install_python
install_lab
install_torchvision
install_extras
