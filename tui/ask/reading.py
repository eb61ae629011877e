"""What a question is made of: the words, what was piped in, and the files that go along."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Final

from tui.ask.options import STDIN, Question
from tui.chat.attachments import LARGEST_BYTES, attachment_name, decoded
from tui.errors import UserError
from tui.files import reason, typed_path
from tui.settings.history import Attachment

PIPED: Final = "stdin"
"""What a text that was piped in is called in the message."""
_READ_BYTES: Final = 65_536
_REPLACEMENT: Final = "\ufffd"


def stdin_is_piped() -> bool:
    """Return whether something can be read from stdin that nobody types."""
    try:
        return sys.stdin is not None and not sys.stdin.isatty()
    except ValueError:
        return False


def read(question: Question, tell: Callable[[str], object]) -> tuple[str, tuple[Attachment, ...]]:
    """Return the question as it is sent, and the texts that go with it. Waits for what is piped in.

    Args:
        question: what the command line says.
        tell: is given sentences about what could not be read as it is.

    Raises:
        UserError: there is nothing to ask, or something can't be read, is no text or too long.
    """
    text, files = question.text, question.files
    if (question.prompt_file == STDIN) + files.count(STDIN) > 1:
        raise UserError("Stdin can be used only once.", "Remove one of the `-` arguments.")
    attached = [_attachment(name, tell) for name in files]
    if question.prompt_file:
        text = _text(question.prompt_file, tell)
    elif STDIN not in files and stdin_is_piped():
        piped = _text(STDIN, tell)
        if not text.strip():
            text = piped
        elif piped.strip():
            attached.append(Attachment(PIPED, piped))
    if not text.strip() and not attached:
        raise UserError("There is nothing to ask.", 'Try `chat-tui ask "Why is the sky blue?"`.')
    return text, tuple(attached)


def _attachment(name: str, tell: Callable[[str], object]) -> Attachment:
    label = PIPED if name == STDIN else attachment_name(name)
    return Attachment(label, _text(name, tell))


def _text(name: str, tell: Callable[[str], object]) -> str:
    label = "The piped input" if name == STDIN else name
    data = _piped() if name == STDIN else _file(name)
    text = decoded(data, label)
    if _REPLACEMENT in text and _REPLACEMENT.encode() not in data:
        tell(f"{label} is not valid UTF-8. Invalid bytes were replaced.")
    return text


def _piped() -> bytes:
    """Return what stdin holds, to its end, but no more than one byte too many.

    Raises:
        UserError: there is none, or it can't be read.
    """
    if sys.stdin is None:
        raise UserError("Can't read stdin: it is closed.")
    try:
        return _all_of(sys.stdin.fileno())
    except OSError as error:
        raise UserError(f"Stdin can't be read ({reason(error)}).") from error


def _file(name: str) -> bytes:
    """Return what a file holds, or a pipe by its name, as of `<(command)`.

    Raises:
        UserError: it can't be read.
    """
    try:
        opened = os.open(typed_path(name), os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            return _all_of(opened)
        finally:
            os.close(opened)
    except (OSError, ValueError) as error:
        why = reason(error) if isinstance(error, OSError) else str(error)
        raise UserError(f"{name} can't be read ({why}).") from error


def _all_of(opened: int) -> bytes:
    data = bytearray()
    while len(data) <= LARGEST_BYTES and (more := os.read(opened, _READ_BYTES)):
        data += more
    return bytes(data)
