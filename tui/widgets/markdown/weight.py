"""The cost of parsing and laying out a stretch of Markdown, estimated from its source without parsing it.

markdown-it visits each line once for every quote and list around it, and creates a cell in each row for every column of its
table. A weight measures that in characters of plain prose, so that one limit works for texts of any shape. The weight
of a text never falls when text is added at its end: text that was too heavy while streaming is also too heavy when opened.
"""

from __future__ import annotations

import re
from typing import Final

_LINE: Final = 20
"""The weight of a line, in addition to its characters."""
_LEVEL: Final = 6
"""The weight of a line in a quote, list or footnote, for each of those around it."""
_CELL: Final = 8
"""The weight of a table row for each of its columns, and of a line for each character that may separate cells."""
_TAB: Final = 6
_DEEPEST: Final = 20
"""markdown-it opens no more nesting levels than this."""
_OPENINGS: Final = re.compile(r"(?:[ \t]*(?:>|(?:[-+*]|\d{1,9}[.)]|\[\^[^\]\s]+\]:)(?=\s)))*[ \t]*")
_MARK: Final = re.compile(r">|[-+*]|\d+[.)]|\[\^")
_COLUMNS: Final = re.compile(r"[-:|> \t]*-[-:|> \t]*")


class _Container:
    """How deeply and how far indented the next lines may be."""

    def __init__(self) -> None:
        self._nested = self._levels = self._columns = 0

    def weight(self, line: str) -> int:
        """Return the weight of `line`, the next line."""
        if line.isspace():
            self._levels = self._columns = 0
            return len(line) + _LINE
        found = _OPENINGS.match(line)
        opened = found[0] if found is not None else ""
        marks = len(_MARK.findall(opened))
        indent = len(opened) - len(opened.lstrip(" \t")) if opened else 0
        indent += 3 * line.count("\t", 0, indent)
        levels = min(_DEEPEST, marks + min(indent // 2, self._nested))
        self._nested = max(self._nested, levels)
        # Without an empty line in between, a line continues the paragraph above it, however deep that is.
        self._levels = max(self._levels, levels)
        weight = len(line) + _LINE + _LEVEL * self._levels + _CELL * self._columns
        if "-" in line and _COLUMNS.fullmatch(line.rstrip("\n")):
            self._columns = max(self._columns, line.count("|") + 1)
        return weight + _TAB * line.count("\t") + _CELL * line.count("|")


def reach(text: str, limit: int, *, before: str = "") -> int:
    """Return how many characters at the start of `text`, in whole lines, weigh at most `limit`.

    Args:
        text: sanitized Markdown that starts with a block.
        limit: in characters of plain prose.
        before: lines that are above it for the parser, and that have no weight.
    """
    container = _Container()
    for line in before.splitlines(keepends=True):
        container.weight(line)
    start = weight = 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        if end - start > limit:
            return start
        weight += container.weight(text[start:end])
        if weight > limit:
            return start
        start = end
    return start
