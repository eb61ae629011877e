"""The transcript with the keys that act on the turn under its cursor."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, ClassVar, Final

from textual import events
from textual.binding import ActiveBinding, BindingType
from textual.message import Message
from textual.timer import Timer

from tui.actions import actions
from tui.dataclass import dataclass
from tui.scopes import Scope
from tui.widgets.bindings import bindings
from tui.widgets.key_burst import BURST_S, KeyBurst, KeyKind, Verdict
from tui.widgets.transcript import Transcript

if TYPE_CHECKING:
    from tui.widgets.markdown.pieces import Piece
    from tui.widgets.turn_view import TurnView

_MOVES: Final = frozenset((None, *(one.id for one in actions(Scope.TURNS))))
_REPEATS: Final = ("turn.undo", "turn.redo", "turn.copy_code", "turn.older", "turn.newer")


class TurnPane(Transcript):
    """While it has the focus, single keys act on a turn; the screen runs their actions.

    Prose is recognized by its pace and by letters that mean nothing here, and goes to the message: see `key_burst`.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(Scope.TURN, target="screen"),
        *bindings(
            Scope.TURNS,
            does={
                "turns.up": "screen.scroll_or_move(-1)",
                "turns.down": "screen.scroll_or_move(1)",
                # A letter must not move the focus to the message. If it was the first letter of a text, it would be lost.
                "turns.down_within": "screen.scroll_or_move(1, False)",
                "turns.first": "screen.do('transcript.first')",
                "turns.last": "screen.do('transcript.follow')",
                "turns.fold": "screen.do('turn.toggle_reasoning')",
                "turns.write": "screen.do('composer.focus')",
            },
        ),
    ]
    _block_number: int | None = None
    burst_s: ClassVar[float] = BURST_S
    """How long a key that acts on the chat waits for a second one, in seconds."""

    @dataclass
    class Typed(Message):
        """The user types or pastes text that belongs to the message."""

        text: str

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id)
        self._burst = KeyBurst(self.burst_s)
        self._held: ActiveBinding | None = None
        self._held_timer: Timer | None = None

    # -- keys, commands or prose

    async def _on_key(self, event: events.Key) -> None:
        if self._passed_on(event):
            return
        if event.character is None or not _is_typed(event):
            # Handle the keys in the order in which they were pressed.
            await self._run_held()
            self._passed_on(event)
            return
        _stop(event)
        active = self.screen.active_bindings.get(event.key)
        decision = self._burst.press(event.character, _kind_of(active), event.time)
        if decision.verdict is Verdict.TYPE:
            self._drop_held()
            self.post_message(self.Typed(decision.text))
            return
        await self._run_held()
        if self._passed_on(event):
            return
        self._held = active
        if decision.verdict is Verdict.RUN:
            await self._run_held()
        else:
            self._held_timer = self.set_timer(self.burst_s, self._look_at_held)

    def _look_at_held(self) -> None:
        """Run a key's action, but only after the keys that are already queued, because together they may be prose."""
        held = self._held
        self.app.call_later(self.call_later, self._run_if_held, held)

    async def _run_if_held(self, held: ActiveBinding | None) -> None:
        if held is not None and held is self._held:
            await self._run_held()

    def _passed_on(self, event: events.Key) -> bool:
        """Pass a key to the widget that has the focus now. The previous key may have moved the focus, for example into a turn's
        editor.
        """
        focused = self.screen.focused
        if focused is None or focused is self:
            return False
        _stop(event)
        focused.post_message(events.Key(event.key, event.character))
        return True

    def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        self.post_message(self.Typed(event.text))

    def _on_blur(self, _event: events.Blur) -> None:
        self._burst.end()

    async def _run_held(self) -> None:
        """Run the action of the last key, unless later keys have shown that it was prose."""
        held = self._held
        self._drop_held()
        if held is not None:
            await self.app.run_action(held.binding.action, held.node)

    def _drop_held(self) -> None:
        self._held = None
        if self._held_timer is not None:
            self._held_timer.stop()
            self._held_timer = None

    def shown_text(self, turn_id: str) -> str:
        """Return a turn's text as displayed, or its source if the turn is far out of sight."""
        view = self._view_of(turn_id)
        if view is not None:
            return view.shown_answer
        return next((turn.text for turn in self.turns if turn.id == turn_id), "")

    # -- the marked block

    @property
    def block(self) -> Piece | None:
        """The selected block of the turn under the cursor; None if there is none."""
        blocks = self._blocks() if self._block_number is not None else ()
        return blocks[min(self._block_number or 0, len(blocks) - 1)] if blocks else None

    def _blocks(self) -> tuple[Piece, ...]:
        view = self._view_of(self.cursor) if self.cursor is not None else None
        return view.blocks() if view is not None else ()

    def move_block(self, step: int) -> bool:
        """Select the block `step` below the selected one, or the first visible one. Return whether there is any."""
        view = self._view_of(self.cursor) if self.cursor is not None else None
        blocks = self._blocks()
        if view is None or not blocks:
            return False
        if self._block_number is None:
            hidden = round(self.scroll_y) - view.virtual_region.y
            rows = [view.mark_block(block) for block in blocks]
            self._block_number = next((n for n, row in enumerate(rows) if row >= hidden), 0)
        else:
            self._block_number = max(0, min(self._block_number + step, len(blocks) - 1))
        row = view.mark_block(blocks[self._block_number])
        self._reveal(self._positions[view.turn.id], row)
        return True

    @property
    def marks_block(self) -> bool:
        """Whether a block of the turn under the cursor is selected."""
        return self._block_number is not None

    def action_end_block(self) -> None:
        """Clear the block selection."""
        self._block_number = None
        for view in self._views:
            view.mark_block(None)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Let Esc through if no block is selected."""
        if action == "end_block":
            return self.marks_block
        return super().check_action(action, parameters)

    def prepare_view(self, view: TurnView) -> None:
        """Show the selected block in a view that was rebuilt."""
        super().prepare_view(view)
        if self._block_number is not None and view.turn.id == self.cursor:
            view.measure(self.scrollable_content_region.width)
            blocks = view.blocks()
            view.mark_block(blocks[min(self._block_number, len(blocks) - 1)] if blocks else None)

    def watch_cursor(self, old: str | None, new: str | None) -> None:
        """Clear the block selection when the cursor leaves the turn."""
        if self._block_number is not None:
            self.action_end_block()
        super().watch_cursor(old, new)
        # User turns and replies have different actions.
        self.screen.refresh_bindings()

    def _view_of(self, turn_id: str) -> TurnView | None:
        from tui.widgets.turn_view import TurnView

        return next((view for view in self.query(TurnView) if view.turn.id == turn_id), None)


def _stop(event: events.Key) -> None:
    event.stop()
    event.prevent_default()


def _is_typed(event: events.Key) -> bool:
    """Return whether a key types a character. Python does not count blanks of other widths as printable."""
    return event.is_printable or (
        event.character is not None and unicodedata.category(event.character[:1] or "\0") == "Zs"
    )


def _kind_of(active: ActiveBinding | None) -> KeyKind:
    """Return what kind of key this is on a turn. Keys that act on the transcript as a whole only move."""
    if active is None:
        return KeyKind.NONE
    if active.binding.id in _REPEATS:
        return KeyKind.REPEATS
    return KeyKind.MOVES if active.binding.id in _MOVES else KeyKind.ACTS
