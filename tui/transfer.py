"""Moving chats between this app's folder and files of other tools, for the screen and for the command line."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

from tui.conversation import ChatFormatError, Conversation
from tui.conversation.formats import FORMATS, Format, Imported, export_text, import_text
from tui.export_html import HTML
from tui.files import FILE_MODE, reason, write_atomic

EXPORTS: Final[Mapping[str, Format]] = {
    name: one for name, one in {**FORMATS, HTML.name: HTML}.items() if one.write is not None
}
"""The formats that can be written, by name."""


class TransferError(Exception):
    """A file could not be read or written; the message is a sentence for a person."""


def write_chats(
    chats: Sequence[Conversation],
    format_name: str,
    path: Path,
    *,
    overwrite: bool = False,
    selection: Collection[str] | None = None,
) -> None:
    """Write chats to a file of a format, readable by its owner alone.

    Args:
        format_name: a name in `EXPORTS`.
        overwrite: replace a file that is there.
        selection: ids of turns to write; None for all.

    Raises:
        TransferError: it could not be written, or there is a file already.
    """
    try:
        text = export_text(chats, EXPORTS[format_name], selection)
    except ChatFormatError as error:
        raise TransferError(str(error)) from error
    write_new(path, text, overwrite=overwrite)


def write_new(path: Path, text: str, *, overwrite: bool = False) -> None:
    """Write a text to a file, readable by its owner alone.

    Raises:
        TransferError: it could not be written, or there is a file already.
    """
    data = text.encode("utf-8", "replace")
    try:
        if overwrite:
            write_atomic(path, data)
            return
        with os.fdopen(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "wb"
        ) as file:
            file.write(data)
    except FileExistsError as error:
        raise TransferError(f"{path} is there already") from error
    except OSError as error:
        raise TransferError(f"{path} can't be written ({reason(error)})") from error


def read_chats(path: Path) -> Imported:
    """Read the chats of a file in any known format; each gets a fresh id.

    Raises:
        TransferError: it can't be read, or holds no chat.
    """
    try:
        return import_text(path.read_bytes())
    except OSError as error:
        raise TransferError(f"{path} can't be read ({reason(error)})") from error
    except ChatFormatError as error:
        raise TransferError(f"{path} can't be imported: {error}") from error


def format_for(path: Path) -> str:
    """Return the name of the format that a file's ending stands for; `chat-tui` where it stands for none."""
    ending = path.suffix.lower()
    own = {
        f".{one.extensions[0].lstrip('.')}": name for name, one in reversed(list(EXPORTS.items()))
    }
    return own.get(ending, "chat-tui")
