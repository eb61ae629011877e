"""From blocks to lines of a width. A block is laid out without regard to its neighbours."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from tui.sanitize import sanitize, sanitize_line
from tui.widgets.markdown.blocks import (
    Block,
    Code,
    Heading,
    Item,
    Paragraph,
    Placed,
    Plain,
    Quote,
    Rule,
    TableRows,
)
from tui.widgets.markdown.highlight import highlight
from tui.widgets.markdown.lines import EMPTY_LINE, Line, Span, chop, prefixed, restyled, wrap
from tui.widgets.markdown.table_layout import lay_out_rows

_LEAST: Final = 10
"""Cells below which nested blocks are not indented any further."""
_DIGITS: Final = 3
_CODE_EDGE: Final = Span("▏ ", "fence rule")


def lay_out(
    blocks: Iterable[Placed], width: int, *, after: bool = False, numbers: bool = False
) -> list[Line]:
    """Return `blocks`, one below the other.

    Args:
        blocks: what to lay out.
        width: of the page, in cells.
        after: whether something stands above them.
        numbers: whether the lines of code are numbered.
    """
    lines: list[Line] = []
    for block, gap in ((placed.block, placed.gap) for placed in blocks):
        new = lay_out_block(block, width, numbers=numbers)
        if gap and new and (lines or after):
            lines.append(EMPTY_LINE)
        lines.extend(new)
    return lines


def lay_out_block(block: Block, width: int, *, numbers: bool = False) -> list[Line]:
    """Return one block as lines of at most `width` cells."""
    match block:
        case Paragraph(spans):
            return wrap(spans, width)
        case Heading(level, spans):
            return wrap(restyled(spans, f"heading{min(level, 4)}"), width)
        case Rule():
            return [Line((Span("─" * width, "rule"),))]
        case Code():
            return _code(block, width, numbers=numbers)
        case Plain():
            return _plain(block, width)
        case Quote(blocks):
            bar = Span("▎ ", "bar")
            return _indented(blocks, width, (bar, bar), style="quote", numbers=numbers)
        case Item(marker, blocks, style):
            edges = Span(f"{marker} ", style), Span(" " * (len(marker) + 1))
            return _indented(blocks, width, edges, numbers=numbers)
        case TableRows():
            return lay_out_rows(block, width)


def _plain(block: Plain, width: int) -> list[Line]:
    text = sanitize(block.text)
    lines = wrap([Span(text, block.style)], width)
    if block.notice:
        notice = wrap([Span(f"⚠ {block.notice}", "notice")], width)
        return [*notice, *lines]
    return lines


def _code(block: Code, width: int, *, numbers: bool) -> list[Line]:
    lines: list[Line] = []
    if block.label and block.is_first:
        label = Span(sanitize_line(block.label)[: max(1, width - 2)], "fence-label")
        lines.append(Line((_CODE_EDGE, label), fill="fence", lead=2 + len(label.text)))
    code = block.lines
    if block.awaited:
        code = highlight(["".join(span.text for span in row) for row in code], block.awaited)
    for number, spans in enumerate(code, block.first_number):
        digits = f"{number:>{_DIGITS}} " if numbers and width > 2 * _LEAST else ""
        inner = width - len(_CODE_EDGE.text) - len(digits)
        rows = chop([span._replace(style=f"fence {span.style}") for span in spans], inner)
        if digits:
            first = Span(digits, "fence line-number")
            rest = first._replace(text=" " * len(digits))
            rows = prefixed(rows, first, rest, copies=False, fill="fence")
        lines.extend(prefixed(rows, _CODE_EDGE, _CODE_EDGE, copies=False, fill="fence"))
    return lines or [Line((_CODE_EDGE,), fill="fence", lead=2)]


def _indented(
    blocks: tuple[Placed, ...],
    width: int,
    edges: tuple[Span, Span],
    *,
    style: str = "",
    numbers: bool,
) -> list[Line]:
    """Lay `blocks` out behind the first of `edges` on the first line and the second on the others."""
    first, rest = edges
    inner = width - len(first.text)
    if inner < _LEAST:
        flat = lay_out(blocks, width, numbers=numbers)
        return flat if style else [Line((first,)), *flat]
    lines = lay_out(blocks, inner, numbers=numbers) or [EMPTY_LINE]
    if style:
        lines = [replace(line, spans=restyled(line.spans, style)) for line in lines]
        return prefixed(lines, first, rest, copies=False)
    return _itemised(lines, first, rest)


def _itemised(lines: list[Line], first: Span, rest: Span) -> list[Line]:
    """Put the marker of an item before its first line; the marker is text that is copied."""
    rows = prefixed(lines, rest, rest, copies=True)
    head = rows[0]
    rows[0] = replace(head, spans=(first, *head.spans[1:]))
    return rows
