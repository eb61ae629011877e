"""The blocks of a parsed text. They know nothing of widths, colors or the parser."""

from __future__ import annotations

from dataclasses import field

from rich.cells import cell_len

from tui.dataclass import dataclass
from tui.widgets.markdown.lines import Span

Spans = tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text; newlines in it are kept."""

    spans: Spans


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of level 1 to 6."""

    level: int
    spans: Spans


@dataclass(frozen=True, slots=True)
class Rule:
    """A horizontal rule."""


@dataclass(slots=True)
class Code:
    """Lines of code. A long block is split into stretches: the first has the label, the last ends the block."""

    lines: tuple[str, ...]
    language: str = ""
    label: str = ""
    is_first: bool = True
    is_last: bool = True
    first_number: int = 1
    """The number of the first line within the whole block, from 1."""
    rows: tuple[Spans, ...] | None = None
    """The rows as they were last drawn; None before the first time."""
    awaited: bool = True
    """Whether the colors of the rows are still missing."""


@dataclass(frozen=True, slots=True)
class Plain:
    """Text without markup: verbatim turns, formulas, and text that is too heavy for Markdown."""

    text: str
    style: str = ""
    notice: str = ""
    """Why this text is not shown as Markdown, in words for the reader."""


@dataclass(frozen=True, slots=True)
class Quote:
    """Quoted blocks."""

    blocks: tuple[Placed, ...]


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a list. A list is not a block itself, so that a long one can settle item by item."""

    marker: str
    blocks: tuple[Placed, ...]
    style: str = "bullet"


@dataclass(slots=True)
class Table:
    """A table as far as it is known. It grows; its rows are separate blocks that point to it."""

    header: tuple[Spans, ...]
    alignments: tuple[str, ...]
    rows: list[tuple[Spans, ...]] = field(default_factory=list)
    sizes: list[tuple[int, ...]] = field(default_factory=list)
    """The width in cells of every cell of the rows."""
    widths: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """The columns laid out for a page width; valid until the rows change."""

    def add(self, row: tuple[Spans, ...]) -> None:
        """Add a row at the end."""
        self.widths.clear()
        self.rows.append(row)
        self.sizes.append(tuple(sum(cell_len(span.text) for span in cell) for cell in row))

    def cut(self, count: int) -> None:
        """Remove all rows but the first `count`."""
        if count >= len(self.rows):
            return
        self.widths.clear()
        del self.rows[count:]
        del self.sizes[count:]


@dataclass(frozen=True, slots=True)
class TableRows:
    """The rows `first` to `last` (exclusive) of a table."""

    table: Table
    first: int
    last: int
    has_header: bool = True


Block = Paragraph | Heading | Rule | Code | Plain | Quote | Item | TableRows


@dataclass(frozen=True, slots=True)
class Placed:
    """A block, and whether an empty line is above it unless it is the first in its container."""

    block: Block
    gap: bool = True


def awaits_colors(block: Block) -> bool:
    """Whether a block contains code whose colors are still missing."""
    if isinstance(block, Quote | Item):
        return any(awaits_colors(placed.block) for placed in block.blocks)
    return isinstance(block, Code) and block.awaited
