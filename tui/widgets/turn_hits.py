"""What a search found in one turn: hits are counted through the reasoning, folded or not, and on through the answer."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Final

from tui.widgets.markdown.lines import Line
from tui.widgets.markdown.search import LineHits

_SLICE_S: Final = 0.008
"""Seconds that a search in a turn may take in one frame."""


class TurnHits:
    """The hits of one query, looked for a little at a time."""

    def __init__(self, query: str = "") -> None:
        """Make it; an empty `query` has no hits."""
        self.query = query
        self.current = -1
        """The number of the hit that the reader is at; -1 for none."""
        self.is_searching = False
        """Whether there are lines that were not looked at yet."""
        self._thought, self._body = LineHits(query), LineHits(query)

    def search(self, thought: Sequence[Line], body: Sequence[Line]) -> None:
        """Look through the lines of the reasoning and of the answer for a moment; in a huge turn the next frames go on."""
        self.is_searching = False
        if not self.query:
            return
        deadline = time.perf_counter() + _SLICE_S
        done = self._thought.update(thought, deadline) if thought else True
        self.is_searching = not (done and self._body.update(body, deadline))

    @property
    def place(self) -> tuple[str, int] | None:
        """Which part the current hit is in, `thought` or `body`, and its row there; None where it was not come to."""
        thought, body = self._thought.rows, self._body.rows
        if 0 <= self.current < len(thought):
            return "thought", thought[self.current]
        if len(thought) <= self.current < len(thought) + len(body):
            return "body", body[self.current - len(thought)]
        return None

    def on_row(self, name: str, row: int) -> Iterator[tuple[int, int, int]]:
        """Yield the hits in a row of a part: first character, end and number within the turn."""
        if not self.query or name not in ("body", "thought"):
            return
        before = len(self._thought.rows) if name == "body" else 0
        hits = self._body if name == "body" else self._thought
        for start, end, number in hits.marks.get(row, ()):
            yield start, end, before + number
