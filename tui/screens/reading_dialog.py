"""What dialogs share that only show something: where the text goes that a user types who has not noticed them."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final

from textual import events
from textual.binding import ActiveBinding
from textual.timer import Timer

from tui.actions import actions
from tui.scopes import Scope
from tui.screens.closed_once import Result
from tui.screens.dialog import Dialog
from tui.widgets.key_burst import BURST_S, KeyBurst, KeyKind, Verdict

_MOVES: Final = frozenset(one.id for one in actions(Scope.READER, Scope.TREE))
_PAUSE: Final = 10
"""After a pause of this many times `burst_s`, letters may be keys again."""


class ReadingDialog(Dialog[Result]):
    """A dialog without a text field. Letters in quick succession, and those that are no keys here, go to the message."""

    burst_s: ClassVar[float] = BURST_S
    """How long a letter that does more than move waits for a second one, in seconds."""

    type_on: Callable[[str], object] | None = None
    """Receives what belongs to the message; None to drop it."""

    def __init__(self) -> None:
        super().__init__()
        self._burst = KeyBurst(self.burst_s)
        self._typed_at = float("-inf")
        self._held: ActiveBinding | None = None
        self._held_timer: Timer | None = None

    async def on_key(self, event: events.Key) -> None:
        """Run the action of a letter, or pass the letter on to the message."""
        if not event.is_printable or event.character is None:
            self._burst.end()
            await self._run_held()
            return
        event.stop()
        if event.time - self._typed_at > _PAUSE * self.burst_s:
            self._burst.end()
        self._typed_at = event.time
        active = self.active_bindings.get(event.key)
        decision = self._burst.press(event.character, _kind_of(active), event.time)
        if decision.verdict is Verdict.TYPE:
            self._take_held()
            self._type(decision.text)
            return
        await self._run_held()
        self._held = active
        if decision.verdict is Verdict.RUN:
            await self._run_held()
        else:
            self._held_timer = self.set_timer(self.burst_s, self._run_held)

    def on_paste(self, event: events.Paste) -> None:
        """Pass a pasted text on to the message."""
        event.stop()
        self._type(event.text)

    def _type(self, text: str) -> None:
        if self.type_on is not None:
            self.type_on(text)

    def _take_held(self) -> ActiveBinding | None:
        held, self._held = self._held, None
        if self._held_timer is not None:
            self._held_timer.stop()
            self._held_timer = None
        return held

    async def _run_held(self) -> None:
        held = self._take_held()
        if held is not None:
            await self.app.run_action(held.binding.action, held.node)


def _kind_of(active: ActiveBinding | None) -> KeyKind:
    if active is None:
        return KeyKind.NONE
    return KeyKind.MOVES if active.binding.id in _MOVES else KeyKind.ACTS
