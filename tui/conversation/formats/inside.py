"""Chats somewhere in a document that is none itself: in the state that an app saves, in an API's answer, in the rows of a data set."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

from tui.conversation.formats.values import list_of

_DEEPEST: Final = 8
_MOST_LOOKED_AT: Final = 200_000
_Found = TypeVar("_Found")


def found_inside(
    document: Any, known: Callable[[Any], _Found | None]
) -> Iterator[tuple[_Found | None, Any]]:
    """Yield what is found in a document, the outermost only, each with what it is known for.

    An entry of the outermost list that has nothing in it comes with None, so that it can be counted.

    Args:
        known: returns what a value is; None where it may only hold what is looked for.
    """
    for entry in document if isinstance(document, list) else [document]:
        is_found = False
        for found, value in _found_in(entry, known):
            is_found = True
            yield found, value
        if not is_found and isinstance(document, list):
            yield None, entry


def _found_in(entry: Any, known: Callable[[Any], _Found | None]) -> Iterator[tuple[_Found, Any]]:
    pending = deque([(entry, 0)])
    looked_at = 0
    while pending and looked_at < _MOST_LOOKED_AT:
        value, depth = pending.popleft()
        looked_at += 1
        found = known(value)
        if found is not None:
            yield found, value
        elif depth < _DEEPEST:
            pending.extend((inner, depth + 1) for inner in _parts(value))


def _parts(value: Any) -> Sequence[Any]:
    inner = value.values() if isinstance(value, Mapping) else list_of(value)
    return [one for one in inner if isinstance(one, Mapping | list)]
