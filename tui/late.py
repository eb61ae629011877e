"""Does on a thread what the first frame doesn't need, such as imports, so that keys are handled in the meantime."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Final

_SWITCH_INTERVAL_S: Final = 0.0005


async def imported(*names: str) -> None:
    """Wait until modules are imported.

    Args:
        names: the full names of the modules, in the order in which they are wanted.

    Raises:
        ImportError: one of them can't be imported.
    """
    await done(lambda: _import(names))


async def done(work: Callable[[], object]) -> None:
    """Wait until `work` was called, after what was asked for before."""
    await asyncio.get_running_loop().run_in_executor(_thread(), _smoothly, work)


def _smoothly(work: Callable[[], object]) -> None:
    """Call `work`, and let other threads run as soon as they want to."""
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(min(interval_s, _SWITCH_INTERVAL_S))
    try:
        work()
    finally:
        sys.setswitchinterval(interval_s)


def _import(names: tuple[str, ...]) -> None:
    for name in names:
        importlib.import_module(name)


@cache
def _thread() -> ThreadPoolExecutor:
    """Return the thread. There is one, since each that computes makes the one that handles keys wait for its turn."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="late")
