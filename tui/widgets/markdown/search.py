"""Finds a phrase in laid-out lines, across line wraps, and only in visible text."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Final

from tui.widgets.markdown.document import Lines
from tui.widgets.markdown.lines import Line

_CHUNK: Final = 50
"""Lines searched before the time is checked again."""
Hit = list[tuple[int, int, int]]
"""The places of one match: line, first character, end; more than one if the phrase is wrapped."""


def fold(text: str) -> str:
    """Return `text` in a form that ignores case, with every character at the same position."""
    folded = text.casefold()
    if len(folded) == len(text):
        return folded
    return "".join(sign if len(sign.casefold()) > 1 else sign.casefold() for sign in text)


def shown_text(lines: Sequence[Line]) -> str:
    """Return the searchable text of `lines`: wrapped lines joined, layout left out."""
    parts: list[str] = []
    continues = False
    for line in lines:
        parts.append(line.text[_skipped(line, continues=continues) :])
        continues = line.joint is not None
        parts.append(line.joint if line.joint is not None else "\n")
    return "".join(parts if continues else parts[:-1])


def _skipped(line: Line, *, continues: bool) -> int:
    return line.lead if continues or not line.copies_lead else 0


class _Finder:
    """Reads lines one by one. Of wrapped lines, it keeps only text in which a match may still start."""

    def __init__(self, needle: str) -> None:
        self._needle = needle
        self._forget()

    def _forget(self) -> None:
        self._text = ""
        self._parts: list[tuple[int, int, int]] = []
        """The lines of `_text`: number, first character after the layout, and length from there."""
        self._continues = False

    def copy(self) -> _Finder:
        """Return a finder that continues from the same line."""
        other = _Finder(self._needle)
        other._text, other._parts = self._text, list(self._parts)
        other._continues = self._continues
        return other

    def hits(self, number: int, line: Line) -> list[Hit]:
        """Return the matches that end in `line`, which has the given number and follows the previous line."""
        if not self._needle:
            return []
        skip = _skipped(line, continues=self._continues)
        part = fold(line.text[skip:] + (line.joint or ""))
        self._text += part
        self._parts.append((number, skip, len(part)))
        found: list[Hit] = []
        end = 0
        while (start := self._text.find(self._needle, end)) >= 0:
            end = start + len(self._needle)
            found.append(self._places(start, end))
        if line.joint is None:
            self._forget()
        else:
            self._continues = True
            self._drop(max(end, len(self._text) - len(self._needle) + 1))
        return found

    def _places(self, start: int, end: int) -> Hit:
        hit: Hit = []
        offset = 0
        for number, skip, length in self._parts:
            first, last = max(start, offset), min(end, offset + length)
            if first < last:
                hit.append((number, skip + first - offset, skip + last - offset))
            offset += length
        return hit

    def _drop(self, count: int) -> None:
        """Remove the first `count` characters, in which no further match can start."""
        self._text = self._text[count:]
        while self._parts and count:
            number, skip, length = self._parts[0]
            cut = min(count, length)
            count -= cut
            if cut < length:
                self._parts[0] = (number, skip + cut, length - cut)
                break
            self._parts.pop(0)


class LineHits:
    """The matches of one phrase in lines that may still grow. Settled lines are searched once, as time allows."""

    def __init__(self, query: str) -> None:
        self._needle = fold(query)
        self._reset(())

    def _reset(self, settled: Sequence[Line]) -> None:
        self._settled = settled
        self._finder = _Finder(self._needle)
        self._upto = self._count = 0
        self._open: list[int] = []
        """The rows marked for matches that end in lines that may still change."""
        self.marks: dict[int, list[tuple[int, int, int]]] = {}
        """By row: the first character of a match, its end, and the number of the match."""
        self.rows: list[int] = []
        """The row in which each match starts."""

    def update(self, lines: Sequence[Line], deadline: float = math.inf) -> bool:
        """Find the matches in `lines`; return whether that was done before `deadline`."""
        settled = lines.settled if isinstance(lines, Lines) else lines
        stable = lines.upto if isinstance(lines, Lines) else len(lines)
        if settled is not self._settled or stable < self._upto:
            self._reset(settled)
        self._forget_open()
        while self._upto < stable:
            self._add(self._finder.hits(self._upto, settled[self._upto]))
            self._upto += 1
            self._count = len(self.rows)
            if self._upto % _CHUNK == 0 and self._upto < stable and time.perf_counter() > deadline:
                return False
        finder = self._finder.copy()
        for row in range(self._upto, len(lines)):
            hits = finder.hits(row, lines[row])
            self._open.extend(line for hit in hits for line, _, _ in hit)
            self._add(hits)
        return True

    def _forget_open(self) -> None:
        for row in self._open:
            self.marks[row].pop()
            if not self.marks[row]:
                del self.marks[row]
        self._open = []
        del self.rows[self._count :]

    def _add(self, hits: list[Hit]) -> None:
        for hit in hits:
            number = len(self.rows)
            self.rows.append(hit[0][0])
            for line, start, end in hit:
                self.marks.setdefault(line, []).append((start, end, number))
