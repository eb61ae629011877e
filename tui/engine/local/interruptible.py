"""Runs uninterruptible work, such as an import, so that cancelling need not wait for it.

The work goes on to its end on a thread of its own, and what it made is dropped. Two such works never run at once, nor does one
beside the reading of weights: libraries keep hooks and settings for the whole process.

What a stranger's files can make as large as they like is given so much memory, and made to end when it takes more, also after a cancel:
a system that has none left ends the process, and not the work.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

import psutil

from tui.engine.attempts import ask_to_end
from tui.engine.base import Cancelled, IsCancelled

_POLL_S: Final = 0.05
_WATCH_S: Final = 0.02
_ONE_AT_A_TIME: Final = threading.Lock()

_Result = TypeVar("_Result")


class GreedyError(Exception):
    """Work exceeded its memory limit and was stopped."""


def run(
    work: Callable[[], _Result],
    cancelled: IsCancelled,
    *,
    alone: bool = True,
    most_bytes: int = 0,
) -> _Result:
    """Return the result of `work`, or raise its exception.

    Args:
        alone: keep other such work out while it runs; not needed where it touches nothing that belongs to the process.
        most_bytes: how much the process may grow meanwhile; 0 for any amount.

    Raises:
        Cancelled: `cancelled` returned True first; the work is left to itself.
        GreedyError: the process grew by more than `most_bytes`; Python code is made to end.
    """
    results: list[_Result] = []
    errors: list[BaseException] = []
    greedy = threading.Event()

    def target() -> None:
        with _ONE_AT_A_TIME if alone else contextlib.nullcontext():
            if cancelled():
                return
            if most_bytes:
                _watch(threading.current_thread(), most_bytes, greedy)
            try:
                results.append(work())
            except BaseException as error:  # noqa: BLE001 - it is raised again on the caller's thread
                errors.append(error)

    thread = threading.Thread(target=target, name="engine-step", daemon=True)
    thread.start()
    while thread.is_alive():
        if cancelled():
            raise Cancelled
        thread.join(_POLL_S)
    if greedy.is_set():
        errors.clear()
        raise GreedyError(f"it takes more than {most_bytes / 1e9:.0f} GB of memory")
    if errors:
        try:
            raise errors[0]
        finally:
            # The error's frames hold this list, and with it whatever was half made.
            errors.clear()
    if not results:
        raise Cancelled
    return results[0]


def _watch(worker: threading.Thread, most_bytes: int, greedy: threading.Event) -> None:
    """Make a thread end as soon as the process grew by more than `most_bytes`; say so in `greedy`."""
    process = psutil.Process()
    limit_bytes = process.memory_info().rss + most_bytes

    def watch() -> None:
        while worker.is_alive():
            if process.memory_info().rss > limit_bytes:
                greedy.set()
                # Again and again: some code takes whatever is raised for something else, and goes on.
                ask_to_end(worker)
            worker.join(_WATCH_S)

    threading.Thread(target=watch, name="engine-watch", daemon=True).start()


@contextlib.contextmanager
def alone(cancelled: IsCancelled) -> Iterator[None]:
    """Wait until no abandoned work is left, and keep others out inside the block.

    Raises:
        Cancelled: `cancelled` returned True while it waited.
    """
    while not _ONE_AT_A_TIME.acquire(timeout=_POLL_S):
        if cancelled():
            raise Cancelled
    try:
        yield
    finally:
        _ONE_AT_A_TIME.release()
