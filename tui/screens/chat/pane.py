"""The transcript with the keys that act on the turn under its cursor."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from tui.screens.bindings import bindings
from tui.widgets.markdown.pieces import Piece
from tui.widgets.transcript import Transcript
from tui.widgets.turn_view import TurnView


class TurnPane(Transcript):
    """While it has the focus, single keys act on a turn; the screen does what they ask for."""

    HELP = "The keys act on the turn under the cursor. **Esc** goes back to the message."

    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("turn", target="screen"),
        Binding("up,k", "screen.scroll_or_move(-1)", "Up", show=False),
        Binding("down,j", "screen.scroll_or_move(1)", "Down", show=False),
        Binding("home,g", "screen.transcript_first", show=False),
        Binding("end,G", "screen.transcript_follow", show=False),
        Binding("space", "screen.turn_toggle_reasoning", show=False),
        Binding("enter", "screen.composer_focus", show=False),
        Binding("escape", "end_block", show=False),
    ]
    _block_number: int | None = None

    def shown_text(self, turn_id: str) -> str:
        """Return a turn's text as it is drawn; as it was written for one that is far out of sight."""
        view = self._view_of(turn_id)
        if view is not None:
            return view.shown_answer
        return next((turn.text for turn in self.turns if turn.id == turn_id), "")

    # -- the marked block

    @property
    def block(self) -> Piece | None:
        """The marked block of the turn under the cursor; None while none is marked."""
        blocks = self._blocks() if self._block_number is not None else ()
        return blocks[min(self._block_number or 0, len(blocks) - 1)] if blocks else None

    def _blocks(self) -> tuple[Piece, ...]:
        view = self._view_of(self.cursor) if self.cursor is not None else None
        return view.blocks() if view is not None else ()

    def move_block(self, step: int) -> bool:
        """Mark the block `step` below the marked one, or begin with the first in view; return whether there is any."""
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

    def action_end_block(self) -> None:
        """Have no block marked."""
        self._block_number = None
        for view in self._views:
            view.mark_block(None)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Let Esc through while no block is marked."""
        if action == "end_block":
            return self._block_number is not None
        return super().check_action(action, parameters)

    def prepare_view(self, view: TurnView) -> None:
        """Mark the block also in a view that was made anew."""
        super().prepare_view(view)
        if self._block_number is not None and view.turn.id == self.cursor:
            view.measure(self.scrollable_content_region.width)
            blocks = view.blocks()
            view.mark_block(blocks[min(self._block_number, len(blocks) - 1)] if blocks else None)

    def watch_cursor(self, old: str | None, new: str | None) -> None:
        """Leave the blocks of a turn together with the turn."""
        if self._block_number is not None:
            self.action_end_block()
        super().watch_cursor(old, new)

    def _view_of(self, turn_id: str) -> TurnView | None:
        return next((view for view in self.query(TurnView) if view.turn.id == turn_id), None)
