"""How large the numbers of a model can be, and the one way to read one from a config, a header or what a server says.

The limits lie well above every model there is, and low enough that figures made of several such numbers stay figures.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

LAYERS: Final = 2_000
HEADS: Final = 10_000
HEAD_DIM: Final = 1 << 16
WIDTH: Final = 1 << 20
VOCABULARY: Final = 1 << 24
TABLE_ROWS: Final = 1 << 30
"""Of other tables than that of the tokens, such as those of sequences of tokens."""
CONTEXT_TOKENS: Final = 1 << 31
EXPERTS: Final = 1 << 22
"""Some are no more than a row of a table: there have been a million in one layer."""
PARAMETERS: Final = 1 << 50
"""A thousand times the largest models."""
TENSORS: Final = 400_000
DIMENSIONS: Final = 8
NAME: Final = 1_000
"""Characters of a tensor's name. Libraries match it with regular expressions, which take the square of its length."""
STORED_BYTES: Final = 1 << 60
POPULARITY: Final = 1 << 53
"""Downloads and likes."""

Shape = tuple[int, ...]


def is_count(value: Any, most: int) -> bool:
    """Return whether a value is a whole number from 0 to `most`; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


def count(values: Mapping[str, Any], most: int, *names: str) -> int:
    """Return the first of several values that is a number from 1 to `most`; 0 when none is."""
    found = (values.get(name) for name in names)
    return next((value for value in found if value and is_count(value, most)), 0)


def shape(value: Any) -> Shape:
    """Return the shape of a tensor as a header says it.

    Raises:
        ValueError: it is none, or no tensor can be that large.
    """
    if not isinstance(value, list | tuple) or len(value) > DIMENSIONS:
        raise ValueError("a tensor has no shape")
    elements = 1
    for length in value:
        if not is_count(length, PARAMETERS):
            raise ValueError("a tensor has no shape")
        elements *= length
        if elements > PARAMETERS:
            raise ValueError("a tensor is larger than any valid tensor")
    return tuple(value)
