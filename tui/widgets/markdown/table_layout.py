"""Tables: as columns if they fit the width, otherwise as a list of records.

Only the first rows determine the widths, so that a table of thousands of rows is not laid out again for each row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len

from tui.widgets.markdown.blocks import Spans, Table, TableRows
from tui.widgets.markdown.lines import (
    EMPTY_LINE,
    Line,
    Span,
    clipped_spans,
    prefixed,
    restyled,
    wrap,
)

MEASURED_ROWS: Final = 200
"""The number of rows that determine the widths of the columns."""
_LEAST: Final = 6
"""If a column would be narrower than this, in cells, the table is shown as records."""
_LONGEST_NAME: Final = 100
"""The largest width of a column's name in a record, in cells; it is repeated for each row."""
_EDGE: Final = Span(" │ ", "rule", copied="   ")


def column_widths(table: Table, width: int) -> tuple[int, ...]:
    """Return the width of each column in cells, or nothing if the table doesn't fit `width` as columns."""
    widths = table.widths.get(width)
    if widths is None:
        widths = table.widths[width] = _fitted(table, width)
    return widths


def _fitted(table: Table, width: int) -> tuple[int, ...]:
    if len(table.header) * (1 + len(_EDGE.text)) - len(_EDGE.text) > width:
        return ()
    wanted = [max(1, sum(cell_len(span.text) for span in cell)) for cell in table.header]
    for sizes in table.sizes[:MEASURED_ROWS]:
        for column, size in enumerate(sizes):
            if size > wanted[column]:
                wanted[column] = size
    room = width - len(_EDGE.text) * (len(wanted) - 1)
    if sum(wanted) <= room:
        return tuple(wanted)
    if sum(min(size, _LEAST) for size in wanted) > room:
        return ()
    return _shrunk(wanted, room)


def _shrunk(wanted: list[int], room: int) -> tuple[int, ...]:
    """Distribute `room`: columns that need less than an equal share get what they need, the others share the rest equally."""
    widths = [0] * len(wanted)
    open_columns = sorted(range(len(wanted)), key=wanted.__getitem__)
    while open_columns:
        share = room // len(open_columns)
        column = open_columns.pop(0)
        widths[column] = min(wanted[column], max(share, min(wanted[column], _LEAST)))
        room -= widths[column]
    return tuple(widths)


def lay_out_rows(block: TableRows, width: int) -> list[Line]:
    """Return a stretch of rows as lines, below the header if the stretch includes it."""
    table = block.table
    widths = column_widths(table, width)
    if not widths:
        return _records(block, width)
    lines: list[Line] = []
    if block.has_header:
        header = tuple(restyled(cell, "th") for cell in table.header)
        lines.extend(_row(header, table.alignments, widths))
        lines.append(_separator(widths, "─", "─┼─"))
    tall = block.first > 0 and _is_tall(table.sizes[block.first - 1], widths)
    for number in range(block.first, block.last):
        is_tall = _is_tall(table.sizes[number], widths)
        if number > 0 and (tall or is_tall):
            lines.append(_separator(widths, "┄", "┄┼┄"))
        tall = is_tall
        lines.extend(_row(table.rows[number], table.alignments, widths))
    return lines


def _is_tall(sizes: Sequence[int], widths: Sequence[int]) -> bool:
    return any(size > width for size, width in zip(sizes, widths, strict=False))


def _separator(widths: Sequence[int], dash: str, cross: str) -> Line:
    return Line((Span(cross.join(dash * width for width in widths), "rule"),))


def _row(cells: Sequence[Spans], alignments: Sequence[str], widths: Sequence[int]) -> list[Line]:
    padded: list[Spans] = [*cells, *[()] * (len(widths) - len(cells))]
    columns = [wrap(cell, width) for cell, width in zip(padded, widths, strict=False)]
    lines: list[Line] = []
    for number in range(max(map(len, columns))):
        spans: list[Span] = []
        for column, (rows, width) in enumerate(zip(columns, widths, strict=False)):
            if column:
                spans.append(_EDGE)
            cell = rows[number].spans if number < len(rows) else ()
            spans.extend(_aligned(cell, alignments[column], width))
        lines.append(Line(tuple(spans)))
    return lines


def _aligned(spans: Spans, alignment: str, width: int) -> list[Span]:
    free = width - sum(cell_len(span.text) for span in spans)
    before = free if alignment == "right" else free // 2 if alignment == "center" else 0
    result = [Span(" " * before)] if before > 0 else []
    result.extend(spans)
    if free - before > 0:
        result.append(Span(" " * (free - before)))
    return result


def _records(block: TableRows, width: int) -> list[Line]:
    """Return rows as records of `name: value` lines."""
    lines: list[Line] = []
    names = [clipped_spans(restyled(cell, "th"), _LONGEST_NAME) for cell in block.table.header]
    is_clipped = any(name and name[-1].text == "…" for name in names)
    if block.has_header and (is_clipped or not block.last):
        for cell in block.table.header:
            lines.extend(wrap(restyled(cell, "th"), width))
    for number in range(block.first, block.last):
        if number > 0 or lines:
            lines.append(EMPTY_LINE)
        for name, cell in zip(names, block.table.rows[number], strict=False):
            named = (*name, Span(": ", "quiet"), *cell)
            rows = wrap(named, max(4, width - 2))
            lines.extend([rows[0], *prefixed(rows[1:], Span("  "), Span("  "), copies=True)])
    return lines
