"""Waits of Textual's pilot that end when the app is idle, whatever other threads compute meanwhile.

Textual's own looks at the processor time of the whole process, so that each key waits up to a second while a model or another thread is at
work. What a test of a screen waits for is the event loop, which lives on one thread.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

STEP_S: Final = 1 / 250
IDLE_S: Final = STEP_S / 10
"""Less processor time than this in a step is none that an app with nothing to do would not take for its timers."""


async def wait_for_idle(min_sleep: float = STEP_S, max_sleep: float = 1) -> None:
    """Wait until the event loop's thread has nothing to do.

    Args:
        min_sleep, max_sleep: seconds to wait at least and at most.
    """
    start = time.monotonic()
    while True:
        before = time.thread_time()
        await asyncio.sleep(STEP_S)
        taken, waited = time.thread_time() - before, time.monotonic() - start
        if waited >= max_sleep or (waited > min_sleep and taken < IDLE_S):
            return
