"""What can go wrong with chats on disk. Each message is one or two sentences for a person."""

from __future__ import annotations


class SessionError(Exception):
    """Something that could not be done with a chat on disk.

    Attributes:
        message: what happened and what to do.
        what_happened: that without what the running app will do about it, for when it does not run any more.
    """

    def __init__(self, message: str, then: str = "") -> None:
        super().__init__(message + then)
        self.message = message + then
        self.what_happened = message


class SessionFileError(SessionError):
    """A chat can't be found, or nothing in its file can be read."""


class SessionWriteError(SessionError):
    """A chat could not be written: a full disk, a folder that is gone or read-only. The file has its old content."""


class SessionConflictError(SessionError):
    """Writing would damage what somebody else wrote: another window, or a newer version. Nothing was written."""
