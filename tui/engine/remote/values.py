"""Reads what a server has sent: JSON of any shape, from which only what is expected is taken."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeGuard

_MOST: Final = 2**53


class NotJsonError(ValueError):
    """A text that is no JSON."""


def read_json(text: str | bytes) -> Any:
    """Return the JSON value that a text says.

    Raises:
        NotJsonError: it is none, or is nested too deep.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotJsonError(str(error)) from error


def is_table(value: Any) -> TypeGuard[Mapping[str, Any]]:
    """Return whether a value is a JSON object."""
    return isinstance(value, Mapping)


def table(value: Any, *path: str) -> Mapping[str, Any]:
    """Return the object at the end of a path of keys; an empty one where there is none."""
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def tables(value: Any) -> list[Mapping[str, Any]]:
    """Return the objects of a list; none where it is no list."""
    if not isinstance(value, Sequence) or isinstance(value, str):
        return []
    return [one for one in value if isinstance(one, Mapping)]


def text(value: Any) -> str:
    """Return a value that is a text; empty where it is none. Lone surrogates, which JSON can say, are replaced."""
    if not isinstance(value, str):
        return ""
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")


def whole(value: Any) -> int:
    """Return a value that is a whole number from 0 up; 0 where it is none."""
    return int(number(value))


def number(value: Any) -> float:
    """Return a value that is a finite number from 0 up; 0 where it is none."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= _MOST or not math.isfinite(value):
        return 0.0
    return float(value)
