"""The program in the package: where it is, and how it finds LibTorch.

Nothing here imports torch: `incite --help` answers at once.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from incite._error import INTERNAL, Error

PROGRAM = Path(__file__).parent / "bin" / "incite"


def program() -> Path:
    """The program. The environment variable INCITE_PROGRAM names another one, for work on Incite itself."""
    path = Path(os.environ.get("INCITE_PROGRAM") or PROGRAM)
    if not path.is_file():
        raise Error(INTERNAL, f"{path}: no such program; install Incite with pip, or set INCITE_PROGRAM to a program that you built")
    return path


def torch_libraries() -> Path:
    """The folder of LibTorch's libraries, in the installed PyTorch."""
    found = find_spec("torch")
    if found is None or not found.submodule_search_locations:
        raise Error(INTERNAL, "PyTorch is not installed; expected the package torch beside incite: pip install torch")
    return Path(found.submodule_search_locations[0]) / "lib"


def environment() -> dict[str, str]:
    """The environment to run the program in: the loader searches PyTorch's folder first."""
    paths = [str(torch_libraries()), *filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep))]
    return {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(paths)}


def main() -> NoReturn:
    """The command `incite`: this process becomes the program."""
    try:
        path = program()
        os.execve(path, ["incite", *sys.argv[1:]], environment())
    except Error as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.code)
    except OSError as error:
        print(f"error: {path}: can't be run: {error.strerror}", file=sys.stderr)
        sys.exit(INTERNAL)
