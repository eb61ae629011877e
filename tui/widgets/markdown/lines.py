"""Styled lines: a rendered text before its colors are known.

A `Line` has style names instead of colors, so that a theme change repaints without rendering again. It also
keeps what is needed to copy it as it was written rather than wrapped. This module knows nothing of Markdown or widgets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from rich.cells import cell_len, split_graphemes

from tui.dataclass import dataclass

_TABS: Final = re.compile(r"(\t)")
_TOKENS: Final = re.compile(r"[^\S\n]+|[^\s]+")
_NO_LINE_START: Final = frozenset("。、，．！？：；）」』】〉》”’…・ー,.!?:;)]}%")
_NO_LINE_END: Final = frozenset("（「『【〈《“‘([{")


class Span(NamedTuple):
    """A run of text in one style. `style` contains style names separated by spaces; see `palette`."""

    text: str
    style: str = ""
    link: str = ""
    copied: str = ""
    """The text to copy instead; empty for the text itself."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line on the screen, without the padding at its right."""

    spans: tuple[Span, ...] = ()
    fill: str = ""
    """The style of the rest of the row."""
    lead: int = 0
    """The number of layout characters at the start: indents, quote bars, padding."""
    copies_lead: bool = False
    """Whether the lead is part of the copied text, like the indent of a list."""
    joint: str | None = None
    """The source text at which this line was wrapped; None if the line ends here."""
    note: Span | None = None
    """A quiet label at the right end of the row if it fits; not part of the text."""

    @property
    def text(self) -> str:
        """The characters of the line."""
        return "".join(span.text for span in self.spans)

    @property
    def is_drawn(self) -> bool:
        """Whether the line contains only drawn lines, such as the one below the head of a table."""
        return bool(self.spans) and all(span.style.endswith("rule") for span in self.spans)


EMPTY_LINE: Final = Line()
_TAB: Final = 4


def expand_tabs(spans: Sequence[Span]) -> Sequence[Span]:
    """Return `spans` with every tab expanded to spaces, because a terminal would jump. They are copied as tabs."""
    if not any("\t" in span.text for span in spans):
        return spans
    expanded: list[Span] = []
    column = 0
    for span in spans:
        for piece in _TABS.split(span.text):
            if piece == "\t":
                spaces = " " * (_TAB - column % _TAB)
                expanded.append(span._replace(text=spaces, copied=piece))
                column += len(spaces)
            elif piece:
                expanded.append(span._replace(text=piece))
                row = piece.rpartition("\n")
                column = cell_len(row[2]) + (0 if row[1] else column)
    return expanded


def restyled(spans: Iterable[Span], style: str) -> tuple[Span, ...]:
    """Return `spans` with `style` under their own styles."""
    if not style:
        return tuple(spans)
    return tuple(
        span._replace(style=f"{style} {span.style}" if span.style else style) for span in spans
    )


def prefixed(
    lines: Sequence[Line], first: Span, rest: Span, *, copies: bool, fill: str = ""
) -> list[Line]:
    """Return `lines` with `first` before the first of them and `rest` before the others."""
    result = []
    for line in lines:
        result.append(
            replace(
                line,
                spans=(first, *line.spans) if first.text else line.spans,
                lead=line.lead + len(first.text),
                copies_lead=copies and (line.copies_lead or not line.lead),
                fill=line.fill or fill,
            )
        )
        first = rest
    return result


def slice_spans(spans: Sequence[Span], start: int, end: int) -> Iterator[Span]:
    """Yield the part of `spans` between the characters `start` and `end`."""
    position = 0
    for span in spans:
        stop = position + len(span.text)
        if stop > start and position < end:
            text = span.text[max(0, start - position) : end - position]
            if text:
                whole = len(text) == len(span.text)
                yield span if whole else span._replace(text=text, copied="")
        position = stop
        if position >= end:
            return


def clipped_spans(spans: Sequence[Span], width: int) -> list[Span]:
    """Return `spans` truncated to `width` cells, with an ellipsis if anything was cut."""
    text = "".join(span.text for span in spans)
    if cell_len(text) <= width:
        return list(spans)
    end, used = 0, 0
    for start, stop, cells in split_graphemes(text)[0]:
        if used + cells > width - 1:
            end = start
            break
        used += cells
        end = stop
    kept = list(slice_spans(spans, 0, end))
    if width > 0:
        kept.append(Span("…", kept[-1].style if kept else ""))
    return kept


class _Break(NamedTuple):
    start: int
    end: int
    joint: str | None


def _breaks(text: str, width: int) -> list[_Break]:
    """Return the positions at which `text`, a single line, breaks into lines of at most `width` cells."""
    breaks: list[_Break] = []
    start, used = 0, 0
    for match in _TOKENS.finditer(text):
        token, begin, end = match[0], match.start(), match.end()
        cells = cell_len(token)
        if used + cells <= width:
            used += cells
            continue
        if token[0].isspace():
            breaks.append(_Break(start, begin, token))
            start, used = end, 0
            continue
        pieces = list(_pieces(token)) if cells > width or not token.isascii() else [(token, cells)]
        for piece, size in pieces:
            if used and used + size > width:
                stripped = len(text[start:begin].rstrip())
                breaks.append(_Break(start, start + stripped, text[start + stripped : begin]))
                start, used = begin, 0
            used += size
            begin += len(piece)
            if used > width:
                start, used = _split_long(text, start, begin, width, breaks)
    if start < len(text) or not breaks:
        breaks.append(_Break(start, len(text), None))
    else:
        breaks[-1] = breaks[-1]._replace(joint=None)
    return breaks


def _split_long(
    text: str, start: int, end: int, width: int, breaks: list[_Break]
) -> tuple[int, int]:
    """Break `text[start:end]`, which has no better place, between any two graphemes."""
    piece = text[start:end]
    if piece.isascii():
        for position in range(start, end - width, width):
            breaks.append(_Break(position, position + width, ""))
            start = position + width
        return start, end - start
    offset, used = start, 0
    for begin, _, cells in split_graphemes(piece)[0]:
        if used and used + cells > width:
            breaks.append(_Break(start, offset + begin, ""))
            start, used = offset + begin, 0
        used += cells
    return start, used


def _pieces(token: str) -> Iterator[tuple[str, int]]:
    """Split a word where a line may break within it: around wide characters, as is usual in CJK text."""
    if token.isascii():
        yield token, len(token)
        return
    piece, size, wide_before = "", 0, False
    for start, end, cells in split_graphemes(token)[0]:
        grapheme = token[start:end]
        wide = cells > 1
        if (
            piece
            and (wide or wide_before)
            and grapheme[0] not in _NO_LINE_START
            and piece[-1] not in _NO_LINE_END
        ):
            yield piece, size
            piece, size = "", 0
        piece += grapheme
        size += cells
        wide_before = wide
    if piece:
        yield piece, size


def wrap(spans: Sequence[Span], width: int) -> list[Line]:
    """Return `spans` as lines of at most `width` cells; newlines in them are kept."""
    width = max(1, width)
    spans = expand_tabs(spans)
    text = "".join(span.text for span in spans)
    breaks: list[_Break] = []
    offset = 0
    for row in text.split("\n"):
        for start, end, joint in _row_breaks(row, width):
            breaks.append(_Break(offset + start, offset + end, joint))
        offset += len(row) + 1
    return _cut(spans, breaks)


def _cut(spans: Sequence[Span], breaks: Sequence[_Break]) -> list[Line]:
    """Return the lines into which `breaks`, in order, cut `spans`. Each span is visited once per line."""
    lines: list[Line] = []
    number = position = 0
    for start, end, joint in breaks:
        while number < len(spans) and position + len(spans[number].text) <= start:
            position += len(spans[number].text)
            number += 1
        last, stop = number, position
        while last < len(spans) and stop < end:
            stop += len(spans[last].text)
            last += 1
        cut = slice_spans(spans[number:last], start - position, end - position)
        if joint:
            # A tab at which the line was wrapped is copied as a tab, like any other.
            near = spans[number : last + len(joint)]
            gap = slice_spans(near, end - position, end - position + len(joint))
            joint = "".join(span.copied or span.text for span in gap)
        lines.append(Line(tuple(cut), joint=joint))
    return lines


def _row_breaks(row: str, width: int) -> Sequence[_Break]:
    if len(row) * 2 <= width or cell_len(row) <= width:
        return (_Break(0, len(row), None),)
    return _breaks(row, width)


def chop(spans: Sequence[Span], width: int) -> list[Line]:
    """Return one line of code as lines of exactly `width` cells, except the last; spaces are kept."""
    width = max(2, width)
    spans = expand_tabs(spans)
    text = "".join(span.text for span in spans)
    if len(text) * 2 <= width or cell_len(text) <= width:
        return [Line(tuple(spans))]
    breaks: list[_Break] = []
    start, _ = _split_long(text, 0, len(text), width, breaks)
    breaks.append(_Break(start, len(text), None))
    return _cut(spans, breaks)


def copied_text(lines: Sequence[Line], first: int, last: int, start: int, end: int | None) -> str:
    """Return the text to copy from the character `start` of line `first` to `end` of line `last`.

    Wrapped lines are joined, and layout such as quote bars is left out. `end` None means the end of the line.
    """
    parts: list[str] = []
    joined = False
    for number in range(first, min(last, len(lines) - 1) + 1):
        line = lines[number]
        if first < number < last and line.is_drawn:
            continue
        text = line.text
        begin = max(0, start) if number == first else 0
        if joined or not line.copies_lead:
            begin = max(begin, line.lead)
        stop = end if number == last and end is not None else len(text)
        cut = slice_spans(line.spans, begin, stop)
        parts.append("".join(span.copied or span.text for span in cut))
        if number < last:
            parts.append("\n" if line.joint is None else line.joint)
        joined = line.joint is not None
    return "".join(parts)


def span_at(line: Line, x: int) -> tuple[Span, int] | None:
    """Return the span under cell `x` of a line, and the cell within that span."""
    if x < 0:
        return None
    for span in line.spans:
        cells = cell_len(span.text)
        if x < cells:
            return span, x
        x -= cells
    return None
