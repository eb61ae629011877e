"""What was written and not sent, by chat, and what was sent, over all chats. Both live on the disk; reading and writing them is the
disk thread's work, which whoever makes these objects hands in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from tui.chat.outbox import Outgoing
from tui.chat.signal import Signal
from tui.commands import typed_text
from tui.conversation import USER, Conversation
from tui.settings.history import (
    APART,
    Draft,
    DraftFile,
    Sent,
    add_to_history,
    read_history,
)

NOT_BEGUN: Final = ""
RunOnDisk = Callable[[Callable[[], object]], object]
"""Has something done on the thread that writes, in the order in which it was asked for."""


def draft_key(chat: Conversation) -> str:
    """Return what the draft of a chat is kept under; a chat that has not begun is as good as any new one."""
    return chat.id if chat.turns else NOT_BEGUN


class Drafts:
    """The draft of each chat. Each change is written at once, beside those of other windows.

    Two windows may write in chats that have not begun, or in one chat: each keeps its own draft, and the one that is left over is
    there when the other has been sent.
    """

    def __init__(self, path: Path | None, run: RunOnDisk) -> None:
        """Make it, empty until `add_read`.

        Args:
            path: the file of drafts; None to keep them in memory only.
            run: has the writing done.
        """
        self._file = DraftFile(path) if path is not None else None
        self._run = run
        self._drafts: dict[str, Draft] = {}
        self.changed: Signal[None] = Signal()
        """Other chats hold drafts than before."""

    @property
    def chats(self) -> frozenset[str]:
        """The IDs of the chats in which something is written but not sent."""
        return frozenset(
            name
            for key, draft in self._drafts.items()
            if (name := key.partition(APART)[0])
            and (draft.text.strip() or draft.attachments or draft.edits)
        )

    def read(self) -> tuple[dict[str, Draft], str]:
        """Return what is on the disk, and a sentence about what is wrong with it; on a thread that may wait."""
        return self._file.read() if self._file is not None else ({}, "")

    def add_read(self, drafts: Mapping[str, Draft]) -> None:
        """Take over what was read; what was written since goes before it."""
        self._drafts = {**drafts, **self._drafts}
        self.changed.emit(None)

    def of(self, key: str) -> Draft | None:
        """Return the draft that is kept under a key, else one that another window left beside it; None without one."""
        if key not in self._drafts:
            self._adopt(key)
        return self._drafts.get(key)

    def _adopt(self, key: str) -> None:
        name = next((one for one in self._drafts if one.startswith(f"{key}{APART}")), None)
        if name is not None:
            self._drafts[key] = self._drafts.pop(name)
            if (file := self._file) is not None:
                self._run(lambda: file.adopt(key, name))

    def keep(self, key: str, draft: Draft) -> None:
        """Keep a draft in place of the one before; an empty one takes that away."""
        if draft == self._drafts.get(key, Draft()):
            return
        before = self.chats
        self._drafts.pop(key, None)
        if not draft.is_empty:
            self._drafts[key] = draft
        self._write(key)
        if self.chats != before:
            self.changed.emit(None)

    def put_in_front(self, key: str, outgoing: Outgoing) -> None:
        """Keep a message that could not be sent, in front of what is written in its chat since."""
        there = self._drafts.get(key, Draft())
        texts = [text for text in (outgoing.typed, there.text) if text.strip()]
        attachments = (*outgoing.attachments, *there.attachments)
        self.keep(key, replace(there, text="\n".join(texts), attachments=attachments))

    def drop(self, key: str) -> None:
        """Have no draft under a key any more."""
        self.keep(key, Draft())

    def _write(self, key: str) -> None:
        if (file := self._file) is not None:
            draft = self._drafts.get(key, Draft())
            self._run(lambda: file.write(key, draft))


class SentHistory:
    """What was sent in this chat and in others, for the Up key and the search."""

    def __init__(self, path: Path | None, run: RunOnDisk) -> None:
        """Make it, empty until `add_read`; see `Drafts`."""
        self._path = path
        self._run = run
        self._sent: list[Sent] = []

    def read(self) -> list[Sent]:
        """Return what is on the disk, the newest last; on a thread that may wait."""
        return read_history(self._path) if self._path is not None else []

    def add_read(self, sent: Sequence[Sent]) -> None:
        """Take over what was read, in front of what was sent since."""
        self._sent = [*sent, *self._sent]

    def add(self, sent: Sent) -> None:
        """Keep what was sent, as it was typed."""
        self._sent.append(sent)
        if self._path is not None:
            path = self._path
            self._run(lambda: add_to_history(path, sent))

    def for_chat(self, chat: Conversation) -> list[Sent]:
        """Return what was sent elsewhere and then the chat's own messages, each as one types it; the newest last.

        Those of other branches come before those of the shown one.
        """
        shown = {turn.id for turn in chat.path}
        others = sorted(
            (turn for turn in chat.turns.values() if turn.id not in shown),
            key=lambda turn: turn.created_at,
        )
        own = [
            Sent(typed_text(turn.text), chat.id)
            for turn in (*others, *chat.path)
            if turn.role == USER and turn.text.strip()
        ]
        return [*(one for one in self._sent if one.chat_id != chat.id), *own]
