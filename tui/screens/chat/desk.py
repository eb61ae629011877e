"""Between the screen and the engine: drains what the worker says, and asks for things that are no turn of the chat."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from textual.timer import Timer

from tui.engine.base import (
    Event,
    Failed,
    Finished,
    GenerateRequest,
    PromptDescribed,
    TextDelta,
    TextSplit,
)
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


@dataclass
class SideJob:
    """Something that the engine does beside the chat.

    Attributes:
        done: called with all the text that came and the event that the job ended with.
        is_writing: whether the model writes, so that the user may want to stop it.
        blocks: whether a message has to wait until it has ended.
        one_line: whether it can stop after the first line.
        label: what it is, in a few words for the status bar.
    """

    done: Callable[[str, Event], None]
    is_writing: bool = False
    blocks: bool = False
    one_line: bool = False
    label: str = ""
    text: str = ""

    def take(self, event: Event) -> bool:
        """Gather one event; return whether it is the last."""
        match event:
            case TextDelta(text):
                self.text += text
            case PromptDescribed(text):
                self.text = text
        return isinstance(event, Finished | Failed | PromptDescribed | TextSplit)

    @property
    def has_enough(self) -> bool:
        """Whether what came is all that is wanted."""
        return self.one_line and "\n" in self.text.strip()


class EngineDesk(ChatFrame):
    """Drains the worker and hands out its events."""

    _last_drain = _last_status = _spent_s = _frame_cost_s = 0.0
    _drain_interval_s = TICK_S
    _was_asked = False

    def on_mount(self) -> None:
        """Make the timer that drains the worker."""
        self._side_jobs: dict[JobId, SideJob] = {}
        # It runs only while there is something to drain.
        self._drain_timer: Timer = self.set_interval(TICK_S, self._tick, pause=True)

    def engine_asked(self) -> None:
        """The worker was given a job: look at what it says from now on."""
        self._was_asked = True
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
        for job, event in self.worker.drain():
            self.take_event(job, event)
        self.drained()
        if not was_busy and not self._was_asked:
            self._drain_timer.pause()
            self._spent_s = 0.0
            self.show_status()
        elif now - self._last_status >= STATUS_S:
            self._last_status = now
            # In a frame of its own.
            self.set_timer(TICK_S / 2, self.show_status)

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

    def take_event(self, job: JobId, event: Event) -> bool:
        """Follow one event; return whether it was anybody's here."""
        side = self._side_jobs.get(job)
        if side is None:
            return False
        if side.take(event):
            del self._side_jobs[job]
            self.refresh_bindings()
            side.done(side.text, event)
        elif side.has_enough:
            self.worker.cancel(job)
        return True

    @property
    def busy(self) -> bool:
        """Whether there is something that can be stopped."""
        return super().busy or any(side.is_writing for side in self._side_jobs.values())

    @property
    def side_work(self) -> str:
        """What the model writes beside the chat, in a few words; empty for nothing."""
        return next((side.label for side in self._side_jobs.values() if side.is_writing), "")

    @property
    def is_blocked(self) -> bool:
        """Whether a message has to wait for something that the model writes beside the chat."""
        return any(side.blocks for side in self._side_jobs.values())

    def stop_side_jobs(self) -> bool:
        """Stop what the model writes beside the chat; return whether there was anything."""
        writing = [job for job, side in self._side_jobs.items() if side.is_writing]
        for job in writing:
            self._side_jobs[job].label = "stopping"
            self.worker.cancel(job)
        if writing:
            self.show_status()
        return bool(writing)

    def forget_side_jobs(self) -> None:
        """Stop everything that is done beside the chat, and let nothing come of it."""
        self.stop_side_jobs()
        self._side_jobs.clear()

    def ask_model(
        self,
        request: GenerateRequest,
        done: Callable[[str, Event], None],
        *,
        blocks: bool = False,
        one_line: bool = False,
        label: str = "writing",
    ) -> None:
        """Have the model write something that is no turn of the chat, such as a title; see `SideJob`."""
        side = SideJob(done, is_writing=True, blocks=blocks, one_line=one_line, label=label)
        self._side_jobs[self.worker.generate(request)] = side
        self.engine_asked()
        self.show_status()
        self.refresh_bindings()

    def describe_prompt(self, request: GenerateRequest, done: Callable[[str, Event], None]) -> None:
        """Have the exact prompt of a request made; `done` gets it as text."""
        self._side_jobs[self.worker.describe(request)] = SideJob(done)
        self.engine_asked()

    def split_text(self, text: str, done: Callable[[tuple[str, ...]], None]) -> None:
        """Have a text cut into the model's tokens; `done` gets them."""

        def ended(_text: str, event: Event) -> None:
            if isinstance(event, TextSplit):
                done(event.pieces)

        self._side_jobs[self.worker.split(text)] = SideJob(ended)
        self.engine_asked()
