"""The end of a chat, or the text around a match: read on the writer's thread, shown beside the list."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from textual.content import Content

from tui.conversation import ASSISTANT, USER, Conversation, Turn
from tui.dataclass import dataclass
from tui.sanitize import sanitize, sanitize_line
from tui.sessions import SessionError, SessionStore, SessionSummary
from tui.sessions.writer import SessionWriter

REST_S: Final = 0.08
"""How long the highlight has to rest on a chat before it is read, in seconds."""
_TURNS: Final = 6
_CHARACTERS: Final = 1_500
"""The most characters shown of one turn."""
_KEPT: Final = 64
_LARGEST_BYTES: Final = 8_000_000
_NAMES: Final = {USER: "You", ASSISTANT: "Assistant"}


@dataclass(frozen=True, slots=True)
class Said:
    """The part of a turn that is shown."""

    role: str
    text: str


def read_said(store: SessionStore, chat_id: str, turn_id: str = "") -> tuple[Said, ...]:
    """Return the last turns of a chat; with `turn_id`, that turn and those before it. Runs on the writer's thread.

    Raises:
        SessionError: the chat can't be read.
    """
    chat = store.load(chat_id, lock=False).conversation
    turns = _led_to(chat, turn_id) if turn_id in chat.turns else list(chat.path)
    return tuple(Said(turn.role, _part(turn)) for turn in turns[-_TURNS:])


def _led_to(chat: Conversation, turn_id: str) -> list[Turn]:
    """Return a turn and the turn before it."""
    turns = [chat.turns[turn_id]]
    before = chat.turns.get(turns[0].parent or "")
    return [before, *turns] if before is not None else turns


def _part(turn: Turn) -> str:
    text = turn.gist
    is_long = len(text) > _CHARACTERS
    return sanitize(text[:_CHARACTERS]).strip() + ("…" if is_long else "")


def preview(said: tuple[Said, ...]) -> Content:
    """Return the preview: each speaker with the text."""
    parts: list[tuple[str, str]] = []
    for one in said:
        name = _NAMES.get(one.role) or sanitize_line(one.role, 40)
        gap = "\n\n" if parts else ""
        parts += [(f"{gap}{name}\n", "bold"), (one.text, "$foreground")]
    return Content.assemble(*parts)


class Previews:
    """Reads the highlighted chat, and caches what was read."""

    def __init__(self, sessions: SessionWriter, show: Callable[[Content], object]) -> None:
        """Create it.

        Args:
            sessions: reads the chats.
            show: shows a preview.
        """
        self._sessions = sessions
        self._show = show
        self._read: dict[tuple[SessionSummary, str], tuple[Said, ...]] = {}

    async def look(self, summary: SessionSummary | None, turn_id: str = "") -> None:
        """Show the preview of a chat; None clears it. The caller cancels the previous call."""
        if summary is None:
            self._show(Content(""))
            return
        key = (summary, turn_id)
        if key not in self._read:
            await asyncio.sleep(REST_S)
            if (said := await self._said(summary, turn_id)) is None:
                self._show(Content.styled("This chat can't be read.", "$text-muted"))
                return
            while len(self._read) >= _KEPT:
                self._read.pop(next(iter(self._read)))
            self._read[key] = said
        self._show(preview(self._read[key]))

    async def _said(self, summary: SessionSummary, turn_id: str) -> tuple[Said, ...] | None:
        if summary.problem or summary.size_bytes > _LARGEST_BYTES:
            return ()
        try:
            return await self._sessions.do(partial(read_said, chat_id=summary.id, turn_id=turn_id))
        except SessionError:
            # Opening the chat reports what is wrong with it.
            return None
