"""The sidecar of a chat: the text of a reply since the last save, with one appended line per checkpoint.

The rules that keep it harmless:

- Every line names its turn and the place in the turn's text where it belongs, so a line that is in the saved text already adds
  nothing, and one that does not fit what stands before its place ends the folding of that turn.
- Only a turn that the saved chat calls unfinished takes text from it; what belongs to any other turn is outdated.
- A line that can't be read, as the last one after a crash, is passed over.

The file is `<chat id>.reply`; each line `{"turn", "at": [text, reasoning], "text", "reasoning"}`, places in characters.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tui.conversation import Conversation, Status, Turn
from tui.dataclass import dataclass
from tui.files import fsync_folder, open_own, write_all


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One line: text and reasoning of a turn, and the places in characters where they belong."""

    turn_id: str
    text_at: int
    reasoning_at: int
    text: str
    reasoning: str


class ReplyLog:
    """The sidecar that this process appends to."""

    def __init__(self, path: Path) -> None:
        """Open the file for appending, and make it if it is not there; what else has its name is set aside.

        Raises:
            OSError: it can't be opened.
        """
        self._path = path
        self._fd = open_own(path, os.O_RDWR | os.O_APPEND, follow_links=False)
        self._size_bytes = os.fstat(self._fd).st_size
        self._is_named = False
        # A torn line of a dead process must not swallow the next one.
        self._starts_torn = self._size_bytes > 0 and os.pread(
            self._fd, 1, self._size_bytes - 1
        ) != (b"\n")

    def append(self, checkpoint: Checkpoint) -> None:
        """Append a line and wait until it is on the disk.

        Raises:
            OSError: it is not; the file is as it was before.
        """
        line = json.dumps(
            {
                "turn": checkpoint.turn_id,
                "at": [checkpoint.text_at, checkpoint.reasoning_at],
                "text": checkpoint.text,
                "reasoning": checkpoint.reasoning,
            }
        ).encode()
        line = (b"\n" if self._starts_torn else b"") + line + b"\n"
        try:
            write_all(self._fd, line)
            os.fsync(self._fd)
            if not self._is_named:
                fsync_folder(self._path.parent)
                self._is_named = True
        except BaseException:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._size_bytes)
            self._starts_torn = True
            raise
        self._starts_torn = False
        self._size_bytes += len(line)

    @property
    def is_in_place(self) -> bool:
        """Whether the file that is written to still has its name."""
        try:
            return os.path.samestat(os.fstat(self._fd), self._path.lstat())
        except OSError:
            return False

    def close(self) -> None:
        """Close the file; what was appended stays."""
        with contextlib.suppress(OSError):
            os.close(self._fd)


def read_checkpoints(data: bytes) -> list[Checkpoint]:
    """Return the lines of a sidecar that can be read, in order."""
    found: list[Checkpoint] = []
    for line in data.split(b"\n"):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        checkpoint = _checkpoint(entry)
        if checkpoint is not None:
            found.append(checkpoint)
    return found


def _checkpoint(entry: Any) -> Checkpoint | None:
    if not isinstance(entry, dict):
        return None
    turn_id, at = entry.get("turn"), entry.get("at")
    text, reasoning = entry.get("text"), entry.get("reasoning")
    if not (isinstance(turn_id, str) and isinstance(text, str) and isinstance(reasoning, str)):
        return None
    if not (isinstance(at, list) and len(at) == 2):
        return None
    if not all(isinstance(place, int) and place >= 0 for place in at):
        return None
    return Checkpoint(turn_id, at[0], at[1], text, reasoning)


def fold(conversation: Conversation, checkpoints: Iterable[Checkpoint]) -> Conversation:
    """Return the chat with its unfinished replies grown by what the sidecar says."""
    grown: dict[str, Turn] = {}
    ended: set[str] = set()
    for point in checkpoints:
        turn = grown.get(point.turn_id) or conversation.turns.get(point.turn_id)
        if turn is None or turn.status is not Status.STREAMING or turn.id in ended:
            continue
        text = _grown(turn.text, point.text_at, point.text)
        reasoning = _grown(turn.reasoning, point.reasoning_at, point.reasoning)
        if text is None or reasoning is None:
            ended.add(turn.id)
            continue
        grown[turn.id] = replace(turn, text=text, reasoning=reasoning)
    if not grown:
        return conversation
    apart = {turn.id: _told_apart(turn) for turn in grown.values()}
    return replace(conversation, turns={**conversation.turns, **apart})


def _told_apart(turn: Turn) -> Turn:
    """Return a turn without the reasoning in its text, which stands there when it turned out to be that only after it was written."""
    from tui.conversation.thoughts import parted

    reasoning, text = ("", "") if turn.reasoning else parted(turn.text)
    return replace(turn, text=text, reasoning=reasoning) if reasoning else turn


def _grown(said: str, at: int, piece: str) -> str | None:
    """Return `said` with `piece` from place `at` on; None when they don't belong together."""
    if at > len(said):
        return None
    overlap = said[at : at + len(piece)]
    if not piece.startswith(overlap):
        return None
    return said + piece[len(overlap) :]
