"""Texts that go with a message: read from files or from a pipe, and refused where they are no text or too long to send."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Final

from tui.errors import UserError
from tui.files import read_regular, reason, typed_path
from tui.sanitize import sanitize_line

LARGEST_BYTES: Final = 1_000_000
"""What is longer fits no model's context."""
_LONGEST_NAME: Final = 200
_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def attachment_name(path: str) -> str:
    """Return what a file is called in a message."""
    return sanitize_line(str(typed_path(path)), _LONGEST_NAME)


def text_of(path: Path) -> str:
    """Return the text of a file.

    Raises:
        UserError: it can't be read, is no text, or too long to send.
    """
    try:
        data = read_regular(path)
    except OSError as error:
        raise UserError(f"{path} can't be attached ({reason(error)}).") from error
    return decoded(data, str(path))


def decoded(data: bytes, name: str) -> str:
    """Return the text that bytes are: UTF-8, or UTF-16 where they begin with its mark. What is neither becomes U+FFFD.

    Args:
        data: of them, at most one more than `LARGEST_BYTES` is needed.
        name: what they are, for the error.

    Raises:
        UserError: they are no text, or too many to send.
    """
    if len(data) > LARGEST_BYTES:
        raise UserError(f"{name} can't be attached: it is larger than 1 MB.")
    if data.startswith(_UTF_16):
        return data.decode("utf-16", "replace")
    if b"\0" in data:
        raise UserError(f"{name} can't be attached: it is not a text file.")
    return data.decode("utf-8-sig", "replace")
