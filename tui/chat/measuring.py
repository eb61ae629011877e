"""Keeps what a model takes and how fast it is on this machine, for the next choice of a quantization."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from tui.chat.signal import Signal
from tui.chat.ui import Ui
from tui.conversation import Generation
from tui.engine.base import ModelInfo
from tui.sessions.writer import SessionWriter
from tui.settings.measurements import Measurements

MEASURED_TOKENS: Final = 16
"""A reply shorter than this says nothing about the speed."""


class Measuring:
    """Notes figures on the thread that writes."""

    def __init__(self, measurements: Measurements, writer: SessionWriter, ui: Ui) -> None:
        self._measurements = measurements
        self._writer = writer
        self._ui = ui
        self.changed: Signal[None] = Signal()

    def figures(self, model: str) -> Mapping[str, tuple[int, float]]:
        """Return what was measured of a model, by quantization: bytes after the load and tokens per second."""
        return self._measurements.figures.get(model, {})

    def note_load(self, info: ModelInfo) -> None:
        """Note how many bytes a model took."""
        note = self._measurements.note_load
        self._note(lambda: note(info.model, info.quantization, info.weights_bytes))

    def note_reply(self, made: Generation) -> None:
        """Note how fast a model was, if its reply was long enough to tell."""
        stats, note = made.stats, self._measurements.note_speed
        if made.model and stats.new_tokens >= MEASURED_TOKENS:
            speed = stats.tokens_per_s
            self._note(lambda: note(made.model, made.quantization, speed))

    def _note(self, note: Callable[[], object]) -> None:
        self._ui.start(self._noted(note))

    async def _noted(self, note: Callable[[], object]) -> None:
        await asyncio.wrap_future(self._writer.run(note))
        self.changed.emit(None)
