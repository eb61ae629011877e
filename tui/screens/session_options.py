"""The options of the list of chats: which chats and places fit what was typed. No widgets but the options themselves."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from textual.content import Content
from textual.widgets.option_list import Option

from tui.screens.session_rows import chat_row, hit_row
from tui.sessions import SearchHit, SessionSummary

_HEADING: Final = "heading"
_HIT: Final = "hit-"


class SessionOptions:
    """Makes options, each once for as long as its chat stays as it is."""

    def __init__(self, current: str) -> None:
        """Make it.

        Args:
            current: the id of the chat that is open.
        """
        self._current = current
        self._rows: dict[SessionSummary, Option] = {}

    def chats(
        self, chats: Iterable[SessionSummary], typed: str, titled: Collection[str]
    ) -> list[Option]:
        """Return options for the chats whose titles or tags have the words that were typed, or that are named.

        Args:
            chats: all of them.
            typed: the words.
            titled: ids of chats that fit in any case.
        """
        words = typed.casefold().split()
        return [self._row(one) for one in chats if one.id in titled or _fits(one, words)]

    def _row(self, summary: SessionSummary) -> Option:
        row = self._rows.get(summary)
        if row is None:
            prompt = chat_row(summary, is_current=summary.id == self._current)
            row = self._rows[summary] = Option(prompt, id=summary.id)
        return row


def hit_options(hits: Sequence[SearchHit], known: Collection[str], *, is_old: bool) -> list[Option]:
    """Return options for the places that were found in texts, under a heading.

    Args:
        hits: what was found; `hit_of` gives the one of an option.
        known: the ids of the chats that there are.
        is_old: whether other words are searched for by now.
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
    """Return the place that an option stands for; None for a chat."""
    place = option_id.removeprefix(_HIT)
    return hits[int(place)] if place != option_id else None


def _fits(summary: SessionSummary, words: Sequence[str]) -> bool:
    if not words:
        return True
    text = f"{summary.title} {' '.join('#' + tag for tag in summary.tags)}".casefold()
    return all(word in text for word in words)
