"""Undo and redo over all that a chat is: its turns, which the chat itself keeps the history of, and what it is set to.

A change of settings, from one value in the sidebar to a whole preset, is a step between two operations on the chat. Steps last as
long as the chat is open. Which model is loaded, what the configuration file says and how the app looks are no settings of a chat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic
from typing import Final

from tui.chat.loader import ModelLoader
from tui.chat.session import Change, Changed, ChatSession
from tui.chat.settings import ChatSettings, Held
from tui.dataclass import dataclass

TOGETHER_S: Final = 2.0
"""Changes of one setting with no longer pause than this between them, in seconds, are one step."""


@dataclass(frozen=True, slots=True)
class _Step:
    """A change of settings.

    Attributes:
        label: what it was.
        before, after: what was set.
        depth: how many operations on the chat could be undone when it was made.
        setting: the one setting that it changed; empty for several, which never grow.
        at_s: when it was made or grew.
    """

    label: str
    before: Held
    after: Held
    depth: int
    setting: str = ""
    at_s: float = 0.0


class Undoing:
    """Undoes and redoes what was done last, whether to the chat or to its settings."""

    def __init__(
        self,
        session: ChatSession,
        settings: ChatSettings,
        loader: ModelLoader,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Start with nothing to undo but what the chat remembers.

        Args:
            session: the open chat.
            settings: what it is set to.
            loader: loads the model as it was, where its quantization was changed.
            clock: tells the time, in seconds, to find changes that belong together.
        """
        self._clock = clock
        self._session = session
        self._settings = settings
        self._loader = loader
        self._undo: list[_Step] = []
        self._redo: list[_Step] = []
        self._is_stepping = False
        self._is_in_step = False
        session.changed.listen(self._chat_changed)

    @contextmanager
    def step(self, label: str, setting: str = "") -> Iterator[None]:
        """Make what is set within one step.

        Args:
            label: what the change is, for people.
            setting: the name of the one setting that is changed. Quick changes of one setting, such as by a key that is held
                down, are one step. Empty for a step of its own.
        """
        if self._is_in_step:
            # It is a part of that one.
            yield
            return
        before = self._settings.held()
        self._is_in_step = True
        try:
            yield
        finally:
            self._is_in_step = False
        after = self._settings.held()
        if after == before:
            return
        step = _Step(label, before, after, self._depth, setting, self._clock())
        last = self._undo[-1] if self._undo else None
        if last is not None and self._grows(last, step):
            self._undo.pop()
            step = replace(step, before=last.before)
        self._undo.append(step)
        self._redo.clear()

    @staticmethod
    def _grows(last: _Step, step: _Step) -> bool:
        is_same = bool(step.setting) and (last.setting, last.depth) == (step.setting, step.depth)
        is_quick = step.at_s - last.at_s <= TOGETHER_S
        return is_same and is_quick and last.after == step.before

    @property
    def can_undo(self) -> bool:
        """Whether there is anything to undo."""
        return bool(self._undo) or self._session.conversation.can_undo

    @property
    def can_redo(self) -> bool:
        """Whether there is anything to redo."""
        return self._redo_is_next or self._session.conversation.can_redo

    @property
    def can_undo_setting(self) -> bool:
        """Whether the last change was one of settings, and can be undone."""
        return bool(self._undo) and self._depth <= self._undo[-1].depth

    def undo(self) -> str:
        """Undo the last change; return what it was, empty where there is none."""
        return self.undo_setting() or self._stepped(self._session.undo)

    def undo_setting(self) -> str:
        """Undo the last change if it was one of settings, but nothing in the chat; return what it was, empty where there is none."""
        while self.can_undo_setting:
            step = self._undo.pop()
            before = self._settings.held()
            self._go_back(step.after, step.before)
            if self._settings.held() != before:
                # Changing it again, even at once, is another step.
                self._redo.append(replace(step, depth=self._depth, setting=""))
                return step.label
            # Nothing was left of it, for example because the chat's own history holds the system prompt that was sent.
        return ""

    def redo(self) -> str:
        """Redo what was undone last; return what it is, empty where there is nothing."""
        return self.redo_setting() or self._stepped(self._session.redo)

    def redo_setting(self) -> str:
        """Redo what was undone last if it was a change of settings; return what it is, empty where there is nothing."""
        if not self._redo_is_next:
            return ""
        step = self._redo.pop()
        self._go_back(step.before, step.after)
        self._undo.append(step)
        return step.label

    def _go_back(self, now: Held, before: Held) -> None:
        self._settings.go_back(now, before)
        if self._settings.quantization == now.quantization != before.quantization:
            self._loader.requantize(before.quantization)

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
