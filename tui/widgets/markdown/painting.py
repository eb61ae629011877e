"""Puts a styled line on a row of the screen: colours, padding, marked ranges. Decides nothing about layout."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from textual.style import Style

from tui.widgets.markdown.lines import Line, Span, slice_spans
from tui.widgets.markdown.palette import Palette


class Mark(NamedTuple):
    """A range of characters of a line that is drawn over, such as a selection; `end` -1 is the end of the line."""

    start: int
    end: int
    style: Style


class Layers(NamedTuple):
    """Style names that lie under and over the styles of a line."""

    under: str = ""
    over: str = ""

    def around(self, style: str) -> str:
        """Return `style` between the layers."""
        return f"{self.under} {style} {self.over}"


def paint(
    line: Line, palette: Palette, width: int, layers: Layers, marks: Iterable[Mark] = ()
) -> list[Segment]:
    """Return `line` as segments that fill `width` cells in the colours of `palette`."""
    segments: list[Segment] = []
    used = 0
    for spans, over in _pieces(line, marks):
        for span in spans:
            segments.append(Segment(span.text, palette.style(layers.around(span.style), over)))
            used += cell_len(span.text)
    if used < width:
        segments.append(Segment(" " * (width - used), palette.style(layers.around(line.fill))))
    return segments


def _pieces(line: Line, marks: Iterable[Mark]) -> Iterator[tuple[Iterable[Span], Style | None]]:
    found = list(marks)
    if not found:
        yield line.spans, None
        return
    for start, end, over in _ranges(line, found):
        yield slice_spans(line.spans, start, end), over


def _ranges(line: Line, marks: Iterable[Mark]) -> list[tuple[int, int, Style | None]]:
    """Cut a line at the edges of its marks; where marks overlap, the last one wins."""
    length = len(line.text)
    found = [
        (max(0, start), length if end < 0 else min(end, length), style)
        for start, end, style in marks
    ]
    found = [mark for mark in found if mark[0] < mark[1]]
    if not found:
        return [(0, length, None)]
    edges = sorted({0, length, *(m[0] for m in found), *(m[1] for m in found)})
    ranges: list[tuple[int, int, Style | None]] = []
    for start, end in pairwise(edges):
        over = [style for begin, stop, style in found if begin <= start and end <= stop]
        ranges.append((start, end, over[-1] if over else None))
    return ranges
