"""Runs work that no flag can end, such as an import, so that a cancel need not wait for it.

The work goes on to its end on a thread of its own, and what it made is dropped. Two such works never run at once, nor does one
beside the reading of weights: libraries keep hooks and settings for the whole process.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from tui.engine.base import Cancelled, IsCancelled

_POLL_S: Final = 0.05
_ONE_AT_A_TIME: Final = threading.Lock()

_Result = TypeVar("_Result")


def run(work: Callable[[], _Result], cancelled: IsCancelled, *, alone: bool = True) -> _Result:
    """Return what `work` returns, or raise what it raises.

    Args:
        alone: keep other such work out while it runs; not needed where it touches nothing that belongs to the process.

    Raises:
        Cancelled: `cancelled` returned True first; the work is left to itself.
    """
    results: list[_Result] = []
    errors: list[BaseException] = []

    def target() -> None:
        with _ONE_AT_A_TIME if alone else contextlib.nullcontext():
            if cancelled():
                return
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
    if errors:
        try:
            raise errors[0]
        finally:
            # The error's frames hold this list, and with it whatever was half made.
            errors.clear()
    if not results:
        raise Cancelled
    return results[0]


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
