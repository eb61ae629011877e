"""Finds a phrase in laid-out lines, also where it was wrapped from one line to the next, and in nothing but what is shown."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from typing import Final

from tui.widgets.markdown.document import Lines
from tui.widgets.markdown.lines import Line

_CHUNK: Final = 100
"""Lines that are searched between two looks at the clock."""
Hit = list[tuple[int, int, int]]
"""The places of one hit: line, first character, end; more than one where the phrase is wrapped."""
_Part = tuple[int, int, str]
"""A line of a wrapped text: its number, its first character that is no layout, and its text from there."""


def fold(text: str) -> str:
    """Return `text` without the difference of upper and lower case, every character where it was."""
    folded = text.casefold()
    if len(folded) == len(text):
        return folded
    return "".join(sign if len(sign.casefold()) > 1 else sign.casefold() for sign in text)


def shown_text(lines: Sequence[Line]) -> str:
    """Return what a reader can find in `lines`: wrapped lines joined again, layout left out."""
    return "\n".join("".join(part for _, _, part in block) for block in _blocks(lines))


def find_in_lines(lines: Sequence[Line], query: str) -> Iterator[Hit]:
    """Yield the hits of `query` in reading order; case does not matter."""
    needle = fold(query)
    if not needle:
        return
    for block in _blocks(lines):
        text = fold("".join(part for _, _, part in block))
        start = text.find(needle)
        while start >= 0:
            yield _places(block, start, start + len(needle))
            start = text.find(needle, start + len(needle))


class LineHits:
    """The hits of one phrase in lines that may still grow. Settled lines are looked at once, as many as there is time for."""

    def __init__(self, query: str) -> None:
        self._query = query
        self._reset(())

    def _reset(self, settled: Sequence[Line]) -> None:
        self._settled = settled
        self._upto = self._end = self._count = 0
        self.marks: dict[int, list[tuple[int, int, int]]] = {}
        """By row: the first character of a hit, its end, and the number of the hit."""
        self.rows: list[int] = []
        """The row at which each hit begins."""

    def update(self, lines: Sequence[Line], deadline: float = math.inf) -> bool:
        """Find the hits in `lines`; return whether that was done before `deadline`."""
        settled = lines.settled if isinstance(lines, Lines) else lines
        stable = lines.upto if isinstance(lines, Lines) else len(lines)
        if settled is not self._settled or stable < self._upto:
            self._reset(settled)
        for row in range(self._upto, self._end):
            self.marks.pop(row, None)
        del self.rows[self._count :]
        self._end = self._upto
        while self._upto < stable:
            end = min(self._upto + _CHUNK, stable)
            while end < stable and settled[end - 1].joint is not None:
                end += 1
            if settled[end - 1].joint is not None:
                break
            self._add(settled[self._upto : end], self._upto)
            self._upto = self._end = end
            self._count = len(self.rows)
            if time.perf_counter() > deadline and end < stable:
                return False
        self._add(lines[self._upto :], self._upto)
        self._end = len(lines)
        return True

    def _add(self, lines: Sequence[Line], offset: int) -> None:
        for hit in find_in_lines(lines, self._query):
            number = len(self.rows)
            self.rows.append(offset + hit[0][0])
            for line, start, end in hit:
                self.marks.setdefault(offset + line, []).append((start, end, number))


def _blocks(lines: Sequence[Line]) -> Iterator[list[_Part]]:
    block: list[_Part] = []
    for number, line in enumerate(lines):
        skip = line.lead if block or not line.copies_lead else 0
        if line.joint is not None:
            block.append((number, skip, line.text[skip:] + line.joint))
            continue
        block.append((number, skip, line.text[skip:]))
        yield block
        block = []
    if block:
        yield block


def _places(block: list[_Part], start: int, end: int) -> Hit:
    hit: Hit = []
    offset = 0
    for number, skip, part in block:
        first, last = max(start, offset), min(end, offset + len(part))
        if first < last:
            hit.append((number, skip + first - offset, skip + last - offset))
        offset += len(part)
    return hit
