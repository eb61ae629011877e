"""From blocks to lines of a given width. A block is laid out independently of its neighbors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from rich.cells import cell_len

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
from tui.widgets.markdown.highlight import plain_rows
from tui.widgets.markdown.lines import EMPTY_LINE, Line, Span, chop, prefixed, restyled, wrap
from tui.widgets.markdown.table_layout import lay_out_rows

_LEAST: Final = 10
"""Nested blocks are not indented further than this, in cells."""
_DIGITS: Final = 3
_AIR: Final = 2
"""The least space, in cells, between a line of code and the language beside it."""
_CODE_EDGE: Final = Span("▏ ", "fence rule")
_BAR: Final = Span("▎ ", "bar")


class _Row:
    """A line on its way out of the quotes and lists around it. Their prefixes are joined once, at the end."""

    __slots__ = ("edges", "line")

    def __init__(self, line: Line) -> None:
        self.line = line
        self.edges: list[tuple[Span, bool]] = []
        """The prefixes of the line, from the innermost, and whether a quote added each of them."""

    def as_line(self) -> Line:
        if not self.edges:
            return self.line
        spans = self.line.spans
        style = "quote" if any(is_quote for _, is_quote in self.edges) else ""
        before: list[Span] = []
        in_quote = False
        for edge, is_quote in reversed(self.edges):
            if edge.text:
                before.extend(restyled([edge], "quote" if in_quote else ""))
            in_quote = in_quote or is_quote
        lead = self.line.lead
        return Line(
            (*before, *restyled(spans, style)),
            self.line.fill,
            lead + sum(len(edge.text) for edge in before),
            not style and (self.line.copies_lead or not lead),
            self.line.joint,
            self.line.note,
        )


def lay_out(
    blocks: Iterable[Placed], width: int, *, after: bool = False, numbers: bool = False
) -> list[Line]:
    """Return `blocks` as lines.

    Args:
        blocks: what to lay out.
        width: the width of the page in cells.
        after: whether there is something above them.
        numbers: whether the lines of code are numbered.
    """
    return [row.as_line() for row in _rows(blocks, width, after=after, numbers=numbers)]


def _rows(
    blocks: Iterable[Placed], width: int, *, after: bool = False, numbers: bool
) -> list[_Row]:
    rows: list[_Row] = []
    for placed in blocks:
        new = _block_rows(placed.block, width, numbers=numbers)
        if placed.gap and new and (rows or after):
            rows.append(_Row(EMPTY_LINE))
        rows.extend(new)
    return rows


def _block_rows(block: Block, width: int, *, numbers: bool) -> list[_Row]:
    match block:
        case Quote(blocks):
            return _indented(blocks, width, (_BAR, _BAR), is_quote=True, numbers=numbers)
        case Item(marker, blocks, style):
            edges = Span(f"{marker} ", style), Span(" " * (len(marker) + 1))
            return _indented(blocks, width, edges, is_quote=False, numbers=numbers)
        case _:
            return [_Row(line) for line in _leaf(block, width, numbers=numbers)]


def _leaf(
    block: Paragraph | Heading | Rule | Code | Plain | TableRows, width: int, *, numbers: bool
) -> list[Line]:
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
    code = plain_rows(block.lines) if block.rows is None else block.rows
    for number, spans in enumerate(code, block.first_number):
        digits = f"{number:>{_DIGITS}} " if numbers and width > 2 * _LEAST else ""
        inner = width - len(_CODE_EDGE.text) - len(digits)
        rows = chop([span._replace(style=f"fence {span.style}") for span in spans], inner)
        if digits:
            first = Span(digits, "fence line-number")
            rest = first._replace(text=" " * len(digits))
            rows = prefixed(rows, first, rest, copies=False, fill="fence")
        lines.extend(prefixed(rows, _CODE_EDGE, _CODE_EDGE, copies=False, fill="fence"))
    lines = lines or [Line((_CODE_EDGE,), fill="fence", lead=2)]
    if block.label and block.is_first:
        return _labeled(lines, sanitize_line(block.label)[: max(1, width - 2)], width)
    return lines


def _labeled(lines: list[Line], label: str, width: int) -> list[Line]:
    """Show the language of code: at the right end of its first row if it fits, else on a row above it."""
    span = Span(label, "fence-label")
    first = lines[0]
    used = sum(cell_len(one.text) for one in first.spans)
    if first.joint is None and used + cell_len(label) + _AIR <= width:
        return [replace(first, note=span), *lines[1:]]
    return [Line((_CODE_EDGE, span), fill="fence", lead=2 + len(label)), *lines]


def _indented(
    blocks: tuple[Placed, ...],
    width: int,
    edges: tuple[Span, Span],
    *,
    is_quote: bool,
    numbers: bool,
) -> list[_Row]:
    """Lay `blocks` out after the first of `edges` on the first line and the second on the others."""
    first, rest = edges
    inner = width - len(first.text)
    if inner < _LEAST:
        flat = _rows(blocks, width, numbers=numbers)
        return flat if is_quote else [_Row(Line((first,))), *flat]
    rows = _rows(blocks, inner, numbers=numbers) or [_Row(EMPTY_LINE)]
    edge = first
    for row in rows:
        row.edges.append((edge, is_quote))
        edge = rest
    return rows
