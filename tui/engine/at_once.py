"""Runs the same work on several items concurrently, on threads that don't block the app from exiting."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def each(
    work: Callable[[_Item], _Result],
    items: Sequence[_Item],
    at_once: int,
    stop: Callable[[], None] = lambda: None,
) -> list[_Result]:
    """Return the results of `work` for all items, running a few at a time.

    Args:
        work: what to do with one of them.
        items: all of them.
        at_once: how many threads work on them.
        stop: is called when one fails, to end the others soon.

    Raises:
        BaseException: what `work` raised first.
    """
    results: dict[int, _Result] = {}
    failures: list[BaseException] = []
    left = iter(list(enumerate(items)))
    lock = threading.Lock()

    def run() -> None:
        while not failures:
            with lock:
                number, item = next(left, (-1, None))
            if item is None:
                return
            try:
                results[number] = work(item)
            except BaseException as error:  # noqa: BLE001 - raised below
                failures.append(error)
                stop()

    # No pool: its threads would block the app's exit until the network responds.
    threads = [
        threading.Thread(target=run, name="fetch", daemon=True)
        for _ in range(min(at_once, len(items)))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return [results[number] for number in range(len(items))]
