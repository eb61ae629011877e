"""What goes to stderr: notes, problems, and on a terminal a line that says what is being done."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Coroutine, Sequence
from typing import Any, Final, TextIO

from tui.actions import action
from tui.chat.session import NOT_SAVED_YET
from tui.chat.ui import Answer
from tui.console import obeys_sequences
from tui.engine.base import Progress
from tui.sanitize import sanitize, sanitize_line

_NAME: Final = "chat-tui ask"
_STOP: Final = "reply.stop"
_CLEAR: Final = "\r\x1b[K"
_LONGEST_LINE: Final = 76
_LONG_S: Final = 5.0
"""From here on, a step is said where a line can't be overwritten."""


class Notes:
    """Says things on stderr; implements `tui.chat.ui.Ui` for a shell, where nobody can be asked."""

    def __init__(self, err: TextIO | None, *, is_quiet: bool) -> None:
        """Make it.

        Args:
            err: where to; None for nowhere.
            is_quiet: whether only errors are said.
        """
        self._err = err
        self._is_quiet = is_quiet
        self._is_shown = False
        self._last = ""
        self._waits_since_s = 0.0
        self._said_stages: set[str] = set()
        self._is_terminal = err is not None and err.isatty()
        self._can_overwrite = self._is_terminal and obeys_sequences()
        self._tasks: set[asyncio.Task[object]] = set()

    def tell(
        self,
        text: str,
        *,
        title: str = "",
        severity: str = "information",
        is_shown: bool = False,
    ) -> None:
        """Write whole sentences; see `Ui.tell`."""
        del is_shown
        if title == NOT_SAVED_YET or text == self._last:
            # What became of a save is said at the end, and nothing twice in a row.
            return
        self._last = text
        if severity == "error" or not self._is_quiet:
            self.clear()
            said = f"{title}. {text}" if title else text
            self._put(f"{_NAME}: {sanitize(said)}\n")

    def remark(self, text: str) -> None:
        """Write what is of use to a person only: nothing where stderr is no terminal."""
        if self._is_terminal:
            self.tell(text)

    def way(self, action_id: str) -> str:
        """Return how an action is done: here, where it is stopping, else in the app. See `Ui`."""
        if action_id == _STOP:
            return "Press Ctrl+C"
        return f"Open the chat in chat-tui and type /{action(action_id).commands[0]}"

    def fail(self, text: str) -> None:
        """Write why there is no reply, or not all of one."""
        self.tell(text, severity="error")

    async def ask(
        self, title: str, text: str, answers: Sequence[Answer], *, interrupts: bool = False
    ) -> str | None:
        """Leave a question without an answer: what is asked for is not done."""
        del title, text, answers, interrupts
        return None

    def start(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[object]:
        """Begin work that goes on beside everything else; see `Ui.start`."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def finished(self) -> None:
        """Wait until everything that was started has ended.

        Raises:
            Exception: what any of it raised.
        """
        while self._tasks:
            await asyncio.gather(*self._tasks)

    # -- the line that changes

    def show(self, progress: Progress) -> None:
        """Say on a terminal what is being done, in place of what was said so before."""
        if self._is_quiet:
            return
        if not self._can_overwrite:
            self._say_what_takes_long(progress)
            return
        share = f" {100 * progress.done // progress.total}%" if progress.total > 0 else ""
        line = sanitize_line(f"{progress.stage}…{share}", _LONGEST_LINE)
        self._put(f"{_CLEAR}{line}")
        self._is_shown = True

    def _say_what_takes_long(self, progress: Progress) -> None:
        """Write once, into a log or the like, what a script waits for."""
        now = time.monotonic()
        self._waits_since_s = self._waits_since_s or now
        if now - self._waits_since_s > _LONG_S and progress.stage not in self._said_stages:
            self._said_stages.add(progress.stage)
            self.tell(f"{progress.stage}…")

    def clear(self) -> None:
        """Take that line away."""
        if self._is_shown:
            self._is_shown = False
            self._put(_CLEAR)

    def reasoning(self, text: str) -> None:
        """Write a piece of the model's reasoning."""
        self.clear()
        self._put(sanitize(text))

    def _put(self, text: str) -> None:
        if self._err is not None:
            with contextlib.suppress(OSError, ValueError):
                self._err.write(text)
                self._err.flush()
