"""The line at the foot of the screen: the model and its state, memory, context, speed."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from tui.engine.base import MemoryReading, Progress
from tui.sanitize import sanitize_line
from tui.widgets.figures import bar_text, bytes_text, of_total, seconds_text

_SHORT_RANK = 2
_LONG_RANK = 5
"""How far the downloads are, in few cells and in many."""


class ModelState(StrEnum):
    """What the model is doing."""

    NONE = "no model"
    LOADING = "loading"
    READY = "ready"
    READING = "reading"
    REPLYING = "replying"
    BUSY = "busy"


_SIGNS = {
    ModelState.NONE: ("○", "$text-warning"),
    ModelState.LOADING: ("◌", "$text-accent"),
    ModelState.READY: ("●", "$text-success"),
    ModelState.READING: ("◐", "$text-accent"),
    ModelState.REPLYING: ("◉", "$text-accent"),
    ModelState.BUSY: ("◉", "$text-accent"),
}


@dataclass(frozen=True, slots=True)
class StatusValues:
    """All that the status bar shows.

    Attributes:
        context_used, context_total: tokens; a total of 0 means unknown.
        tokens_per_s, ttft_s: of the newest reply; 0 means unknown.
        download: how far the downloads are; empty for none.
        download_short: the same in few cells, for where that has no room.
        cached_tokens, read_tokens, dropped_tokens: of its prompt: in the KV cache, computed anew, held before but of no use.
    """

    state: ModelState = ModelState.NONE
    model: str = ""
    detail: str = ""
    progress: Progress | None = None
    memory: MemoryReading = field(default_factory=MemoryReading)
    context_used: int = 0
    context_total: int = 0
    tokens_per_s: float = 0.0
    ttft_s: float = 0.0
    download: str = ""
    download_short: str = ""
    cached_tokens: int = 0
    read_tokens: int = 0
    dropped_tokens: int = 0


class StatusBar(Widget):
    """Shows `StatusValues`; what does not fit the width is left out, the least important first."""

    DEFAULT_CSS: ClassVar[str] = """
    StatusBar {
        height: 1;
        padding: 0 1;
        background: $panel;
        color: $foreground;
    }
    """

    values: reactive[StatusValues] = reactive(StatusValues())

    def render(self) -> Content:
        """Return the line for the present width."""
        width = self.content_size.width
        parts = self._parts()
        kept = sorted(parts, key=lambda part: part[0])
        separator = Content.styled(" │ ", "$text-disabled")
        while kept:
            ranks = {rank for rank, _ in kept}
            shown = [
                content
                for rank, content in parts
                if any(content is k for _, k in kept)
                # One of the two says it all.
                and not (rank == _SHORT_RANK and _LONG_RANK in ranks)
            ]
            line = separator.join(shown)
            if line.cell_length <= width or len(kept) == 1:
                return line
            kept.pop()
        return Content("")

    def _parts(self) -> list[tuple[int, Content]]:
        """The parts from left to right, each with its rank: the greatest is left out first."""
        values = self.values
        parts = [(0, self._model())]
        if values.detail:
            parts.append((9, Content.styled(sanitize_line(values.detail), "$text-muted")))
        if values.progress is not None:
            parts.append((1, _progress(values.progress)))
        if values.download:
            text = sanitize_line(values.download, 60)
            parts.append((_LONG_RANK, Content.styled(text, "$text-accent")))
        if values.download_short:
            text = sanitize_line(values.download_short, 12)
            parts.append((_SHORT_RANK, Content.styled(text, "$text-accent")))
        parts += _memory(values.memory)
        if values.context_total:
            share = values.context_used / values.context_total
            style = "$text-error" if share > 0.95 else "$text-warning" if share > 0.8 else ""
            text = f"ctx {values.context_used:,}/{values.context_total:,}"
            parts.append((3, Content.styled(text, style)))
            parts.append((10, Content.styled(bar_text(share, 8), style or "$text-accent")))
        if values.tokens_per_s:
            parts.append((6, Content(f"{values.tokens_per_s:.1f} tok/s")))
        if values.ttft_s:
            parts.append((7, Content(f"TTFT {seconds_text(values.ttft_s)}")))
        if values.cached_tokens or values.read_tokens:
            parts.append((8, _prompt(values)))
        return parts

    def _model(self) -> Content:
        values = self.values
        sign, style = _SIGNS[values.state]
        name = sanitize_line(values.model, 40)
        state = "" if values.state is ModelState.READY else f" {values.state.value}"
        return Content.assemble(
            (sign, style),
            " ",
            (name, "bold"),
            (state if name else state.strip(), "$text-muted"),
        )


def _memory(memory: MemoryReading) -> list[tuple[int, Content]]:
    if not memory.total:
        return []
    share = memory.used / memory.total
    style = "$text-error" if share > 0.92 else "$text-warning" if share > 0.8 else ""
    text = f"{sanitize_line(memory.kind, 12)} {of_total(memory.used, memory.total)}"
    whole = (4, Content.styled(text, style))
    return [whole, (11, Content(f"app {bytes_text(memory.own)}"))] if memory.own else [whole]


def _prompt(values: StatusValues) -> Content:
    dropped = f" -{values.dropped_tokens:,}" if values.dropped_tokens else ""
    return Content(f"{values.cached_tokens:,} cached +{values.read_tokens:,}{dropped}")


def _progress(progress: Progress) -> Content:
    """A step's name, how far it is, and a bar when its length is known."""
    stage = sanitize_line(progress.stage, 40)
    if not progress.total:
        done = f" {bytes_text(progress.done)}" if progress.unit == "B" and progress.done else ""
        return Content(f"{stage}{done} …")
    share = progress.done / progress.total
    if progress.unit == "B":
        figures = of_total(progress.done, progress.total)
    else:
        figures = f"{progress.done:,}/{progress.total:,}"
    return Content.assemble(
        f"{stage} {figures} ", (bar_text(share, 10), "$text-accent"), f" {share:.0%}"
    )
