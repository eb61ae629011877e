"""Runs untrusted code in this process without waiting indefinitely for it to finish.

Work is done on a thread of its own. Python code that was left behind is made to end; compiled code goes on, as nothing ends it but the end
of the process. What would hold up every thread, or fill the memory, belongs into a helper process.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, TypeVar

from tui.engine.base import Cancelled, IsCancelled

_POLL_S: Final = 0.05
_GRACE_S: Final = 0.3
"""How long work may take after all when it was cancelled: what ends by itself leaves nothing behind."""

_Result = TypeVar("_Result")


def never() -> bool:
    """Return False: nothing was cancelled."""
    return False


def ask_to_end(thread: threading.Thread) -> None:
    """Raise SystemExit in a thread's Python code; compiled code is not interrupted.

    Nothing else may run on that thread, so that it does no harm wherever it gets there.
    """
    import ctypes

    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit)
    )


class StuckError(Exception):
    """Work doesn't finish; the message gives the time waited."""


class Attempts:
    """Runs one piece of work at a time, and abandons it when it takes too long or is cancelled.

    Work that was left behind is asked to end, which Python code does. As long as it goes on nothing else is begun, so that there is never
    more than one.
    """

    def __init__(self, within_s: float) -> None:
        """Start idle.

        Args:
            within_s: how long one piece of work may take.
        """
        self._within_s = within_s
        self._left: threading.Thread | None = None

    def run(self, work: Callable[[], _Result], cancelled: IsCancelled) -> _Result:
        """Return the result of `work`, or raise its exception.

        Raises:
            Cancelled: `cancelled` returned True first.
            StuckError: it took too long, or what was left behind still goes on.
        """
        if self._left is not None:
            self._left.join(_POLL_S)
            if self._left.is_alive():
                raise StuckError("the previous attempt was asked to stop but is still running")
            self._left = None
        outcome: Future[_Result] = Future()
        thread = threading.Thread(target=_into, args=(outcome, work), daemon=True, name="attempt")
        thread.start()
        began_s = time.monotonic()
        while not outcome.done():
            waited_s = time.monotonic() - began_s
            if waited_s > _GRACE_S and cancelled():
                self._leave(thread)
                raise Cancelled
            if waited_s > self._within_s:
                self._leave(thread)
                raise StuckError(f"it took more than {self._within_s:g} seconds")
            thread.join(_POLL_S)
        return outcome.result()

    def _leave(self, thread: threading.Thread) -> None:
        self._left = thread
        ask_to_end(thread)


def _into(outcome: Future[_Result], work: Callable[[], _Result]) -> None:
    try:
        outcome.set_result(work())
    except BaseException as error:  # noqa: BLE001 - it is raised again on the caller's thread
        outcome.set_exception(error)
