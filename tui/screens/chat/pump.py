"""Collects the engine's events at a pace that leaves the CPU cores to the model."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from textual.screen import Screen
from textual.timer import Timer

from tui.engine.client import EngineClient

TICK_S: Final = 0.05
"""How often events are collected while the engine is busy, in seconds."""
LONGEST_DRAIN_S: Final = 0.15
SCREENS_SHARE: Final = 0.06
"""The share of one core that the screen may use while a reply is written."""
STATUS_S: Final = 0.5
"""Figures that change with each token are updated no more often than this, in seconds. The cost of a frame depends on the
rectangle around everything that changed: with a line of text and the status bar, that is the whole screen.
"""


class Pump:
    """Hands out the engine's events while there are any."""

    def __init__(
        self,
        screen: Screen[None],
        client: EngineClient,
        *,
        wanted_interval: Callable[[], float],
        show_status: Callable[[], object],
        show_figures: Callable[[], object],
    ) -> None:
        """Create it. `start` starts it.

        Args:
            screen: runs the timers.
            client: the source of the events.
            wanted_interval: returns the interval that the widgets need, in seconds.
            show_status: updates the figures in the status bar that change with each token.
            show_figures: updates those in the head of the reply.
        """
        self._screen = screen
        self._client = client
        self._wanted_interval = wanted_interval
        self._show_status = show_status
        self._show_figures = show_figures
        self._timer: Timer | None = None
        self._was_asked = False
        self._interval_s = TICK_S
        self._last_drain_s = self._last_status_s = 0.0
        self._spent_s = self._frame_cost_s = 0.0

    def start(self) -> None:
        """Create the timer. It runs only while there are events to collect."""
        self._timer = self._screen.set_interval(TICK_S, self._tick, pause=not self._was_asked)

    def asked(self) -> None:
        """Start collecting, because the engine was given a job."""
        self._was_asked = True
        if self._timer is not None:
            self._timer.resume()

    def _tick(self) -> None:
        now = time.monotonic()
        if now - self._last_drain_s < self._interval_s - TICK_S / 2:
            return
        self._last_drain_s = now
        self._measure_cost()
        # Check both before draining: the events of a finished job are then in the buffer, and a job that
        # starts while events are handled is drained next time, however soon it ends.
        was_busy, self._was_asked = self._client.busy, False
        self._client.pump()
        if not was_busy and not self._was_asked:
            if self._timer is not None:
                self._timer.pause()
            self._spent_s = 0.0
            self._show_status()
        elif now - self._last_status_s >= STATUS_S:
            self._last_status_s = now
            # Update each in a separate frame.
            self._screen.set_timer(TICK_S / 3, self._show_status)
            self._screen.set_timer(TICK_S * 2 / 3, self._show_figures)

    def _measure_cost(self) -> None:
        """Choose the next interval from what the screen has cost since the last time.

        The model uses all cores, so time spent on the screen slows it down.
        """
        spent_s = time.thread_time()
        # Time spent while idle is no measure of the cost.
        cost_s = spent_s - self._spent_s if self._spent_s else 0.0
        self._spent_s = spent_s
        self._frame_cost_s += (cost_s - self._frame_cost_s) / 4
        wanted = self._frame_cost_s / SCREENS_SHARE
        self._interval_s = min(max(self._wanted_interval(), wanted), LONGEST_DRAIN_S)
