"""Chats on disk: saving, loading, listing, searching, trash, locks. No screen, no model."""

from tui.sessions.chats import Loaded
from tui.sessions.errors import (
    SessionConflictError,
    SessionError,
    SessionFileError,
    SessionWriteError,
)
from tui.sessions.store import SessionStore
from tui.sessions.summary import SearchHit, SessionSummary
from tui.sessions.writer import SessionWriter

__all__ = [
    "Loaded",
    "SearchHit",
    "SessionConflictError",
    "SessionError",
    "SessionFileError",
    "SessionStore",
    "SessionSummary",
    "SessionWriteError",
    "SessionWriter",
]
