"""Runs untrusted programs in a process that can be ended at any time: on cancellation, a deadline, or a memory limit.

A loop in C code holds up every thread of its process and heeds no flag. That is why a chat template, which is a program, is not run
in the app's own process.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Final

import psutil

from tui.engine.attempts import never
from tui.engine.base import Cancelled, IsCancelled

_SERVING: Final = Path(__file__).with_name("helper_serving.py")
_POLL_S: Final = 0.05
_GRACE_S: Final = 0.3
"""How long an answer may take after all when it was cancelled: to start a new process costs as much."""
_END_S: Final = 2.0
_PIECE_BYTES: Final = 1 << 16
_SPARE_S: Final = 5
"""How much longer than the app waits a helper goes on by itself, in case that nobody is left to end it."""


class HelperError(Exception):
    """A helper process didn't answer; the message gives the reason, for example `it took more than 10 seconds`."""


class HelperNotStartedError(HelperError):
    """The operating system didn't start the process. That says nothing about what the helper was given."""

    def __init__(self) -> None:
        super().__init__("the process for it can't be started")


class Helper:
    """A program in a separate process, which is started on the first question and restarted after it ended."""

    def __init__(
        self, program: Path, *, memory_bytes: int, within_s: float, answer_bytes: int
    ) -> None:
        """Start nothing yet.

        Args:
            program: the module that has the function `answer`; see `helper_serving`.
            memory_bytes: how much memory the process may have.
            within_s: how long an answer may take.
            answer_bytes: how long one may be.
        """
        self._program = program
        self._memory_bytes = memory_bytes
        self._within_s = within_s
        self._answer_bytes = answer_bytes
        self._process: subprocess.Popen[bytes] | None = None

    def ask(
        self, question: Any, cancelled: IsCancelled = never, *, within_s: float | None = None
    ) -> Any:
        """Return the answer to a question; both are JSON values.

        Args:
            cancelled: tells when the answer is not wanted any more.
            within_s: a shorter time than the helper's own.

        Raises:
            Cancelled: `cancelled` returned True; the process was ended.
            HelperError: there is no answer; the process was ended.
        """
        line = json.dumps(question).encode() + b"\n"
        try:
            return json.loads(self._exchange(self._started(), line, cancelled, within_s))
        except (OSError, ValueError) as error:
            self.close()
            raise HelperError("it crashed or took too much memory") from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            _end(process)

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.close()
        if not sys.executable:
            raise HelperNotStartedError
        limits = (str(self._memory_bytes), str(int(self._within_s) + _SPARE_S))
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", str(_SERVING), str(self._program), *limits],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                # Keys that quit or suspend the app must not affect it.
                start_new_session=True,
            )
        except OSError as error:
            raise HelperNotStartedError from error
        self._process = process
        weakref.finalize(self, _end, process)
        for pipe in _pipes(process):
            os.set_blocking(pipe.fileno(), False)
        return process

    def _exchange(
        self,
        process: subprocess.Popen[bytes],
        line: bytes,
        cancelled: IsCancelled,
        within_s: float | None,
    ) -> bytes:
        """Write a line and read one, whichever is possible."""
        to_say, to_hear = _pipes(process)
        within_s = min(within_s or self._within_s, self._within_s)
        grace_s = time.monotonic() + _GRACE_S
        look_s = time.monotonic() + _POLL_S
        deadline_s = look_s + within_s
        unsaid, heard = memoryview(line), bytearray()
        with selectors.DefaultSelector() as ready:
            ready.register(to_say, selectors.EVENT_WRITE)
            ready.register(to_hear, selectors.EVENT_READ)
            while not heard.endswith(b"\n"):
                for key, _ in ready.select(_POLL_S):
                    if key.fileobj is to_say:
                        unsaid = unsaid[os.write(to_say.fileno(), unsaid[:_PIECE_BYTES]) :]
                        if not unsaid:
                            ready.unregister(to_say)
                    else:
                        heard += _read(to_hear)
                if time.monotonic() > grace_s and cancelled():
                    raise Cancelled
                if len(heard) > self._answer_bytes:
                    raise HelperError("it produces too much text")
                if (now_s := time.monotonic()) > look_s:
                    look_s = now_s + _POLL_S
                    if now_s > deadline_s:
                        raise HelperError(f"it took more than {within_s:g} seconds")
                    self._check_memory(process)
        return bytes(heard)

    def _check_memory(self, process: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(psutil.Error):
            if psutil.Process(process.pid).memory_info().rss > self._memory_bytes:
                raise HelperError("it took too much memory")


def _pipes(process: subprocess.Popen[bytes]) -> Sequence[IO[bytes]]:
    if process.stdin is None or process.stdout is None:
        raise HelperNotStartedError
    return process.stdin, process.stdout


def _read(pipe: IO[bytes]) -> bytes:
    piece = os.read(pipe.fileno(), _PIECE_BYTES)
    if not piece:
        raise BrokenPipeError
    return piece


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process, and leave nothing of it; does nothing for one that has ended."""
    with contextlib.suppress(OSError):
        process.kill()
    for pipe in _pipes(process):
        with contextlib.suppress(OSError):
            pipe.close()
    # It ends at once unless the system is overloaded.
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_END_S)
