"""Undo and redo for a chat, as a list of small patches.

A patch names what has to be put where: applying one returns the patch that takes it back. Nothing that was ever said
is dropped by working on after an undo: what was undone moves into the history, and undo passes through it again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any, Final

from tui.conversation.turn import Status, Turn
from tui.dataclass import dataclass

HISTORY_LIMIT: Final = 500
"""The maximum number of patches kept per chat; the oldest are dropped first."""


@dataclass(frozen=True, slots=True)
class Patch:
    """A change to apply to a chat: turns (None removes a turn), selected children (None: the newest), and plain fields."""

    label: str
    turns: Mapping[str, Turn | None] = field(default_factory=dict)
    selected: Mapping[str, str | None] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Keys of the file that this version does not know; written back as they were."""


@dataclass(frozen=True, slots=True)
class History:
    """The patches that undo what was done (newest last), and those that redo what was undone."""

    undo: tuple[Patch, ...] = ()
    redo: tuple[Patch, ...] = ()

    def pushed(self, inverse: Patch, passed: tuple[Patch, ...] = ()) -> History:
        """Return the history after a new operation.

        Args:
            inverse: takes the operation back.
            passed: what leads back through operations that had been undone, oldest first (see `Conversation`).
        """
        undo = (*self.undo, *passed, inverse)
        return replace(self, undo=undo[-HISTORY_LIMIT:], redo=())

    def unfinished(self) -> frozenset[str]:
        """Return the ids of the turns that a patch would put back as still being written."""
        return frozenset(
            turn.id
            for patch in (*self.undo, *self.redo)
            for turn in patch.turns.values()
            if turn is not None and turn.status is Status.STREAMING
        )

    def written(self, turn_id: str, changes: Mapping[str, Any]) -> History:
        """Return the history with fields of a turn replaced wherever it is still being written."""
        patches = (*self.undo, *self.redo)
        if not any(_is_open(patch, turn_id) for patch in patches):
            return self
        changed = [_written(patch, turn_id, changes) for patch in patches]
        return History(tuple(changed[: len(self.undo)]), tuple(changed[len(self.undo) :]))


def fitting(turns: Mapping[str, Turn], patches: tuple[Patch, ...]) -> tuple[Patch, ...]:
    """Return the newest patches, which stand last, as far as each leaves a tree when they are applied in turn."""
    parents = {turn.id: turn.parent for turn in turns.values()}
    children = Counter(parents.values())
    for count, patch in enumerate(reversed(patches)):
        before = {key: parents[key] for key in patch.turns if key in parents}
        for key, turn in patch.turns.items():
            if key in parents:
                children[parents.pop(key)] -= 1
            if turn is not None:
                parents[key] = turn.parent
                children[turn.parent] += 1
        if not _is_tree(parents, children, before, patch):
            return patches[len(patches) - count :]
    return patches


def _is_tree(
    parents: Mapping[str, str | None],
    children: Mapping[str | None, int],
    before: Mapping[str, str | None],
    patch: Patch,
) -> bool:
    """Whether the changed turns hang on the others, without a loop, and none that was taken out is missed."""
    put = {key for key, turn in patch.turns.items() if turn is not None}
    if any(children[key] for key in patch.turns if key not in put):
        return False
    moved = any(key in before and before[key] != parents[key] for key in put)
    rooted: set[str] = set()
    for key in put:
        way: dict[str, None] = {}
        at: str | None = key
        while at is not None and at not in rooted and (moved or at in put):
            if at in way or at not in parents:
                return False
            way[at] = None
            at = parents[at]
        if at is not None and at not in parents:
            return False
        rooted |= way.keys()
    return True


def _is_open(patch: Patch, turn_id: str) -> bool:
    turn = patch.turns.get(turn_id)
    return turn is not None and turn.status is Status.STREAMING


def _written(patch: Patch, turn_id: str, changes: Mapping[str, Any]) -> Patch:
    turn = patch.turns.get(turn_id)
    if turn is None or not _is_open(patch, turn_id):
        return patch
    return replace(patch, turns={**patch.turns, turn_id: replace(turn, **changes)})
