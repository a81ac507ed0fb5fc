"""`cmake --install` installs the program, and a package for other C++ projects."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "models/lenet5-mnist"


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run([str(word) for word in command], cwd=cwd, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if "INCITE_BUILD" not in os.environ:
        pytest.skip("INCITE_BUILD, the build folder, is not set")
    folder = tmp_path_factory.mktemp("prefix")
    run("cmake", "--install", os.environ["INCITE_BUILD"], "--prefix", folder, cwd=folder)
    return folder


def flags() -> str:
    """Those of the build: without the sanitizers' flags, a library built with them can't be linked."""
    cache = (Path(os.environ["INCITE_BUILD"]) / "CMakeCache.txt").read_text()
    return next(line.partition("=")[2] for line in cache.splitlines() if line.startswith("CMAKE_CXX_FLAGS:"))


def test_the_installed_program_runs_and_looks_for_libtorch_beside_itself(prefix: Path) -> None:
    assert "decompose" in run(prefix / "bin/incite", "--help", cwd=prefix)
    assert "$ORIGIN/../lib" in run("readelf", "-d", prefix / "bin/incite", cwd=prefix)


def test_only_public_headers_are_installed(prefix: Path) -> None:
    found = {str(path.relative_to(prefix / "include")) for path in (prefix / "include").rglob("*.hpp")}
    wanted = {str(path.relative_to(ROOT / "include")) for path in (ROOT / "include").rglob("*.hpp")}
    assert found == wanted | {"incite/version.hpp"}


def test_another_project_builds_against_the_package_and_decomposes_the_demo(prefix: Path, tmp_path: Path) -> None:
    with np.load(DEMO / "val.npz") as archive:
        np.savez(tmp_path / "few.npz", x=archive["x"][:1000], y=archive["y"][:1000])
    run("cmake", "-S", ROOT / "tests/consumer", "-B", "build", f"-DCMAKE_PREFIX_PATH={prefix}", f"-DCMAKE_CXX_FLAGS={flags()}", cwd=tmp_path)
    run("cmake", "--build", "build", cwd=tmp_path)
    output = run("build/consumer", DEMO / "model.pt", "few.npz", "out", cwd=tmp_path)
    assert output.startswith("10 modules, ")
    document = json.loads((tmp_path / "out/decomposition.json").read_text())
    assert len(document["modules"]) == 10 and (tmp_path / "out/module-9.pt").exists()
