"""What can go wrong with chats on disk."""

from __future__ import annotations

from tui.errors import UserError


class SessionError(UserError):
    """Something that could not be done with a chat on disk.

    Attributes:
        message: what is true also when the app does not run any more.
        hint: what the running app does about it, or what can be done in it.
    """


class SessionFileError(SessionError):
    """A chat can't be found, or nothing in its file can be read."""


class SessionWriteError(SessionError):
    """A chat could not be written: a full disk, a folder that is gone or read-only. The file has its old content."""


class SessionConflictError(SessionError):
    """Writing would damage what somebody else wrote: another window, or a newer version. Nothing was written."""
