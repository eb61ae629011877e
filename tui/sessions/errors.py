"""Errors about chats on disk."""

from __future__ import annotations

from tui.errors import UserError


class SessionError(UserError):
    """An operation on a chat on disk failed.

    Attributes:
        message: what is true also when the app does not run any more.
        hint: what the running app does about it, or what can be done in it.
    """


class SessionFileError(SessionError):
    """A chat can't be found, or nothing in its file can be read."""


class SessionWriteError(SessionError):
    """A chat could not be written: the disk is full, or the folder is missing or read-only. The file is unchanged."""


class SessionConflictError(SessionError):
    """Writing would overwrite changes by another window or a newer version. Nothing was written."""
