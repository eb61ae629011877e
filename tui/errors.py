"""The one kind of error that a person reads.

Whoever raises it writes whole sentences, so that whoever catches it can show them as they are.
"""

from __future__ import annotations


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
