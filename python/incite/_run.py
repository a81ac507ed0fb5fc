"""Runs the program: progress, warnings, errors, and the stop by Ctrl-C."""

import logging
import os
import re
import selectors
import signal
import subprocess
import sys
import warnings
from codecs import getincrementaldecoder
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from incite import _screen
from incite._error import INTERNAL, Error, InciteWarning
from incite._options import KINDS
from incite._program import environment, program

log = logging.getLogger("incite")


@dataclass
class Output:
    """What a run wrote. `error` is set if it failed."""

    stdout: str = ""
    warnings: list[str] = field(default_factory=list)
    error: Error | None = None


def run(words: Sequence[str], *, progress: bool | None = None) -> Output:
    """Runs the program to its end. `progress`: whether to draw its progress bar; None: if someone watches.

    Ctrl-C stops the program as on the command line, so that it leaves what `resume=True` continues; then KeyboardInterrupt goes on, with
    the program's words.
    """
    watched = _screen.is_watched() if progress is None else progress
    command = [str(program()), *words]
    if log.isEnabledFor(logging.INFO):
        command.append("--verbose")
    log.debug("%s", command)
    return _Process(command, watched).wait()


def checked(output: Output) -> Output:
    """The output of a run that succeeded. Raises its error otherwise."""
    if output.error is not None:
        raise output.error
    return output


class _Process:
    """The program while it runs."""

    def __init__(self, command: Sequence[str], watched: bool) -> None:
        self._output = Output()
        self._errors: list[str] = []
        self._lines: list[str] = []
        self._stdout: list[bytes] = []
        self._interrupted = False
        self._screen = _screen.Screen(sys.stderr if watched else None, self._on_line)
        terminal = _screen.open_terminal() if watched else None
        self._stderr, theirs = terminal or os.pipe()
        try:
            # Its own process group: a terminal's Ctrl-C would reach it beside our signal, and the second signal ends it at once.
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs, env=environment(), start_new_session=True
            )
        except OSError as error:
            os.close(self._stderr)
            raise Error(INTERNAL, f"{command[0]}: can't be run: {error.strerror}") from None
        finally:
            os.close(theirs)

    def wait(self) -> Output:
        process = self._process
        try:
            while True:
                try:
                    self._read()
                    process.wait()
                    break
                except KeyboardInterrupt:
                    process.send_signal(signal.SIGKILL if self._interrupted else signal.SIGINT)
                    self._interrupted = True
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
            os.close(self._stderr)
            if process.stdout is not None:
                process.stdout.close()
            self._screen.close()
        return self._finish(process.returncode)

    def _read(self) -> None:
        """Reads both streams until the program has closed them."""
        assert self._process.stdout is not None
        stdout = self._process.stdout.fileno()
        decode = getincrementaldecoder("utf-8")(errors="replace").decode
        with selectors.DefaultSelector() as selector:
            for stream in (stdout, self._stderr):
                selector.register(stream, selectors.EVENT_READ)
            while selector.get_map():
                for key, _ in selector.select(timeout=1):  # an interrupt that is no signal waits no longer
                    piece = _piece(key.fd)
                    if not piece:
                        selector.unregister(key.fd)
                    elif key.fd == stdout:
                        self._stdout.append(piece)
                    else:
                        self._screen.feed(decode(piece))

    def _on_line(self, line: str) -> None:
        kind, _, text = line.partition(": ")
        if kind == "error":
            self._errors.append(text)
        elif kind == "warning":
            self._output.warnings.append(text)
            warn(in_python(text))
        else:
            self._lines.append(line)
            log.info("%s", line)

    def _finish(self, code: int) -> Output:
        self._output.stdout = b"".join(self._stdout).decode()
        said = in_python(self._errors[-1]) if self._errors else ""
        if self._interrupted:
            raise KeyboardInterrupt(said or "stopped") from None
        if code != 0:
            self._output.error = Error(code if code > 0 else INTERNAL, said or self._sudden_end(code))
        return self._output

    def _sudden_end(self, code: int) -> str:
        """Of a program that could say nothing."""
        last = self._lines[-1] if self._lines else "it wrote nothing"
        if code == -signal.SIGKILL:
            return "the program was killed, perhaps for want of memory; pass a smaller memory, such as memory='2GB'"
        if code < 0:
            return f"the program ended by signal {-code}: {last}; please report it"
        return f"the program ended with code {code}: {last}; expected PyTorch of the version that Incite was built with"


def _piece(stream: int) -> bytes:
    try:
        return os.read(stream, 65536)
    except OSError:  # a pseudo-terminal whose other end is closed
        return b""


def in_python(message: str) -> str:
    """A message of the program with its options as a caller in Python writes them: "--resume" is resume=True."""

    def keyword(flag: re.Match[str]) -> str:
        name = flag[1].replace("-", "_")
        kind = next((options[name] for options in KINDS.values() if name in options), "text" if name in ("out", "test") else None)
        return flag[0] if kind is None else f"{name}=True" if kind == "flag" else name

    message = re.sub(r"(?<![\w-])--([a-z][a-z0-9-]*)", keyword, message)
    return re.sub(r"\. See 'incite \w+ --help'$", "", message)


def warn(text: str) -> None:
    """Warns at the line outside this package that called it."""
    package = str(Path(__file__).parent)
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(package):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, InciteWarning, stacklevel=level)
