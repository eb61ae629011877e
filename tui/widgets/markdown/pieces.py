"""A text split up for copying: its blocks, as source and as displayed, and the code in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Final, NamedTuple

from tui.sanitize import sanitize
from tui.widgets.markdown.layout import lay_out
from tui.widgets.markdown.lines import Line, copied_text
from tui.widgets.markdown.parser import BlockParse, Unit, language_of, references
from tui.widgets.markdown.weight import reach

MOST: Final = 24_000
"""The most that a text parsed in one go may weigh, in characters of plain prose."""
_MOST_FOR_BLOCKS: Final = 60_000
"""The blocks of longer texts, in characters, are not told apart, because that would block the screen."""
_OPENING: Final = re.compile(
    r"^(?P<before>[ \t>]*)(?P<mark>`{3,}(?=[^`\n]*$)|~{3,})(?P<info>.*)$", re.MULTILINE
)


class CodeText(NamedTuple):
    """A block of code, without its fence and the containers around it."""

    text: str
    language: str
    """The info string after the opening fence; empty if there is none."""


class Piece(NamedTuple):
    """A block of a text: a paragraph, a whole list, a table, a fence and so on."""

    source: str
    shown: str
    first_row: int
    end_row: int
    """The rows of the block, excluding the end of the range."""


@lru_cache(maxsize=4)
def code_texts(text: str, *, verbatim: bool = False) -> tuple[CodeText, ...]:
    """Return all code blocks of a text in order, including those in lists and quotes."""
    text = sanitize(text)
    if reach(text, MOST) < len(text):
        return tuple(_fenced(text))
    parse = BlockParse(text, verbatim=verbatim, env={})
    return tuple(
        CodeText(token.content, language_of(token.info))
        for token in parse.tokens
        if token.type in ("fence", "code_block") and token.content.strip()
    )


def _fenced(text: str) -> Iterator[CodeText]:
    """Yield the fences of a text that is too heavy for Markdown, in any container."""
    position = 0
    while (opening := _OPENING.search(text, position)) is not None:
        mark = opening["mark"]
        closing = re.compile(rf"^[ \t>]*{mark[0]}{{{len(mark)},}}[ \t]*$", re.MULTILINE)
        end = closing.search(text, opening.end())
        stop = end.start() if end is not None else len(text)
        code = _without(text[opening.end() + 1 : stop], opening["before"])
        if code.strip():
            yield CodeText(code, language_of(opening["info"]))
        position = end.end() if end is not None else len(text)


def _without(code: str, before: str) -> str:
    """Return `code` with the prefix `before` removed from each line that has it."""
    if not before:
        return code
    return re.sub(
        rf"^(?:{re.escape(before)}|{re.escape(before.rstrip())}$)", "", code, flags=re.MULTILINE
    )


def pieces(text: str, width: int, *, verbatim: bool, numbers: bool) -> tuple[Piece, ...]:
    """Return the blocks of a text that is laid out `width` cells wide, with or without line numbers of code.

    Empty if telling them apart would take too long.
    """
    source = sanitize(text.replace("\r\n", "\n").replace("\r", "\n"))
    if reach(source, MOST) < len(source):
        return ()
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


def shown_blocks(
    source: str,
    lines: Sequence[Line],
    width: int,
    *,
    is_markdown: bool,
    verbatim: bool,
    numbers: bool,
) -> tuple[Piece, ...]:
    """Return the blocks of a text that is shown in `lines`; a single block if the text isn't Markdown, or too long to tell its
    blocks apart.

    Args:
        source: the text as it was written.
        lines: the lines of the text.
        width: the width of the lines in cells.
        is_markdown: whether the lines show rendered text rather than its source.
        verbatim: whether it is shown as it was typed.
        numbers: whether the lines of code are numbered.
    """
    if not lines:
        return ()
    if len(source) <= _MOST_FOR_BLOCKS and is_markdown:
        found = pieces(source, width, verbatim=verbatim, numbers=numbers)
        if found and found[-1].end_row == len(lines):
            return found
    return (Piece(source, as_shown(list(lines)), 0, len(lines)),)


def as_shown(lines: list[Line]) -> str:
    """Return the text of `lines`, without drawn lines."""
    kept = [line for line in lines if not line.is_drawn]
    return copied_text(kept, 0, len(kept) - 1, 0, None)


def _groups(units: list[Unit]) -> Iterator[list[Unit]]:
    """Group the items of a list together. Any other unit is a separate group."""
    for (is_item, _), group in groupby(
        units, key=lambda unit: (unit.kind == "item", unit.list_kind)
    ):
        if is_item:
            yield list(group)
        else:
            yield from ([unit] for unit in group)
