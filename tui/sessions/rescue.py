"""Copies of chats that can't be saved in their folder, written elsewhere so that quitting loses no text.

A copy is a chat file like any other: `chat-tui --session FILE` opens it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tui.conversation import Conversation, codec
from tui.files import reason, write_all
from tui.sessions.errors import SessionWriteError


def write_copy(conversation: Conversation, folders: Iterable[Path] | None = None) -> Path:
    """Write a copy of a chat, readable by its owner alone, into the first folder that takes it.

    Args:
        conversation: the chat.
        folders: where to try; by default the home folder, which lasts, and then the system's temporary one.

    Returns:
        The copy's path.

    Raises:
        SessionWriteError: none of the folders takes it.
    """
    import tempfile

    data = codec.dumps(conversation)
    failed: list[str] = []
    for folder in _default_folders() if folders is None else folders:
        try:
            # A new name that nobody can have taken: the temporary folder belongs to everybody.
            fd, name = tempfile.mkstemp(".json", f"chat-tui-{conversation.id[:8]}-", folder)
        except OSError as error:
            failed.append(f"{folder} ({reason(error)})")
            continue
        try:
            write_all(fd, data)
            os.fsync(fd)
        except OSError as error:
            failed.append(f"{folder} ({reason(error)})")
            with suppress(OSError):
                Path(name).unlink()
        else:
            return Path(name)
        finally:
            os.close(fd)
    raise SessionWriteError(f"No copy of the chat could be written: {', '.join(failed)}.")


def _default_folders() -> list[Path]:
    import tempfile

    folders = []
    with suppress(RuntimeError):
        folders.append(Path.home())
    with suppress(OSError):
        folders.append(Path(tempfile.gettempdir()))
    return folders
