"""The panel that shows what replies cost: the last one, all in the chat, and all since the app was started."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Grid, Vertical
from textual.widgets import Label

from tui.conversation import ReplyStats
from tui.dataclass import dataclass
from tui.engine.base import MemoryReading
from tui.screens.dialog import Hint, KeyHints
from tui.screens.reading_dialog import ReadingDialog
from tui.widgets.figures import bytes_text, columns_text, of_total, seconds_text

_NONE = "–"
_MOST_COLUMNS = 60


@dataclass(frozen=True, slots=True)
class Row:
    """One figure for several groups of replies."""

    name: str
    values: tuple[str, ...]


def rows(groups: Sequence[Sequence[ReplyStats]]) -> list[Row]:
    """Return the figures of several groups of replies as text, without those that were never measured."""
    made = [Row(name, tuple(figure(group) for group in groups)) for name, figure in _FIGURES]
    return [row for row in made if any(value != _NONE for value in row.values)]


def _median(
    pick: Callable[[ReplyStats], float], show: Callable[[float], str]
) -> Callable[[Sequence[ReplyStats]], str]:
    def figure(group: Sequence[ReplyStats]) -> str:
        known = [value for one in group if (value := pick(one)) > 0]
        return show(median(known)) if known else _NONE

    return figure


def _share(
    part: Callable[[ReplyStats], int], whole: Callable[[ReplyStats], int]
) -> Callable[[Sequence[ReplyStats]], str]:
    def figure(group: Sequence[ReplyStats]) -> str:
        total = sum(whole(one) for one in group)
        return f"{sum(part(one) for one in group) / total:.0%}" if total else _NONE

    return figure


def _sum(pick: Callable[[ReplyStats], int]) -> Callable[[Sequence[ReplyStats]], str]:
    def figure(group: Sequence[ReplyStats]) -> str:
        total = sum(pick(one) for one in group)
        return f"{total:,}" if total else _NONE

    return figure


def _rate(
    tokens: Callable[[ReplyStats], int], seconds: Callable[[ReplyStats], float]
) -> Callable[[Sequence[ReplyStats]], str]:
    def figure(group: Sequence[ReplyStats]) -> str:
        known = [one for one in group if tokens(one) > 0 and seconds(one) > 0]
        took = sum(seconds(one) for one in known)
        return f"{sum(tokens(one) for one in known) / took:,.1f} tok/s" if known else _NONE

    return figure


_FIGURES: tuple[tuple[str, Callable[[Sequence[ReplyStats]], str]], ...] = (
    ("replies", lambda group: f"{len(group):,}" if group else _NONE),
    ("first token, median", _median(lambda one: one.ttft_s, seconds_text)),
    (
        "reading the prompt",
        _rate(lambda one: one.prompt_tokens - one.cached_tokens, lambda one: one.prefill_s),
    ),
    ("writing", _rate(lambda one: one.new_tokens - 1, lambda one: one.decode_s)),
    ("prompt tokens", _sum(lambda one: one.prompt_tokens)),
    ("reused from cache", _share(lambda one: one.cached_tokens, lambda one: one.prompt_tokens)),
    ("tokens written", _sum(lambda one: one.new_tokens)),
    ("drafted tokens", _sum(lambda one: one.drafted_tokens)),
    ("drafts accepted", _share(lambda one: one.accepted_tokens, lambda one: one.drafted_tokens)),
)


class StatsScreen(ReadingDialog[None]):
    """Shows what replies cost. Returns nothing."""

    CSS: ClassVar[str] = """
    StatsScreen {
        & > #dialog { width: 84; }
        & #figures { grid-size: 4; grid-columns: 22 1fr 1fr 1fr; grid-rows: 1; height: auto; margin-top: 1; }
        & #figures .heading { text-align: right; }
        & #figures .name { color: $text-muted; }
        & #figures .value { text-align: right; width: 1fr; }
        & #speeds { height: 1; margin-top: 1; width: 1fr; color: $text-accent; }
        &.-short #speeds { margin-top: 0; }
        &.-short #figures { margin-top: 0; }
        & KeyHints { margin-top: 1; }
        &.-short KeyHints { margin-top: 0; }
    }
    """

    def __init__(
        self, chat: Sequence[ReplyStats], session: Sequence[ReplyStats], memory: MemoryReading
    ) -> None:
        """Create the panel.

        Args:
            chat: the figures of the replies in the open chat, oldest first.
            session: the figures of the replies since the app was started, oldest first.
            memory: the memory of the device in use.
        """
        super().__init__()
        self._chat = [one for one in chat if one.new_tokens]
        self._session = [one for one in session if one.new_tokens]
        self._memory = memory

    def compose(self) -> ComposeResult:
        """Lay out the figures and the chart."""
        with Vertical(id="dialog"):
            yield Label("Statistics", classes="title")
            if not self._chat and not self._session:
                yield Label("There are no replies yet.", classes="note")
            else:
                yield from self._figures()
            yield Label(memory_text(self._memory), classes="note", markup=False)
            yield KeyHints([Hint("Esc", "close", "close")])

    def _figures(self) -> ComposeResult:
        newest = (self._session or self._chat)[-1:]
        with Grid(id="figures"):
            for heading in ("", "last reply", "this chat", "since app start"):
                yield Label(heading, classes="heading")
            for row in rows((newest, self._chat, self._session)):
                yield Label(row.name, classes="name")
                for value in row.values:
                    yield Label(value, classes="value")
        speeds = [speed for one in self._session or self._chat if (speed := one.tokens_per_s)]
        if len(speeds) > 1:
            yield Label(columns_text(speeds[-_MOST_COLUMNS:]), id="speeds")
            yield Label(
                f"tokens/s for each reply (chart starts at 0): {min(speeds):.1f} to {max(speeds):.1f}",
                classes="note",
            )


def memory_text(memory: MemoryReading) -> str:
    """Return the memory use as text, for example `RAM 8.0/24.0 GB · this app 512 MB · KV caches 30 MB`."""
    if not memory.total:
        return "The memory use is unknown."
    parts = [f"{memory.kind} {of_total(memory.used, memory.total)}"]
    for name, value in (
        ("this app", memory.own),
        ("weights", memory.weights),
        ("KV caches", memory.cache),
    ):
        if value:
            parts.append(f"{name} {bytes_text(value)}")
    return " · ".join(parts)
