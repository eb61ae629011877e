"""A text taken apart for copying: its blocks as they were written and as they are shown, and the code in it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

from tui.sanitize import sanitize
from tui.widgets.markdown.layout import lay_out
from tui.widgets.markdown.lines import Line, copied_text
from tui.widgets.markdown.parser import BlockParse, Unit, language_of, references


class CodeText(NamedTuple):
    """A block of code, without its fence and what it stands in."""

    text: str
    language: str
    """As it was written behind the fence; empty where nothing was."""


class Piece(NamedTuple):
    """A block of a text: a paragraph, a whole list, a table, a fence and so on."""

    source: str
    shown: str
    first_row: int
    end_row: int
    """The rows that it takes, without the one at the end."""


@lru_cache(maxsize=4)
def code_texts(text: str, *, verbatim: bool = False) -> tuple[CodeText, ...]:
    """Return all code blocks of a text in order, those inside of lists and quotes too."""
    parse = BlockParse(sanitize(text), verbatim=verbatim, env={})
    return tuple(
        CodeText(token.content, language_of(token.info))
        for token in parse.tokens
        if token.type in ("fence", "code_block") and token.content.strip()
    )


def pieces(text: str, width: int, *, verbatim: bool, numbers: bool) -> tuple[Piece, ...]:
    """Return the blocks of a text that is laid out `width` cells wide, with or without `numbers` of code lines."""
    source = sanitize(text.replace("\r\n", "\n").replace("\r", "\n"))
    parse = BlockParse(source, verbatim=verbatim, env={})
    parse.build(parse.units, None)
    if parse.definitions:
        parse = BlockParse(source, verbatim=verbatim, env=references(parse.definitions))
    groups = list(_groups(parse.units))
    starts = [group[0].line for group in groups] + [len(parse.lines)]
    found: list[Piece] = []
    row = 0
    for number, group in enumerate(groups):
        written = "\n".join(parse.lines[starts[number] : starts[number + 1]]).strip("\n")
        blocks = parse.build(group, None)
        lines = lay_out(blocks, width, after=row > 0, numbers=numbers)
        gap = 1 if row and blocks and blocks[0].gap and lines else 0
        found.append(Piece(written, as_shown(lines[gap:]), row + gap, row + len(lines)))
        row += len(lines)
    return tuple(found)


def as_shown(lines: list[Line]) -> str:
    """Return what `lines` say, without drawn lines."""
    kept = [line for line in lines if not line.is_drawn]
    return copied_text(kept, 0, len(kept) - 1, 0, None)


def _groups(units: list[Unit]) -> Iterator[list[Unit]]:
    """Put the items of a list together; any other unit stands by itself."""
    for (is_item, _), group in groupby(
        units, key=lambda unit: (unit.kind == "item", unit.list_kind)
    ):
        if is_item:
            yield list(group)
        else:
            yield from ([unit] for unit in group)
