"""Whether the names of layers in an adapter's config can be matched in little time; it matches nothing itself.

peft hands them to `re`, which takes forever over some patterns and holds the interpreter's lock all the while. A pattern is let
through if the ways in which it can be tried at one name are few: nothing is repeated but a single character, few of these
repetitions follow each other, and few alternatives begin alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from re import _constants as ops  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any, Final

from tui.dataclass import dataclass

_FIELD: Final = re.compile(r"(modules|pattern|patterns|parameters|to_save|to_tie|indices)$")
"""Names of the fields that hold names of layers; peft gets new ones now and then."""
_MOST_NAMES: Final = 20_000
_MOST_KEYS: Final = 2_000
_LONGEST_NAME: Final = 300
_LONGEST_PATTERN: Final = 3_000
_MOST_REPEATS: Final = 4
"""A layer's name of 60 characters can be cut into five parts in half a million ways."""
_MOST_REPEATS_IN_A_NAME: Final = 1
"""peft puts repetitions of its own around each."""
_MOST_CHOICES: Final = 16
_SINGLE: Final = frozenset((ops.LITERAL, ops.NOT_LITERAL, ops.ANY, ops.IN))
_REPEATS: Final = frozenset((ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT))


@dataclass(frozen=True, slots=True)
class _Cost:
    """How a pattern can be tried at one place: in how many ways, and how many parts of any length it has."""

    choices: int = 1
    repeats: int = 0

    def then(self, other: _Cost) -> _Cost:
        return _Cost(self.choices * other.choices, self.repeats + other.repeats)


def wrong_field(config: Mapping[str, object]) -> str:
    """Return the name of a field of an adapter's config that can't be used; empty when all can."""
    for name, value in config.items():
        if _FIELD.search(name) and not _is_usable(value):
            return name
    return ""


def _is_usable(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= _LONGEST_PATTERN and _is_quick(value, _MOST_REPEATS)
    if isinstance(value, Mapping):
        return len(value) <= _MOST_KEYS and all(map(_is_name, value))
    if isinstance(value, list):
        return len(value) <= _MOST_NAMES and all(map(_is_name, value))
    # None, a number, or a Boolean isn't a pattern.
    return True


def _is_name(value: object) -> bool:
    # Numbers are those of tokens.
    return isinstance(value, int) or (
        isinstance(value, str)
        and len(value) <= _LONGEST_NAME
        and _is_quick(value, _MOST_REPEATS_IN_A_NAME)
    )


def _is_quick(pattern: str, most_repeats: int) -> bool:
    if re.fullmatch(r"[\w-]+(\.[\w-]+)*", pattern):
        return True
    try:
        cost = _sequence(_parser.parse(pattern))
    except (re.error, ValueError, OverflowError, RecursionError):
        return False
    return cost.choices <= _MOST_CHOICES and cost.repeats <= most_repeats


def _sequence(items: Sequence[tuple[Any, Any]]) -> _Cost:
    cost = _Cost()
    for item in items:
        cost = cost.then(_item(*item))
        if cost.choices > _MOST_CHOICES:
            # Early, since the product of thousands of them takes time.
            raise ValueError("too many alternatives")
    return cost


def _item(kind: Any, value: Any) -> _Cost:
    """Return what one part costs.

    Raises:
        ValueError: it can't be told, as of a reference to a group.
    """
    if kind in _SINGLE or kind is ops.AT:
        return _Cost()
    if kind is ops.SUBPATTERN:
        return _sequence(value[-1])
    if kind in (ops.ASSERT, ops.ASSERT_NOT):
        return _sequence(value[1])
    if kind is ops.BRANCH:
        return _branch(value[1])
    if kind in _REPEATS:
        return _repeat(*value)
    raise ValueError("a part that can't occur in a layer name")


def _repeat(least: int, most: int, items: Sequence[tuple[Any, Any]]) -> _Cost:
    if (least, most) == (0, 1):
        inner = _sequence(items)
        return _Cost(1 + inner.choices, inner.repeats)
    if len(items) != 1 or items[0][0] not in _SINGLE:
        raise ValueError("a repetition of more than one character")
    return _Cost(repeats=int(least != most))


def _branch(branches: Sequence[Sequence[tuple[Any, Any]]]) -> _Cost:
    costs = [_sequence(branch) for branch in branches]
    texts = sorted(_literals(branches))
    # Of plain words none of which begins another, at most one is there.
    is_one = len(texts) == len(branches) and not any(
        after[: len(before)] == before for before, after in pairwise(texts)
    )
    return _Cost(
        1 if is_one else sum(cost.choices for cost in costs), max(cost.repeats for cost in costs)
    )


def _literals(branches: Sequence[Sequence[tuple[Any, Any]]]) -> Iterator[list[int]]:
    for branch in branches:
        if all(kind is ops.LITERAL for kind, _ in branch):
            yield [code for _, code in branch]
