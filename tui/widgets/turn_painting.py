"""Paints the lines of a turn on rows of the screen: the edge with its glyphs, the background, the caret. Makes no layout
decisions.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from textual.strip import Strip

from tui.conversation import ASSISTANT, USER
from tui.widgets.markdown.lines import Line, Span
from tui.widgets.markdown.painting import Layers, Mark, paint
from tui.widgets.markdown.palette import Palette
from tui.widgets.shown_turn import GUTTER, THOUGHT_BAR, margin, text_widths

_GLYPHS: Final = {USER: "❯", ASSISTANT: "●"}
_MOST_STRIPS: Final = 400
"""The number of painted rows that are cached."""


class RowLook(NamedTuple):
    """Everything that a row's look depends on, besides its line and the theme.

    Attributes:
        part: the name of its part of the turn.
        role: the role of the turn.
        width: the width of the pane in cells.
        is_selected: whether the turn is under the cursor.
        is_marked: whether the row is in the selected block.
        in_context: whether the model sees the turn.
        caret: the caret at the end of a text that is being written; empty for none.
    """

    part: str
    role: str
    width: int
    is_selected: bool
    is_marked: bool
    in_context: bool
    caret: str = ""

    @property
    def layers(self) -> Layers:
        """The styles under and over the styles of the line."""
        under = "user" if self.role == USER else "thinking" if self.part == "thought" else ""
        over = f"{'' if self.in_context else 'faded'} {'marked' if self.is_marked else ''}"
        return Layers(under, over)

    @property
    def gutter(self) -> list[Span]:
        """The spans before the line."""
        mark = Span("▌", "cursor") if self.is_selected else Span(" ")
        glyph = Span(" ")
        if self.is_marked:
            glyph = Span("┃", "cursor")
        elif self.part == "head":
            kind = self.role if self.role in _GLYPHS else "other"
            glyph = Span(_GLYPHS.get(self.role, "◆"), f"label-{kind}")
        elif self.role == USER:
            glyph = Span("│", "bar-user")
        bar = [Span(THOUGHT_BAR, "bar")] if self.part == "thought" else []
        return [mark, glyph, Span(" "), *bar]


def indent_of(look: RowLook) -> int:
    """Return the number of cells before the line's first cell."""
    return margin(look.width) + sum(len(span.text) for span in look.gutter)


class RowPainter:
    """Paints rows, and caches those that are likely to be painted again unchanged."""

    def __init__(self, palette: Palette) -> None:
        self._palette = palette
        self._strips: dict[int, tuple[Line, RowLook, int, Strip]] = {}

    def clear(self) -> None:
        """Drop the cached rows."""
        self._strips.clear()

    def strip(self, y: int, line: Line, look: RowLook) -> Strip:
        """Return row `y` of the turn."""
        known, version = self._strips.get(y), self._palette.version
        if known is None or known[0] is not line or known[1:3] != (look, version):
            if len(self._strips) > _MOST_STRIPS:
                self._strips.clear()
            known = self._strips[y] = (line, look, version, self.marked(y, line, look, ()))
        return known[3]

    def blank(self, width: int) -> Strip:
        """Return an empty row between two turns."""
        return Strip.blank(width, self._palette.style(""))

    def marked(self, y: int, line: Line, look: RowLook, marks: tuple[Mark, ...]) -> Strip:
        """Return row `y` of the turn with `marks` over its text."""
        left, gutter, layers = margin(look.width), look.gutter, look.layers
        indent = sum(len(span.text) for span in gutter)
        # One cell more than the text may take, so that the background does not end at the last letter.
        room = min(text_widths(look.width)[0] + GUTTER + 1, look.width - left) - indent
        if look.caret:
            end = sum(cell_len(span.text) for span in line.spans)
            if end + cell_len(look.caret) <= room:
                caret = Span(look.caret, f"{line.fill} caret".strip())
                line = Line((*line.spans, caret), line.fill, note=line.note)
        row = [
            *paint(Line((Span(" " * left),)), self._palette, left, Layers()),
            *paint(Line(tuple(gutter)), self._palette, indent, layers),
            *paint(line, self._palette, room, layers, marks),
        ]
        used = left + indent + room
        if used < look.width:
            row.append(Segment(" " * (look.width - used), self._palette.style("")))
        strip = Strip(row, max(look.width, used))
        return strip.apply_offsets(-left - indent, y)
