"""Plain text of any length, to read and to select from: it is folded once per width, and only the rows in sight are drawn."""

from __future__ import annotations

import re
from bisect import bisect_right
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
"""Where a row begins and ends in the text, in characters."""


class LongText(ScrollView, inherit_bindings=False, can_focus=True):
    """Shows a text as it is, spaces and all. Only keys that move up and down are taken."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(
        Scope.READER,
        does={
            "reader.up": "scroll_up",
            "reader.down": "scroll_down",
            "reader.first": "scroll_home",
            "reader.last": "scroll_end",
        },
    )
    COMPONENT_CLASSES: ClassVar[set[str]] = {"long-text--mark"}
    DEFAULT_CSS = """
    LongText {
        overflow-x: hidden; scrollbar-size-vertical: 1; scrollbar-gutter: stable;
        & > .long-text--mark { color: $text-accent; text-style: bold; }
    }
    """

    def __init__(self, text: str = "", mark: re.Pattern[str] | None = None) -> None:
        """Make the widget.

        Args:
            text: untrusted; it is made safe to show.
            mark: what to make stand out, within a line.
        """
        super().__init__()
        self._mark = mark
        self._folded_at = -1
        self._rows: list[Row] = []
        self._marks: list[Row] = []
        self._text = ""
        self.set_text(text)

    def set_text(self, text: str) -> None:
        """Show another text."""
        self._text = sanitize(text).replace("\t", _TAB)
        found = self._mark.finditer(self._text) if self._mark is not None else ()
        self._marks = [match.span() for match in found]
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
        """Draw anew, since colours may be others."""
        super().notify_style_update()
        self.refresh()

    def selection_updated(self, selection: Selection | None) -> None:  # noqa: ARG002 - Textual's
        """Draw the selection."""
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draw the row that is `y` cells below the top."""
        place = self.scroll_offset.y + y
        width = self.scrollable_content_region.width
        if place >= len(self._rows):
            return Strip.blank(width, self.rich_style)
        start, end = self._rows[place]
        row = Text(self._text[start:end], no_wrap=True, end="")
        row.stylize(self.rich_style)
        look = self.get_component_rich_style("long-text--mark", partial=True)
        first = max(0, bisect_right(self._marks, (start, start)) - 1)
        for mark_start, mark_end in self._marks[first:]:
            if mark_start >= end:
                break
            row.stylize(look, max(0, mark_start - start), max(0, mark_end - start))
        selection = self.text_selection
        if selection is not None and (span := selection.get_span(place)) is not None:
            chosen = self.screen.get_component_rich_style("screen--selection")
            row.stylize(chosen, span[0], len(row) if span[1] == -1 else span[1])
        strip = Strip(row.render(self.app.console), cell_len(row.plain))
        return strip.crop_extend(0, width, self.rich_style).apply_offsets(0, place)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """Return the selected text without the breaks that folding made."""
        start = 0 if selection.start is None else self._index(*selection.start)
        end = len(self._text) if selection.end is None else self._index(*selection.end)
        return self._text[start:end], "\n"

    def _index(self, x: int, y: int) -> int:
        if y >= len(self._rows):
            return len(self._text)
        start, end = self._rows[y]
        return min(start + x, end)


def fold(text: str, width: int) -> list[Row]:
    """Return the rows of a text that is `width` cells wide: broken after a space where there is one, else anywhere."""
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
