"""Undo and redo over all that a chat is: its turns, which the chat itself keeps the history of, and what it is set to.

A change of settings that takes others' place, such as a reset or a preset, is a step between two operations on the chat. Steps
last as long as the chat is open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from tui.chat.session import Change, Changed, ChatSession
from tui.chat.settings import ChatSettings, Held


@dataclass(frozen=True, slots=True)
class _Step:
    """A change of settings.

    Attributes:
        label: what it was.
        before, after: what was set.
        depth: how many operations on the chat could be undone when it was made.
    """

    label: str
    before: Held
    after: Held
    depth: int


class Undoing:
    """Undoes and redoes what was done last, whether to the chat or to its settings."""

    def __init__(self, session: ChatSession, settings: ChatSettings) -> None:
        self._session = session
        self._settings = settings
        self._undo: list[_Step] = []
        self._redo: list[_Step] = []
        self._is_stepping = False
        session.changed.listen(self._chat_changed)

    @contextmanager
    def step(self, label: str) -> Iterator[None]:
        """Have what is set within be one step, called `label`; nothing comes of it where nothing is changed."""
        before = self._settings.held()
        yield
        after = self._settings.held()
        if after != before:
            self._undo.append(_Step(label, before, after, self._depth))
            self._redo.clear()

    @property
    def can_undo(self) -> bool:
        """Whether there is anything to undo."""
        return bool(self._undo) or self._session.conversation.can_undo

    @property
    def can_redo(self) -> bool:
        """Whether there is anything to redo."""
        return self._redo_is_next or self._session.conversation.can_redo

    def undo(self) -> str:
        """Undo the last change; return what it was, empty where there is none."""
        if self._undo and self._depth <= self._undo[-1].depth:
            step = self._undo.pop()
            self._settings.go_back(step.after, step.before)
            self._redo.append(replace(step, depth=self._depth))
            return step.label
        return self._stepped(self._session.undo)

    def redo(self) -> str:
        """Redo what was undone last; return what it is, empty where there is nothing."""
        if self._redo_is_next:
            step = self._redo.pop()
            self._settings.go_back(step.before, step.after)
            self._undo.append(step)
            return step.label
        return self._stepped(self._session.redo)

    @property
    def _depth(self) -> int:
        return len(self._session.conversation.history.undo)

    @property
    def _redo_is_next(self) -> bool:
        return bool(self._redo) and self._depth == self._redo[-1].depth

    def _stepped(self, step: Callable[[], str]) -> str:
        self._is_stepping = True
        try:
            return step()
        finally:
            self._is_stepping = False

    def _chat_changed(self, changed: Changed) -> None:
        if changed.change is Change.OPENED:
            self._undo.clear()
            self._redo.clear()
        elif changed.change in (Change.TURNS, Change.GROWN) and not self._is_stepping:
            self._redo.clear()
