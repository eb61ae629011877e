"""The marks in a reply that stand for the sources beside it, for example "[1]": where those are left out, they say nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_NUMBERS: Final = r"\[\d{1,4}(?:, ?\d{1,4})*\]"
# If an address or a text follows, it is a Markdown link.
_MARKS: Final = re.compile(rf"(?<![!\]]){_NUMBERS}(?:[ \t]{{0,2}}{_NUMBERS})*(?![(\[:])")
_LISTED: Final = re.compile(rf"(?m)^[ \t]{{0,3}}(?:[-*] )?{_NUMBERS}")
_FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})")
_TICKS: Final = re.compile(r"(`+)")


def without_marks(text: str, sources: int) -> str:
    """Return a reply without the marks that stand for its first `sources` sources.

    Code keeps its brackets, and a text that lists its own sources keeps its marks.
    """
    if not sources or "[" not in text or _LISTED.search(text):
        return text
    fence = ""
    lines = []
    for line in text.split("\n"):
        found = _FENCE.match(line)
        if fence:
            closes = found is not None and found[1].startswith(fence)
            fence = "" if closes else fence
        elif found is not None:
            fence = found[1]
        else:
            line = "".join(_pieces(line, sources))
        lines.append(line)
    return "\n".join(lines)


def _pieces(line: str, sources: int) -> Iterator[str]:
    """Yield the parts of a line, those outside of code without marks."""
    parts = _TICKS.split(line)
    # Runs of backticks are at the odd places; each opens code that the next of its length closes.
    closing: dict[int, int] = {}
    later: dict[str, int] = {}
    for place in range(len(parts) - 2, 0, -2):
        closing[place] = later.get(parts[place], 0)
        later[parts[place]] = place
    place = 0
    while place < len(parts):
        if end := closing.get(place, 0):
            yield "".join(parts[place : end + 1])
            place = end + 1
            continue
        yield parts[place] if place % 2 else _unmarked(parts[place], sources)
        place += 1


def _unmarked(text: str, sources: int) -> str:
    at = 0
    pieces: list[str] = []
    for found in _MARKS.finditer(text):
        if all(1 <= int(number) <= sources for number in re.findall(r"\d+", found[0])):
            pieces.append(text[at : found.start()].rstrip(" \t"))
            at = found.end()
    return "".join([*pieces, text[at:]])
