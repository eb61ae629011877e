"""Finds a phrase in laid-out lines, also where it was wrapped from one line to the next, and in nothing but what is shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tui.widgets.markdown.lines import Line

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
