"""The source of a text as lines, wrapped and otherwise as it was written; cheap while the text grows."""

from __future__ import annotations

from tui.sanitize import sanitize
from tui.widgets.markdown.document import Lines
from tui.widgets.markdown.lines import Line, Span, wrap


class RawText:
    """Lays a growing source out; complete lines are wrapped once."""

    def __init__(self) -> None:
        self._width = 0
        self._upto = 0
        self._settled: list[Line] = []

    def lines(self, source: str, width: int) -> Lines:
        """Return `source`, which only grows from one call to the next, at `width` cells."""
        if width != self._width:
            self._width, self._upto, self._settled = width, 0, []
        end = source.rfind("\n") + 1
        if end > self._upto:
            self._settled.extend(self._wrapped(source[self._upto : end - 1]))
            self._upto = end
        return Lines(self._settled, self._wrapped(source[end:]))

    def _wrapped(self, text: str) -> list[Line]:
        return wrap([Span(sanitize(text), "raw")], self._width)
