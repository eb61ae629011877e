"""Ctrl+C while nothing is in progress that could be lost, such as imports.

Python raises `KeyboardInterrupt` wherever it is. The import system runs callbacks in which exceptions are printed and dropped, and Ctrl+C
with them.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Final

INTERRUPTED: Final = 130
"""The exit code of what Ctrl+C ended."""


@contextlib.contextmanager
def ending_at_once() -> Iterator[None]:
    """Have Ctrl+C end the process at once and silently, where it would raise `KeyboardInterrupt`; as before afterwards."""
    is_default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    # Only the main thread may set handlers.
    with contextlib.suppress(ValueError):
        if is_default:
            signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            if is_default:
                signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(_number: int, _frame: object) -> None:
    os._exit(INTERRUPTED)
