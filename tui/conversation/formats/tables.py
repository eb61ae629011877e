"""Tables of text (CSV) as rows of objects, where the names of their columns say that messages or questions are in them."""

from __future__ import annotations

import csv
import io
from itertools import chain
from typing import Final

from tui.conversation.entries import ChatFormatError
from tui.conversation.formats.pairs import ANSWER_KEYS, QUESTION_KEYS
from tui.conversation.formats.problems import Problems

_DELIMITERS: Final = ",;\t"
_SPEAKERS: Final = ("role", "from", "sender", "author", "speaker")
_TEXTS: Final = ("content", "text", "message", "value", "body")
_LONGEST_HEADER: Final = 4096
_END: Final = "end of the table"


def is_table(text: str) -> bool:
    """Whether a text begins as a table whose columns are named as those of messages, or of questions and answers."""
    return _columns(text) is not None


def rows_of(text: str, problems: Problems) -> list[dict[str, str]] | None:
    """Return the rows of a table; None where it is none that could hold chats.

    Raises:
        ChatFormatError: a quote that is not closed takes in all there is.
    """
    columns = _columns(text)
    return None if columns is None else _rows(text, *columns, problems)


def _columns(text: str) -> tuple[list[str], str] | None:
    """Return the names of a table's columns, and what stands between them; None where it is no table."""
    # A line may have any kind of line ending.
    head = (text[:_LONGEST_HEADER].splitlines() or [""])[0]
    for delimiter in _DELIMITERS:
        names = [name.strip(' "').lower() for name in head.split(delimiter)]
        if _may_hold_chats(names):
            return names, delimiter
    return None


def _rows(
    text: str, names: list[str], delimiter: str, problems: Problems
) -> list[dict[str, str]] | None:
    # A cell may be a whole reply; the module's own limit is that of the process.
    csv.field_size_limit(max(len(text) + 1, csv.field_size_limit()))
    # The reader takes all that follows a quote that is not closed for one cell, and what comes after the end as well.
    lines = chain(io.StringIO(text, newline=""), (_END,))
    reader = csv.reader(lines, delimiter=delimiter)
    rows: list[list[str]] = []
    starts: list[int] = []
    start = 1
    try:
        for row in reader:
            rows.append(row)
            starts.append(start)
            start = reader.line_num + 1
    except csv.Error:
        return None
    last = rows.pop()
    if last != [_END]:
        row_text = f"quote is not closed in the row that starts on line {starts[-1]:,}"
        if len(rows) < 2:
            raise ChatFormatError(f"It is a CSV table, but a {row_text}.", "Close the quote first.")
        problems.say(f"A {row_text}; the table was read up to that row")
    return [dict(zip(names, row, strict=False)) for row in rows[1:] if any(row)]


def _may_hold_chats(names: list[str]) -> bool:
    def has(known: tuple[str, ...]) -> bool:
        return any(name in known for name in names)

    return len(names) > 1 and (
        (has(_SPEAKERS) and has(_TEXTS)) or (has(QUESTION_KEYS) and has(ANSWER_KEYS))
    )
