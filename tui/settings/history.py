"""What was sent, over all chats, and what was written and not sent, by chat. Private files; losing them does no harm."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, Final

from tui.dataclass import dataclass
from tui.files import (
    make_private_folder,
    open_own,
    read_end,
    read_regular,
    reason,
    set_aside,
    write_all,
    write_atomic,
)

MOST_SENT: Final = 2000
_MOST_BYTES: Final = 8_000_000
_LONGEST: Final = 20_000
"""A longer message is found in its chat, and does not fill the history."""
_MOST_DRAFTS: Final = 200
_MOST_DRAFT_BYTES: Final = 1 << 28


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that was sent.

    Attributes:
        text: as it was typed.
        chat_id: the chat it was sent in.
    """

    text: str
    chat_id: str = ""


def read_history(path: Path) -> list[Sent]:
    """Return what was sent, the newest last; what can't be read is left out."""
    try:
        lines = read_end(path, _MOST_BYTES).decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    found: list[Sent] = []
    for line in lines[-MOST_SENT:]:
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict) and isinstance(entry.get("text"), str):
            found.append(Sent(entry["text"], str(entry.get("chat", ""))))
    return found


def add_to_history(path: Path, sent: Sent) -> None:
    """Put a message at the end of the history, which is cut where it has become long.

    Raises:
        OSError: it can't be written.
    """
    if len(sent.text) > _LONGEST:
        return
    make_private_folder(path.parent)
    line = json.dumps({"text": sent.text, "chat": sent.chat_id}) + "\n"
    if path.is_file() and path.stat().st_size > _MOST_BYTES:
        kept = read_history(path)[-MOST_SENT // 2 :]
        text = "".join(json.dumps({"text": one.text, "chat": one.chat_id}) + "\n" for one in kept)
        if kept:
            write_atomic(path, text.encode())
        else:
            set_aside(path)
    fd = open_own(path, os.O_RDWR | os.O_APPEND)
    try:
        size_bytes = os.fstat(fd).st_size
        # A line that was cut off must not swallow the next one.
        is_torn = size_bytes > 0 and os.pread(fd, 1, size_bytes - 1) != b"\n"
        write_all(fd, (b"\n" if is_torn else b"") + line.encode())
    finally:
        os.close(fd)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A text that goes with a message without standing in the composer.

    Attributes:
        name: a file's name, or what it is.
        text: its content.
    """

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Draft:
    """What was written in a chat and not sent.

    Attributes:
        text: as it stands in the composer.
        attachments: the texts that go with it.
        settings: what was set in a chat that has not begun, which has no file for it.
        edits: the texts of unfinished edits, by the IDs of their turns.
    """

    text: str = ""
    attachments: Sequence[Attachment] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    edits: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to keep."""
        return not (self.text.strip() or self.attachments or self.settings or self.edits)


def read_drafts(path: Path) -> tuple[dict[str, Draft], str]:
    """Return the drafts by their chats' ids, and a sentence about what is wrong with their file; empty when nothing is.

    What can't be read is left out. A file that can't be read as a whole is set aside, since writing would take its place.
    """
    try:
        document = json.loads(read_regular(path, most_bytes=_MOST_DRAFT_BYTES).decode())
    except (FileNotFoundError, NotADirectoryError):
        return {}, ""
    except (OSError, ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        return {}, _drafts_problem(path)
    drafts = {chat: draft for chat, one in document.items() if (draft := _draft(one)) is not None}
    return drafts, ""


def _drafts_problem(path: Path) -> str:
    try:
        return f"Your drafts can't be read; the file is kept as {set_aside(path)}."
    except OSError as error:
        return f"Your drafts can't be read: {path} ({reason(error)})."


def _draft(entry: Any) -> Draft | None:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("text", ""), str):
        return None
    given = entry.get("attachments", [])
    attachments = [
        Attachment(one["name"], one["text"])
        for one in (given if isinstance(given, list) else [])
        if isinstance(one, dict)
        and isinstance(one.get("name"), str)
        and isinstance(one.get("text"), str)
    ]
    settings, edits = entry.get("settings"), entry.get("edits")
    return Draft(
        entry.get("text", ""),
        tuple(attachments),
        dict(settings) if isinstance(settings, Mapping) else {},
        {turn_id: text for turn_id, text in edits.items() if isinstance(text, str)}
        if isinstance(edits, Mapping)
        else {},
    )


def write_drafts(path: Path, changes: Mapping[str, Draft]) -> None:
    """Keep drafts beside those of other chats, which another window may have written; an empty one takes its chat's away.

    Raises:
        OSError: they can't be written.
    """
    _put(path, read_drafts(path)[0], changes)


def _put(path: Path, there: Mapping[str, Draft], changes: Mapping[str, Draft]) -> None:
    kept = {chat: draft for chat, draft in there.items() if chat not in changes}
    document = {
        chat: _entry(draft)
        for chat, draft in [*kept.items(), *changes.items()][-_MOST_DRAFTS:]
        if not draft.is_empty
    }
    make_private_folder(path.parent)
    write_atomic(path, json.dumps(document).encode(), is_own=True)


def _entry(draft: Draft) -> dict[str, Any]:
    return {
        "text": draft.text,
        "attachments": [{"name": one.name, "text": one.text} for one in draft.attachments],
        **({"settings": dict(draft.settings)} if draft.settings else {}),
        **({"edits": dict(draft.edits)} if draft.edits else {}),
    }


def _is_same(one: Draft, other: Draft) -> bool:
    if one.is_empty or other.is_empty:
        return one.is_empty and other.is_empty
    return json.dumps(_entry(one), sort_keys=True) == json.dumps(_entry(other), sort_keys=True)


APART: Final = "~"
"""Stands in the file between a draft's key and what tells it from a draft that another window has under the same key."""


class DraftFile:
    """The file of drafts as one window knows it.

    What another window has written there since is never overwritten: the draft of this window then goes beside it, under a name of
    its own. To be used on one thread, which may wait.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: dict[str, Draft] | None = None
        """What this window knows of the file; None before it was read."""
        self._names: dict[str, str] = {}
        """The names of drafts that stand beside another window's, by their keys."""

    def read(self) -> tuple[dict[str, Draft], str]:
        """Return the drafts that are there, and a sentence about what is wrong with their file; see `read_drafts`."""
        drafts, problem = read_drafts(self._path)
        self._seen = dict(drafts)
        return drafts, problem

    def adopt(self, key: str, name: str) -> None:
        """Have the draft of a key be the one with a name, which stood beside another."""
        self._names[key] = name

    def write(self, key: str, draft: Draft) -> None:
        """Put a draft into the file; an empty one takes this window's away.

        Raises:
            OSError: it can't be written.
        """
        there, _ = read_drafts(self._path)
        name = self._names.get(key, key)
        theirs = there.get(name, Draft())
        known = theirs if self._seen is None else self._seen.get(name, Draft())
        if not theirs.is_empty and not _is_same(theirs, known) and not _is_same(theirs, draft):
            if draft.is_empty:
                return
            name = self._names[key] = f"{key}{APART}{os.urandom(4).hex()}"
        _put(self._path, there, {name: draft})
        if self._seen is not None:
            self._seen[name] = draft
