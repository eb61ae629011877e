"""Between the screen and the engine: drains what the worker says, at a pace that leaves the cores to the model."""

from __future__ import annotations

import time
from typing import Final

from textual.timer import Timer

from tui.engine.base import Event
from tui.engine.worker import JobId
from tui.screens.chat.frame import ChatFrame

TICK_S: Final = 0.05
LONGEST_DRAIN_S: Final = 0.15
SCREENS_SHARE: Final = 0.1
"""Of one core, which the screen may take while a reply is written."""
STATUS_S: Final = 0.25
"""Figures that change with each token are read no faster than this. And a frame costs what lies in the rectangle around all that
changed: with a line of text and the status bar that is the whole screen.
"""
"""How often the worker is drained while it is busy."""


class EngineDesk(ChatFrame):
    """Drains the worker and hands out its events."""

    _last_drain = _last_status = _spent_s = _frame_cost_s = 0.0
    _drain_interval_s = TICK_S
    _was_asked = False

    _drain_timer: Timer | None = None

    def on_mount(self) -> None:
        """Make the timer that drains the worker."""
        # It runs only while there is something to drain.
        self._drain_timer = self.set_interval(TICK_S, self._tick, pause=not self._was_asked)

    def engine_asked(self) -> None:
        """The worker was given a job: look at what it says from now on."""
        self._was_asked = True
        if self._drain_timer is not None:
            self._drain_timer.resume()

    def _tick(self) -> None:
        now = time.monotonic()
        if now - self._last_drain < self._drain_interval_s - TICK_S / 2:
            return
        self._last_drain = now
        self._measure_cost()
        # Both are looked at before draining: what an ended job said is then in the buffer for certain, and a job that is
        # asked for while the events are handled has another look coming, however soon it ends.
        was_busy, self._was_asked = self.worker.busy, False
        for job, event in self.client.pump():
            self.take_event(job, event)
        self.drained()
        if not was_busy and not self._was_asked:
            self._pause_draining()
            self._spent_s = 0.0
            self.show_status()
        elif now - self._last_status >= STATUS_S:
            self._last_status = now
            # In a frame of its own.
            self.set_timer(TICK_S / 2, self.show_status)

    def _pause_draining(self) -> None:
        if self._drain_timer is not None:
            self._drain_timer.pause()

    def _measure_cost(self) -> None:
        """Choose when to look at the worker next, by what the screen has cost since the last time.

        The model computes on all cores, and what the screen takes is missing there.
        """
        spent_s = time.thread_time()
        # What was spent while there was nothing to look at says nothing.
        cost_s = spent_s - self._spent_s if self._spent_s else 0.0
        self._spent_s = spent_s
        self._frame_cost_s += (cost_s - self._frame_cost_s) / 4
        wanted = self._frame_cost_s / SCREENS_SHARE
        self._drain_interval_s = min(max(self.transcript.drain_interval, wanted), LONGEST_DRAIN_S)

    def drained(self) -> None:
        """Do what has to be done after each look at the worker."""

    def take_event(self, job: JobId, event: Event) -> bool:  # noqa: ARG002 - for floors above
        """Follow one event; return whether it was anybody's here."""
        return False

    @property
    def busy(self) -> bool:
        """Whether there is something that can be stopped."""
        return super().busy or self.side.is_writing
