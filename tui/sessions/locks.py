"""Who may write a chat: one window at a time, known to all processes through a lock that dies with its owner.

The lock is the system's (`flock`), held on an empty file beside the chat, so a file that a dead process left locks nothing.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from enum import Enum, auto
from pathlib import Path
from typing import Final

from tui.files import open_own

_TRIES: Final = 20


class Taken(Enum):
    """The result of an attempt to take a lock."""

    HELD = auto()
    """It is ours."""
    BUSY = auto()
    """Another window holds it."""
    UNAVAILABLE = auto()
    """This folder can't have locks: it can't be written to, or its file system knows none."""


class ChatLocks:
    """The locks that one window holds in a folder. Two windows of one process are as apart as two processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, int] = {}

    def holds(self, chat_id: str) -> bool:
        """Whether this window holds a chat's lock."""
        return chat_id in self._held

    def take(self, chat_id: str) -> Taken:
        """Try to take a chat's lock, without waiting; taking it again changes nothing."""
        path = self._path(chat_id)
        if (held := self._held.get(chat_id)) is not None:
            if _is_at(held, path):
                return Taken.HELD
            self.release(chat_id)
        for _ in range(_TRIES):
            try:
                fd = open_own(path, os.O_RDWR, follow_links=False)
            except OSError:
                return Taken.UNAVAILABLE
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(fd)
                busy = error.errno in (errno.EWOULDBLOCK, errno.EACCES)
                return Taken.BUSY if busy else Taken.UNAVAILABLE
            # Its last owner may have removed the file between our two calls; then this lock guards nothing.
            if _is_at(fd, path):
                self._held[chat_id] = fd
                return Taken.HELD
            os.close(fd)
        return Taken.BUSY

    def release(self, chat_id: str) -> None:
        """Release a lock; does nothing if it isn't held."""
        fd = self._held.pop(chat_id, None)
        if fd is None:
            return
        path = self._path(chat_id)
        with contextlib.suppress(OSError):
            if _is_at(fd, path):
                path.unlink()
        os.close(fd)

    def release_all(self) -> None:
        """Release all locks."""
        for chat_id in list(self._held):
            self.release(chat_id)

    def _path(self, chat_id: str) -> Path:
        return self._folder / f"{chat_id}.lock"


def _is_at(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.lstat())
    except OSError:
        return False
