"""Paints a styled line on a row of the screen: colors, padding, marked ranges. Makes no layout decisions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from textual.style import Style

from tui.widgets.markdown.lines import Line, Span, slice_spans
from tui.widgets.markdown.palette import Palette


class Mark(NamedTuple):
    """A range of characters to highlight, such as a selection; an `end` of -1 is the end of the line."""

    start: int
    end: int
    style: Style


class Layers(NamedTuple):
    """Style names under and over the styles of a line."""

    under: str = ""
    over: str = ""

    def around(self, style: str) -> str:
        """Return `style` between the layers."""
        return f"{self.under} {style} {self.over}"


def paint(
    line: Line, palette: Palette, width: int, layers: Layers, marks: Iterable[Mark] = ()
) -> list[Segment]:
    """Return `line` as segments that fill `width` cells in the colors of `palette`."""
    segments: list[Segment] = []
    used = 0
    for spans, over in _pieces(line, marks):
        for span in spans:
            segments.append(Segment(span.text, palette.style(layers.around(span.style), over)))
            used += cell_len(span.text)
    note = line.note
    if note is not None and used + cell_len(note.text) + 2 <= width:
        end = cell_len(note.text) + 1
        fill = palette.style(layers.around(line.fill))
        segments.append(Segment(" " * (width - used - end), fill))
        segments.append(Segment(note.text, palette.style(layers.around(note.style))))
        segments.append(Segment(" ", fill))
    elif used < width:
        segments.append(Segment(" " * (width - used), palette.style(layers.around(line.fill))))
    return segments


def _pieces(line: Line, marks: Iterable[Mark]) -> Iterator[tuple[Iterable[Span], Style | None]]:
    over = _marked(len(line.text), marks)
    if all(style is None for style in over):
        yield line.spans, None
        return
    start = 0
    for span in line.spans:
        position = 0
        for style, run in groupby(over[start : start + len(span.text)]):
            end = position + len(list(run))
            yield slice_spans([span], position, end), style
            position = end
        start += position


def _marked(length: int, marks: Iterable[Mark]) -> list[Style | None]:
    """Return the style over each character of a line. If marks overlap, the last one applies."""
    over: list[Style | None] = [None] * length
    for start, end, style in marks:
        start, end = max(0, start), length if end < 0 else min(end, length)
        over[start:end] = [style] * (end - start)
    return over
