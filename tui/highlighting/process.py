"""The process that runs lexers, as the app sees it: one request, one answer, and an end to waiting.

Which languages are worth a try, and what is done after a failure, is decided in `lexers`.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Timer
from typing import IO, Any, Final

from tui.dataclass import dataclass
from tui.highlighting import lexing

_MOST_BYTES: Final = 1_000_000
"""Of one answer. Code of `stretches.MOST_CHARACTERS` in tokens of one character takes a quarter of it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on a lexer's time and memory."""

    cpu_s: float = 1.0
    """For one stretch of code. The slowest lexer takes a fifth of it to be made and used for the first time."""
    wall_s: float = 10.0
    """For one stretch of code, or for the start of the process, on a machine that is busy with other things."""
    memory_bytes: int = 512 * 1024**2


class LexerProcessError(Exception):
    """The process could not be started, exited early, took too long, or sent an invalid response."""


class LexerProcess:
    """A process that runs lexers. It ends with the app, whatever the app dies of: its input ends then."""

    def __init__(self, limits: Limits) -> None:
        """Begin to start it; nothing is waited for.

        Raises:
            LexerProcessError: it can't be started.
        """
        self._limits = limits
        try:
            self._process = subprocess.Popen(
                _command(limits),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                # Ctrl+C and the terminal's hangup must not affect it.
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise LexerProcessError(f"can't start the lexer process: {error}") from error

    def wait_until_ready(self) -> None:
        """Wait until it takes requests.

        Raises:
            LexerProcessError: it does not get that far.
        """
        with self._deadline():
            if self._read() != lexing.READY:
                raise LexerProcessError("the lexer process uses an unknown protocol")

    def ask(self, language: str, code: str) -> Any:
        """Return what the program answers, decoded but not checked.

        Raises:
            LexerProcessError: there is no answer; the process is no longer of use.
        """
        request = json.dumps({"language": language, "code": code}).encode() + b"\n"
        with self._deadline():
            try:
                stdin = _pipe(self._process.stdin)
                stdin.write(request)
                stdin.flush()
            except (OSError, ValueError) as error:
                raise LexerProcessError("the lexer process has exited") from error
            return self._read()

    @contextlib.contextmanager
    def _deadline(self) -> Iterator[None]:
        timer = Timer(self._limits.wall_s, self.kill)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _read(self) -> Any:
        try:
            line = _pipe(self._process.stdout).readline(_MOST_BYTES)
            if not line.endswith(b"\n"):
                raise LexerProcessError("the lexer process exited or sent too much output")
            return json.loads(line)
        except (OSError, ValueError, RecursionError) as error:
            raise LexerProcessError("the lexer process sent an invalid response") from error

    def kill(self) -> None:
        """End it without waiting; from any thread."""
        self._process.kill()

    def close(self) -> None:
        """End it and let go of its pipes; not while another thread asks."""
        self.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                _pipe(pipe).close()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe


def _command(limits: Limits) -> list[str]:
    pygments = importlib.util.find_spec("pygments")
    if not sys.executable or pygments is None or pygments.origin is None:
        raise LexerProcessError("no Python with Pygments was found for the lexer process")
    folder = Path(pygments.origin).parent.parent
    # Isolated, and without what other packages have run at Python's start.
    python = [sys.executable, "-I", "-S", "-B", str(Path(lexing.__file__))]
    return [*python, str(folder), *map(str, (limits.cpu_s, limits.wall_s, limits.memory_bytes))]
