"""What is printed: replies on stdout, by a thread of its own, so that a slow reader holds up neither the reply nor Ctrl+C."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import queue
import select
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import TextIO

from tui.dataclass import dataclass
from tui.errors import UserError
from tui.files import reason
from tui.sanitize import sanitize

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Streams:
    """The process's own output, which only this command writes to.

    Attributes:
        out: the file descriptor of stdout.
        encoding: of stdout.
        err: stderr; None where that is closed.
    """

    out: int
    encoding: str
    err: TextIO | None


class _Logged(io.TextIOBase):
    """Takes what libraries print, and logs it."""

    def write(self, text: str) -> int:
        if line := text.strip():
            _log.info("printed: %s", sanitize(line[:2000]))
        return len(text)


@contextlib.contextmanager
def apart() -> Iterator[Streams]:
    """Lend stdout and stderr, and meanwhile send what libraries print there to the log.

    Raises:
        UserError: the process has no stdout.
    """
    out, err = sys.stdout, sys.stderr
    if out is None:
        raise UserError("Can't print the reply: stdout is closed.")
    out.flush()
    kept = os.dup(out.fileno())
    try:
        # Also for code that is not Python's: stdout holds the reply and nothing else.
        os.dup2(err.fileno() if err is not None else os.open(os.devnull, os.O_WRONLY), out.fileno())
        sys.stdout = sys.stderr = _Logged()
        yield Streams(kept, out.encoding or "utf-8", err)
    finally:
        sys.stdout, sys.stderr = out, err
        os.dup2(kept, out.fileno())
        os.close(kept)


class Stdout:
    """The process's stdout. Everything but `close` belongs to the event loop's thread."""

    def __init__(self, fd: int, encoding: str, on_end: Callable[[], object]) -> None:
        """Start the thread.

        Args:
            fd: where to write; see `apart`.
            encoding: of what is written.
            on_end: called once, in the event loop, when nobody reads any more or nothing can be written.
        """
        self._fd = fd
        self._encoding = encoding
        self.is_terminal = os.isatty(fd)
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._waiting: queue.SimpleQueue[bytes | Future[None]] = queue.SimpleQueue()
        self.has_ended = False
        """Whether what is written goes nowhere."""
        self.problem = ""
        """Why it can't be written to, as a sentence; empty where the reader just had enough."""
        threading.Thread(target=self._work, name="stdout", daemon=True).start()

    def write(self, text: str) -> None:
        """Have a text written, made safe to show where that is on a terminal."""
        if self.is_terminal:
            text = sanitize(text)
        self.write_safe(text)

    def write_safe(self, text: str) -> None:
        """Have a text written as it is: it is known to be safe, or goes to no terminal."""
        if text:
            self._waiting.put(text.encode(self._encoding, "replace"))

    def look(self) -> None:
        """Notice a reader that has gone, also where nothing is written yet."""
        if self.has_ended or not hasattr(select, "poll"):
            return
        poll = select.poll()
        poll.register(self._fd, 0)
        if any(flags & (select.POLLERR | select.POLLNVAL) for _, flags in poll.poll(0)):
            self.has_ended = True
            self._on_end()

    async def written(self) -> None:
        """Wait until all that was asked for is written, or never can be."""
        done: Future[None] = Future()
        self._waiting.put(done)
        await asyncio.wrap_future(done)

    def _work(self) -> None:
        while True:
            one = self._waiting.get()
            if isinstance(one, Future):
                with contextlib.suppress(Exception):
                    one.set_result(None)
            elif not self.has_ended:
                self._write(one)

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:
                try:
                    rest = rest[os.write(self._fd, rest) :]
                except BlockingIOError:
                    # Another program has made the terminal or pipe one that does not wait.
                    select.select((), (self._fd,), ())
        except OSError as error:
            self.has_ended = True
            if not isinstance(error, BrokenPipeError):
                self.problem = f"The reply can't be printed ({reason(error)})."
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._on_end)
