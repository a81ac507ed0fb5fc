"""What the program writes to stderr: progress bars, warnings, the error.

The program draws its bar on a terminal only. So it gets a pseudo-terminal, and what it draws there is drawn again where the user looks: on
a terminal, or below the cell of a notebook.
"""

import os
import re
import sys
import termios
from collections.abc import Callable
from typing import TextIO

ERASE = "\x1b[K"  # the program ends each drawing of the bar with it
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def open_terminal() -> tuple[int, int] | None:
    """A pseudo-terminal: our end and the program's. None where the system has none to give."""
    try:
        ours, theirs = os.openpty()
    except OSError:
        return None
    # Its size is 0 x 0: the program breaks no lines, and draws a bar of 80 columns. Line ends stay as written.
    attributes = termios.tcgetattr(theirs)
    attributes[1] &= ~termios.OPOST
    termios.tcsetattr(theirs, termios.TCSANOW, attributes)
    return ours, theirs


def is_watched() -> bool:
    """Whether someone sees stderr as it is written: on a terminal or in a notebook."""
    stream = sys.stderr
    if stream is None:
        return False
    in_notebook = type(stream).__module__.startswith("ipykernel")
    return in_notebook or stream.isatty()


class Screen:
    """Takes stderr of the program piece by piece. Draws the bar, and hands over each line."""

    def __init__(self, stream: TextIO | None, on_line: Callable[[str], None]) -> None:
        """`stream`: where the bar is drawn; None: nowhere."""
        self._stream = stream
        self._on_line = on_line
        self._rest = ""
        self._drawn = 0

    def feed(self, text: str) -> None:
        self._rest += text
        while found := re.search(rf"\n|{re.escape(ERASE)}", self._rest):
            before, self._rest = self._rest[: found.start()], self._rest[found.end() :]
            if found[0] == ERASE:
                self._draw(before.lstrip("\r"))
            else:
                self._line(before)

    def close(self) -> None:
        if self._rest.strip():
            self._line(self._rest)
        self._rest = ""
        self._draw("")

    def _line(self, text: str) -> None:
        line = COLOUR.sub("", text.rpartition("\r")[2]).strip()
        if line:
            self._draw("")
            self._on_line(line)

    def _draw(self, bar: str) -> None:
        if self._stream is None or not (bar or self._drawn):
            return
        blank = "\r" + " " * self._drawn + "\r"
        self._stream.write("\r" + bar.ljust(self._drawn) if bar else blank)
        self._stream.flush()
        self._drawn = len(bar)
