"""The status bar at the bottom of the screen: the model and its state, memory, context, speed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from enum import IntEnum, StrEnum, auto
from typing import ClassVar, Final, NamedTuple

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from tui.dataclass import dataclass
from tui.engine.base import MemoryReading, Progress
from tui.sanitize import sanitize_line
from tui.widgets.figures import (
    bar_text,
    bytes_text,
    columns_text,
    count_text,
    of_total,
    seconds_text,
    speed_text,
)

_SEPARATOR: Final = Content.styled(" │ ", "$foreground 25%")
_GAUGE: Final = 8
"""The width of the context gauge in cells."""
_MOST_COLUMNS: Final = 12
"""How many intervals of a reply the speed chart shows: the last six seconds."""


class Rank(IntEnum):
    """The order in which parts are dropped: the last is dropped first."""

    MODEL = auto()
    PROGRESS = auto()
    CONTEXT = auto()
    DOWNLOAD_SHORT = auto()
    SCARCE_MEMORY = auto()
    APP = auto()
    SPEED = auto()
    DOWNLOAD = auto()
    SPEEDS = auto()
    MEMORY = auto()
    FIRST_WORD = auto()
    DETAIL = auto()
    PROMPT = auto()


class _Part(NamedTuple):
    rank: Rank
    content: Content


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
    """All values in the status bar.

    Attributes:
        model, detail: its name, and how it is loaded; empty where they are shown elsewhere.
        context_used, context_total: tokens; a total of 0 means unknown.
        tokens_per_s, ttft_s: of the newest reply; 0 means unknown.
        speeds: for intervals of equal length, in tokens per second, oldest first; empty means unknown.
        download: the progress of the downloads; empty for none.
        download_short: the same in few cells, in case that doesn't fit.
        cached_tokens, read_tokens, dropped_tokens: tokens of its prompt in the KV cache, tokens computed, and cached tokens that could not be used.
    """

    state: ModelState = ModelState.NONE
    model: str = ""
    detail: str = ""
    progress: Progress | None = None
    memory: MemoryReading = field(default_factory=MemoryReading)
    context_used: int = 0
    context_total: int = 0
    tokens_per_s: float = 0.0
    speeds: tuple[float, ...] = ()
    ttft_s: float = 0.0
    download: str = ""
    download_short: str = ""
    cached_tokens: int = 0
    read_tokens: int = 0
    dropped_tokens: int = 0


class StatusBar(Widget):
    """Shows `StatusValues`. Parts that don't fit the width are dropped, the least important first."""

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
        """Return the line for the current width."""
        width = self.content_size.width
        parts = self._parts()
        kept = sorted((part.rank for part in parts), reverse=True)
        while True:
            shown = [
                part.content
                for part in parts
                if part.rank in kept
                # One of the two is enough.
                and not (part.rank is Rank.DOWNLOAD_SHORT and Rank.DOWNLOAD in kept)
            ]
            line = _SEPARATOR.join(shown)
            if line.cell_length <= width or len(kept) == 1:
                return line
            del kept[0]

    def _parts(self) -> list[_Part]:
        """The parts from left to right."""
        values = self.values
        parts = [_Part(Rank.MODEL, self._model())]
        if values.detail:
            parts.append(_quiet(Rank.DETAIL, sanitize_line(values.detail)))
        if values.progress is not None:
            parts.append(_Part(Rank.PROGRESS, _progress(values.progress)))
        if values.download:
            text = sanitize_line(values.download, 60)
            parts.append(_Part(Rank.DOWNLOAD, Content.styled(text, "$text-accent")))
        if values.download_short:
            text = sanitize_line(values.download_short, 12)
            parts.append(_Part(Rank.DOWNLOAD_SHORT, Content.styled(text, "$text-accent")))
        if values.context_total:
            parts.append(_Part(Rank.CONTEXT, self._room()))
        parts += _memory(values.memory)
        if values.tokens_per_s:
            parts.append(_Part(Rank.SPEED, Content(speed_text(values.tokens_per_s))))
        if len(values.speeds) > 1 and not self._is_bare:
            parts.append(_Part(Rank.SPEEDS, _speeds(values.speeds[-_MOST_COLUMNS:])))
        if values.ttft_s:
            parts.append(_quiet(Rank.FIRST_WORD, f"first token {_short_seconds(values.ttft_s)}"))
        if values.cached_tokens or values.read_tokens:
            parts.append(_quiet(Rank.PROMPT, _prompt(values)))
        return parts

    @property
    def _is_bare(self) -> bool:
        """Whether columns can't be drawn: in plain mode and in ASCII."""
        return self.app.has_class("-plain") or self.app.has_class("-ascii")

    def _model(self) -> Content:
        values = self.values
        sign, style = _SIGNS[values.state]
        name = sanitize_line(values.model, 40)
        is_plain = bool(name) and values.state is ModelState.READY
        state = "" if is_plain else f" {values.state.value}"
        return Content.assemble(
            (sign, style),
            " ",
            (name, "bold"),
            (state if name else state.strip(), "$text-muted"),
        )

    def _room(self) -> Content:
        """The context usage: a gauge if it can be drawn, and the tokens."""
        used, total = self.values.context_used, self.values.context_total
        share = used / total
        style = "$text-error" if share > 0.95 else "$text-warning" if share > 0.8 else ""
        gauge = (bar_text(share, _GAUGE) + " ", style or "$text-accent")
        return Content.assemble(
            ("context ", "$text-muted"),
            ("", "") if self.app.has_class("-plain") else gauge,
            (f"{count_text(used) or '0'}/{count_text(total)}", style),
        )


def _quiet(rank: Rank, text: str) -> _Part:
    return _Part(rank, Content.styled(text, "$text-muted"))


def _memory(memory: MemoryReading) -> list[_Part]:
    parts = [_Part(Rank.APP, Content(f"app {bytes_text(memory.own)}"))] if memory.own else []
    if memory.total:
        share = memory.used / memory.total
        style = "$text-error" if share > 0.92 else "$text-warning" if share > 0.8 else "$text-muted"
        text = f"{sanitize_line(memory.kind, 12)} {of_total(memory.used, memory.total)}"
        # It is dropped early only while there is enough memory.
        rank = Rank.MEMORY if share <= 0.8 and memory.own else Rank.SCARCE_MEMORY
        parts.append(_Part(rank, Content.styled(text, style)))
    return parts


def _speeds(speeds: Sequence[float]) -> Content:
    """A column for each interval of the reply, all starting at zero. The number beside them is the height of the highest."""
    return Content.assemble(
        (columns_text(speeds, levels=7), "$text-accent"), (f" max {max(speeds):.0f}", "$text-muted")
    )


def _short_seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else seconds_text(seconds)


def _prompt(values: StatusValues) -> str:
    dropped = f", {values.dropped_tokens:,} dropped" if values.dropped_tokens else ""
    return f"{values.cached_tokens:,} reused, {values.read_tokens:,} read{dropped}"


def _progress(progress: Progress) -> Content:
    """The name of a step, its progress, and a bar if its length is known."""
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
