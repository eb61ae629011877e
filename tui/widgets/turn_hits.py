"""The matches of a search in one turn. They are numbered through the reasoning, folded or not, and then through the answer."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Final

from tui.widgets.markdown.lines import Line
from tui.widgets.markdown.search import LineHits

_SLICE_S: Final = 0.008
"""The time limit for searching a turn in one frame, in seconds."""


class TurnHits:
    """The matches of one query, found a little at a time."""

    def __init__(self, query: str = "") -> None:
        """Create it; an empty `query` has no matches."""
        self.query = query
        self.current = -1
        """The number of the current match; -1 for none."""
        self.is_searching = False
        """Whether there are lines that have not been searched yet."""
        self._thought, self._body = LineHits(query), LineHits(query)

    def search(self, thought: Sequence[Line], body: Sequence[Line]) -> None:
        """Search the lines of the reasoning and of the answer for a moment; a huge turn continues in the next frames."""
        self.is_searching = False
        if not self.query:
            return
        deadline = time.perf_counter() + _SLICE_S
        done = self._thought.update(thought, deadline) if thought else True
        self.is_searching = not (done and self._body.update(body, deadline))

    @property
    def place(self) -> tuple[str, int] | None:
        """The part with the current match, `thought` or `body`, and the row in it; None if the match was not reached."""
        thought, body = self._thought.rows, self._body.rows
        if 0 <= self.current < len(thought):
            return "thought", thought[self.current]
        if len(thought) <= self.current < len(thought) + len(body):
            return "body", body[self.current - len(thought)]
        return None

    def on_row(self, name: str, row: int) -> Iterator[tuple[int, int, int]]:
        """Yield the matches in a row of a part: first character, end, and number within the turn."""
        if not self.query or name not in ("body", "thought"):
            return
        before = len(self._thought.rows) if name == "body" else 0
        hits = self._body if name == "body" else self._thought
        for start, end, number in hits.marks.get(row, ()):
            yield start, end, before + number
