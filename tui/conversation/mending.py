"""Repairs a tree of turns with missing turns: reattaches orphans and restores the active path.

It knows turns and the entries of a file, and no files.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from typing import Any, Final

from tui.conversation.content import content_text, history_words
from tui.conversation.conversation import ROOT
from tui.conversation.messages import typed_content
from tui.conversation.turn import Turn, new_id

_CANDIDATES: Final = 16
"""Turns with the same words that are tried for one entry."""
_STEPS: Final = 10_000
_STEPS_PER_TURN: Final = 20


def rooted(turns: dict[str, Turn]) -> tuple[dict[str, Turn], int]:
    """Return turns that all hang on a first turn, and how many had to be hung elsewhere.

    A turn whose parent is missing follows the turn listed before it; one that is its own ancestor becomes a first turn.
    """
    mended = 0
    before: str | None = None
    result = dict(turns)
    for key, turn in turns.items():
        if turn.parent is not None and turn.parent not in turns:
            result[key] = replace(turn, parent=before)
            mended += 1
        before = key
    settled: set[str] = set()
    for key in result:
        way: list[str] = []
        at: str | None = key
        on_way: set[str] = set()
        while at is not None and at not in settled:
            if at in on_way:
                result[at] = replace(result[at], parent=None)
                mended += 1
                break
            way.append(at)
            on_way.add(at)
            at = result[at].parent
        settled.update(way)
    return result, mended


def best_way(turns: Mapping[str, Turn], history: Any) -> dict[str, str]:
    """Return the choices that lead to the turn whose way has most of a file's `chat_history` in it, or else most turns."""
    entries = history if isinstance(history, list) else []
    said = {
        words_of(entry)
        for entry in entries
        if isinstance(entry, Mapping) and isinstance(entry.get("role"), str)
    }
    scores: dict[str | None, tuple[int, int]] = {None: (0, 0)}
    best: str | None = None
    for key in turns:
        way: list[str] = []
        at: str | None = key
        while at is not None and at not in scores:
            way.append(at)
            at = turns[at].parent
        for step in reversed(way):
            found, depth = scores[turns[step].parent]
            is_said = (turns[step].role, history_words(turns[step])) in said
            scores[step] = (found + is_said, depth + 1)
        if scores[key] >= scores[best]:
            best = key
    chosen: dict[str, str] = {}
    while best is not None:
        parent = turns[best].parent
        chosen[parent or ROOT] = best
        best = parent
    return chosen


def complete(turns: dict[str, Any], selected: dict[str, Any], said: list[Any]) -> None:
    """Lead the active path along what `chat_history` says, and add those of its turns that the tree lost.

    Args:
        turns: the entries of the turns that can be read, by their ids; changed in place.
        selected: the choices of the active path; changed in place.
        said: entries of `chat_history`, each with a role.
    """
    lost = _Lost(turns)
    at: str | None = None
    for entry in said:
        role, text = words_of(entry)
        turn_id = lost.find(role, text, at)
        if turn_id is None:
            turn_id = new_id()
            content = typed_content(entry.get("content"))
            turns[turn_id] = {"id": turn_id, "parent": at, "role": role, "content": content}
        elif turns[turn_id].get("parent") not in turns:
            turns[turn_id] = {**turns[turn_id], "parent": at}
        selected[turns[turn_id]["parent"] or ROOT] = turn_id
        at = turn_id


class _Lost:
    """Finds the turns that the entries of `chat_history` stand for, at a price that no file can drive up."""

    def __init__(self, turns: Mapping[str, Any]) -> None:
        self._turns = turns
        self._waiting: dict[tuple[str, str], deque[str]] = {}
        for turn_id, entry in turns.items():
            self._waiting.setdefault(words_of(entry), deque()).append(turn_id)
        self._steps_left = _STEPS + _STEPS_PER_TURN * len(turns)

    def find(self, role: str, text: str, at: str | None) -> str | None:
        """Return the first turn with these words that can follow `at`, and don't offer it again."""
        waiting = self._waiting.get((role, text), deque())
        for place, turn_id in enumerate(islice(waiting, _CANDIDATES)):
            if self._fits(turn_id, at):
                del waiting[place]
                return turn_id
        return None

    def _fits(self, turn_id: str, at: str | None) -> bool:
        """Return whether a turn can follow `at`: it stands below it, or what it stood below is lost."""
        seen = {turn_id}
        parent = self._turns[turn_id].get("parent")
        if parent not in self._turns:
            return (parent is None) == (at is None) or parent is not None
        while parent in self._turns and parent not in seen and self._steps_left > 0:
            self._steps_left -= 1
            if parent == at:
                return True
            seen.add(parent)
            parent = self._turns[parent].get("parent")
        return at is None and self._steps_left > 0


def words_of(entry: Mapping[str, Any]) -> tuple[str, str]:
    """Return the role and the text of an entry."""
    return entry["role"], content_text(entry.get("content"))
