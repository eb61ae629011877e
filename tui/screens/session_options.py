"""The options of the list of chats: the chats and matches for the typed words. No widgets but the options."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Sequence
from typing import Final

from textual.content import Content
from textual.widgets.option_list import Option

from tui.screens.session_rows import chat_row, hit_row
from tui.sessions import SearchHit, SessionSummary

_HEADING: Final = "heading"
_HIT: Final = "hit-"


class SessionOptions:
    """Creates options, and reuses each until its chat changes."""

    def __init__(self, current: str, drafts: Container[str] = ()) -> None:
        """Create it.

        Args:
            current: the ID of the open chat.
            drafts: the IDs of the chats that hold a draft. The draft of the open chat is on the screen, and not marked.
        """
        self._current = current
        self._drafts = drafts
        self._width = 0
        self._rows: dict[SessionSummary, Option] = {}

    def chats(
        self, chats: Iterable[SessionSummary], typed: str, titled: Collection[str], width: int
    ) -> list[Option]:
        """Return options for the chats whose titles or tags contain the typed words, and for those in `titled`.

        Args:
            chats: all chats.
            typed: the typed words.
            titled: the IDs of chats to include in any case.
            width: the width of a row in cells.
        """
        if width != self._width:
            self._width = width
            self._rows.clear()
        words = typed.casefold().split()
        return [self._row(one) for one in chats if one.id in titled or _fits(one, words)]

    def _row(self, summary: SessionSummary) -> Option:
        row = self._rows.get(summary)
        if row is None:
            is_current = summary.id == self._current
            has_draft = not is_current and summary.id in self._drafts
            prompt = chat_row(summary, self._width, is_current=is_current, has_draft=has_draft)
            row = self._rows[summary] = Option(prompt, id=summary.id)
        return row


def hit_options(hits: Sequence[SearchHit], known: Collection[str], *, is_old: bool) -> list[Option]:
    """Return options for matches in texts, under a heading.

    Args:
        hits: the matches; `hit_of` returns the match of an option.
        known: the IDs of the existing chats.
        is_old: whether the search words have changed since.
    """
    rows = [
        Option(hit_row(hit, is_old=is_old), id=f"{_HIT}{place}", disabled=is_old)
        for place, hit in enumerate(hits)
        if hit.turn_id is not None and hit.session_id in known
    ]
    if rows:
        heading = Content.styled("   In the text", "bold $text-muted")
        rows.insert(0, Option(heading, id=_HEADING, disabled=True))
    return rows


def hit_of(hits: Sequence[SearchHit], option_id: str) -> SearchHit | None:
    """Return the match that an option stands for; None for a chat."""
    place = option_id.removeprefix(_HIT)
    return hits[int(place)] if place != option_id else None


def _fits(summary: SessionSummary, words: Sequence[str]) -> bool:
    if not words:
        return True
    text = f"{summary.title} {' '.join('#' + tag for tag in summary.tags)}".casefold()
    return all(word in text for word in words)
