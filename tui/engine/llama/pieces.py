"""Tokens as llama.cpp tells them, as pieces of a text."""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from typing import Any


def whole_pieces(told: Iterable[Any]) -> tuple[str, ...]:
    """Return the texts of tokens, of which those that are no whole characters are told as lists of bytes.

    A character in several tokens is in the first of them; the others are empty.
    """
    pieces: list[str] = []
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    begun = -1
    for one in told:
        data = one.encode("utf-8", "replace") if isinstance(one, str) else _bytes(one)
        made = decoder.decode(data)
        pieces.append("")
        at = begun if begun >= 0 else len(pieces) - 1
        pieces[at] += made
        is_within = bool(decoder.getstate()[0])
        begun = at if is_within and not made else (len(pieces) - 1 if is_within else -1)
    if pieces:
        pieces[begun if begun >= 0 else -1] += decoder.decode(b"", final=True)
    return tuple(pieces)


def _bytes(value: Any) -> bytes:
    if not isinstance(value, list):
        return b""
    return bytes(one for one in value if isinstance(one, int) and 0 <= one < 256)
