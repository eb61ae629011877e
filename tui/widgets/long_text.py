"""Plain text of any length, to read and to select from. It is folded once per width, and only visible rows are drawn."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import ClassVar, Final

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.binding import BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from tui.sanitize import sanitize
from tui.scopes import Scope
from tui.widgets.bindings import bindings

_TAB: Final = "    "
Row = tuple[int, int]
"""The start and end of a row in the text, in characters."""


class LongText(ScrollView, inherit_bindings=False, can_focus=True):
    """Shows a text as it is, including spaces. Handles only keys that move up and down."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(
        Scope.READER,
        does={
            "reader.up": "scroll_up",
            "reader.down": "scroll_down",
            "reader.first": "scroll_home",
            "reader.last": "scroll_end",
        },
    )
    COMPONENT_CLASSES: ClassVar[set[str]] = {"long-text--mark", "long-text--even", "long-text--odd"}
    DEFAULT_CSS = """
    LongText {
        overflow-x: hidden; scrollbar-size-vertical: 1; scrollbar-gutter: stable;
        & > .long-text--mark { color: $text-accent; text-style: bold; }
        & > .long-text--even { background: $primary 15%; }
        & > .long-text--odd { background: $foreground 10%; }
    }
    """

    def __init__(self, text: str = "", mark: re.Pattern[str] | None = None) -> None:
        """Create the widget.

        Args:
            text: the text, untrusted; it is made safe to show.
            mark: the pattern to highlight within a line.
        """
        super().__init__()
        self._mark = mark
        self._folded_at = -1
        self._rows: list[Row] = []
        self._marks: list[Row] = []
        self._looks: tuple[str, ...] = ("long-text--mark",)
        self._text = ""
        self.set_text(text)

    def set_text(self, text: str) -> None:
        """Show another text."""
        text = _shown(text)
        found = self._mark.finditer(text) if self._mark is not None else ()
        self._show(text, [match.span() for match in found], "long-text--mark")

    def set_pieces(self, pieces: Sequence[str]) -> None:
        """Show a text that is cut into pieces, on two alternating backgrounds. Without colors, the edges are drawn."""
        shown = [_shown(piece).replace("\n", "⏎\n") for piece in pieces]
        if self.app.no_color or self.app.has_class("-plain"):
            self._show("|".join(shown), [], "long-text--even")
            return
        ends = list(accumulate(map(len, shown)))
        spans = list(zip([0, *ends], ends, strict=False))
        self._show("".join(shown), spans, "long-text--even", "long-text--odd")

    def _show(self, text: str, marks: list[Row], *looks: str) -> None:
        self._text, self._marks, self._looks = text, marks, looks
        self._folded_at = -1
        if self.is_mounted:
            self._fold()
            self.refresh()

    def _fold(self) -> None:
        width = self.scrollable_content_region.width
        if width > 0 and width != self._folded_at:
            self._folded_at = width
            self._rows = fold(self._text, width)
            self.virtual_size = Size(width, len(self._rows))

    def on_resize(self, _event: events.Resize) -> None:
        """Fold the text to the new width."""
        self._fold()

    def notify_style_update(self) -> None:
        """Redraw, because colors may have changed."""
        super().notify_style_update()
        self.refresh()

    def selection_updated(self, selection: Selection | None) -> None:  # noqa: ARG002 - Textual's
        """Draw the selection."""
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draw the row `y` cells below the top."""
        place = self.scroll_offset.y + y
        width = self.scrollable_content_region.width
        if place >= len(self._rows):
            return Strip.blank(width, self.rich_style)
        start, end = self._rows[place]
        row = Text(self._text[start:end], no_wrap=True, end="")
        row.stylize(self.rich_style)
        looks = [self.get_visual_style(name).rich_style for name in self._looks]
        first = max(0, bisect_right(self._marks, (start, start)) - 1)
        for number in range(first, len(self._marks)):
            mark_start, mark_end = self._marks[number]
            if mark_start >= end:
                break
            look = looks[number % len(looks)]
            row.stylize(look, max(0, mark_start - start), max(0, mark_end - start))
        selection = self.text_selection
        if selection is not None and (span := selection.get_span(place)) is not None:
            chosen = self.screen.get_component_rich_style("screen--selection")
            row.stylize(chosen, span[0], len(row) if span[1] == -1 else span[1])
        strip = Strip(row.render(self.app.console), cell_len(row.plain))
        return strip.crop_extend(0, width, self.rich_style).apply_offsets(0, place)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """Return the selected text without the line breaks added by folding."""
        start = 0 if selection.start is None else self._index(*selection.start)
        end = len(self._text) if selection.end is None else self._index(*selection.end)
        return self._text[start:end], "\n"

    def _index(self, x: int, y: int) -> int:
        if y >= len(self._rows):
            return len(self._text)
        start, end = self._rows[y]
        return min(start + x, end)


def _shown(text: str) -> str:
    return sanitize(text).replace("\t", _TAB)


def fold(text: str, width: int) -> list[Row]:
    """Return the rows of a text at a width of `width` cells, broken after spaces where possible."""
    rows: list[Row] = []
    at = 0
    for line in text.split("\n"):
        if len(line) <= width and (line.isascii() or cell_len(line) <= width):
            rows.append((at, at + len(line)))
        else:
            rows.extend((at + start, at + end) for start, end in _fold_line(line, width))
        at += len(line) + 1
    return rows


def _fold_line(line: str, width: int) -> list[Row]:
    ends = None if line.isascii() else list(accumulate(map(cell_len, line)))
    rows: list[Row] = []
    start = 0
    while start < len(line):
        if ends is None:
            end = start + width
        else:
            used = ends[start - 1] if start else 0
            end = max(start + 1, bisect_right(ends, used + width, start))
        if end < len(line):
            space = line.rfind(" ", start, end)
            end = space + 1 if space > start else end
        rows.append((start, min(end, len(line))))
        start = end
    return rows
