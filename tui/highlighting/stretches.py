"""Where long code is cut, and what is too much to be highlighted, so that no line costs more than the stretch it is in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

SOFT_END: Final = 80
"""Lines after which a stretch ends at the next empty line."""
HARD_END: Final = 160
"""Lines after which a stretch ends anywhere."""
FULL: Final = 16_000
"""What the lines of a stretch may weigh before it ends anywhere: they are laid out in one piece of work."""
_TAB_WEIGHT: Final = 8
"""A tab is drawn as a piece of its own, which costs as much as so many characters."""
LONGEST_LINE: Final = 1_000
MOST_CHARACTERS: Final = 24_000
"""Of one stretch."""


def ends_stretch(lines: Sequence[str]) -> bool:
    """Whether a stretch of code ends after the last of `lines`; its first line is the first of them."""
    if len(lines) >= HARD_END or (len(lines) >= SOFT_END and not lines[-1].strip()):
        return True
    return sum(map(weight, lines)) >= FULL


def weight(line: str) -> int:
    """Return what it costs to lay out a line of code, in characters."""
    return len(line) + (_TAB_WEIGHT - 1) * line.count("\t")


def stretches(lines: Sequence[str]) -> list[list[str]]:
    """Cut `lines` into the stretches that are highlighted apart; at least one."""
    result: list[list[str]] = [[]]
    for line in lines:
        if result[-1] and ends_stretch(result[-1]):
            result.append([])
        result[-1].append(line)
    return result


def is_too_much(lines: Sequence[str]) -> bool:
    """Whether a stretch is left plain because of its size."""
    if not lines or max(map(len, lines)) > LONGEST_LINE:
        return True
    return sum(map(len, lines)) + len(lines) > MOST_CHARACTERS
