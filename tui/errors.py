"""The one kind of error that a person reads.

Whoever raises it writes whole sentences, so that whoever catches it can show them as they are.
"""

from __future__ import annotations

from collections.abc import Sequence


class UserError(Exception):
    """Something that could not be done, in words for the person who wanted it.

    `str(error)` is all there is to say: the message and the hint.

    Attributes:
        message: what happened, in one or more whole sentences.
        hint: what to do about it, in whole sentences; may be empty.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


def listed(names: Sequence[str]) -> str:
    """Return names as a sentence lists them, for example "a", "a and b" or "a, b, and c"."""
    if len(names) < 3:
        return " and ".join(names)
    return f"{', '.join(names[:-1])}, and {names[-1]}"
