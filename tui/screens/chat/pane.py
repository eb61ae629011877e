"""The transcript with the keys that act on the turn under its cursor."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from tui.screens.bindings import bindings
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
    ]

    def shown_text(self, turn_id: str) -> str:
        """Return a turn's text as it is drawn; as it was written for one that is far out of sight."""
        view = self._view_of(turn_id)
        if view is not None:
            return view.shown_answer
        return next((turn.text for turn in self.turns if turn.id == turn_id), "")

    def _view_of(self, turn_id: str) -> TurnView | None:
        return next((view for view in self.query(TurnView) if view.turn.id == turn_id), None)
