"""The texts of a chat's turns as displayed, so that a search counts what it will highlight.

Markup is not part of the displayed text, so a turn has to be laid out before it can be searched. The result is cached. A chat
that is too long to be laid out at once is estimated from its source until all of it has been laid out.
"""

from __future__ import annotations

import re
import time
from collections.abc import Container, Iterable
from typing import Final, NamedTuple

from tui.conversation import ASSISTANT
from tui.sanitize import sanitize
from tui.widgets.markdown.document import LiveDocument
from tui.widgets.markdown.search import fold, shown_text
from tui.widgets.shown_turn import ShownTurn, ViewState, text_widths

_LONGEST: Final = 60_000
"""In longer turns, in characters, the source is searched, because laying them out would block the screen."""
_MARKUP: Final = re.compile(r"[*_`~\[\]\\]+")


class _Text(NamedTuple):
    """The two texts of a turn, folded for searching, and what they were built from."""

    source: tuple[object, ...]
    reasoning: str
    body: str


class Hits(NamedTuple):
    """The number of matches in a turn."""

    reasoning: int
    body: int

    @property
    def total(self) -> int:
        """The number of all matches."""
        return self.reasoning + self.body


class ShownTexts:
    """Caches the displayed texts of turns by their ID."""

    def __init__(self) -> None:
        self._texts: dict[str, _Text] = {}

    def hits(self, turn: ShownTurn, state: ViewState, width: int, query: str) -> Hits:
        """Return the number of matches of `query` in a turn displayed in a pane of `width` cells."""
        text = self._text(turn, state, width)
        needle = fold(query)
        return Hits(text.reasoning.count(needle), text.body.count(needle))

    def likely_hits(self, turn: ShownTurn, state: ViewState, width: int, query: str) -> int:
        """Return the same without any layout: from the source if the displayed text isn't cached."""
        if self._is_known(turn, state, width):
            return self.hits(turn, state, width, query).total
        needle, source = fold(query), fold(f"{turn.reasoning}\n{turn.text}")
        return max(source.count(needle), _MARKUP.sub("", source).count(needle))

    def learn(
        self, turns: Iterable[tuple[ShownTurn, ViewState]], width: int, budget_s: float
    ) -> bool:
        """Lay out turns for about `budget_s` seconds; return whether all of them are cached now."""
        deadline = time.perf_counter() + budget_s
        for turn, state in turns:
            if not self._is_known(turn, state, width):
                if time.perf_counter() > deadline:
                    return False
                self._text(turn, state, width)
        return True

    def keep(self, turn_ids: Container[str]) -> None:
        """Drop the texts of all other turns."""
        self._texts = {key: text for key, text in self._texts.items() if key in turn_ids}

    @staticmethod
    def _source(turn: ShownTurn, state: ViewState, width: int) -> tuple[object, ...]:
        return turn.text, turn.reasoning, turn.role, turn.status, state.raw, width

    def _is_known(self, turn: ShownTurn, state: ViewState, width: int) -> bool:
        known = self._texts.get(turn.id)
        return known is not None and known.source == self._source(turn, state, width)

    def _text(self, turn: ShownTurn, state: ViewState, width: int) -> _Text:
        if not self._is_known(turn, state, width):
            for_body, for_reasoning = text_widths(width)
            verbatim = turn.role != ASSISTANT
            body = sanitize(turn.text).expandtabs(4)
            if not state.raw:
                body = _readable(turn.text, for_body, verbatim=verbatim)
            reasoning = _readable(turn.reasoning, for_reasoning, verbatim=False)
            source = self._source(turn, state, width)
            self._texts[turn.id] = _Text(source, fold(reasoning), fold(body))
        return self._texts[turn.id]


def _readable(text: str, width: int, *, verbatim: bool) -> str:
    if len(text) > _LONGEST:
        return sanitize(text)
    return shown_text(LiveDocument(text, verbatim=verbatim).lines(width))
