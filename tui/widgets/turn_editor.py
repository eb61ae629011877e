"""The editor that lies over a turn while it is changed in place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual.binding import BindingType
from textual.geometry import Region
from textual.message import Message

from tui.scopes import Scope
from tui.widgets.bindings import bindings, key_name
from tui.widgets.composer import Composer
from tui.widgets.shown_turn import GUTTER, MEASURE


class TurnEditor(Composer):
    """Enter ends the edit (and has a user turn answered), Ctrl+S only saves it, Esc leaves the turn as it was.

    Attributes:
        turn_id: the turn that is edited.
        is_user: whether it is one of the user's.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings(
        Scope.EDIT, does={"edit.save": "save_only", "edit.leave": "cancel"}
    )
    DEFAULT_CSS = """
    TurnEditor {
        layer: overlay;
        position: absolute;
        min-height: 3;
        max-height: 100%;
        background: $surface;
        border: round $primary;
        border-title-color: $text-primary;
        border-subtitle-color: $text-muted;
        &:focus { border: round $primary; }
    }
    """

    @dataclass
    class Edited(Message):
        """The turn is to have another text.

        Attributes:
            answer: whether the change is to be answered.
        """

        turn_id: str
        text: str
        answer: bool

    class Left(Message):
        """The turn is to stay as it was."""

    def __init__(self, turn_id: str, text: str, *, is_user: bool) -> None:
        super().__init__(id="turn-editor")
        self.turn_id = turn_id
        self._original = text
        self.border_title = "Edit"
        self.is_user = is_user
        self.set_text(text)

    def name_keys(self) -> None:
        """Say on the frame which keys there are."""
        key = key_name(self.app, "edit.save") if self.is_user else ""
        enter = "Enter Send" if self.is_user else "Enter Save"
        self.border_subtitle = f"{enter}{f' · {key} Save only' if key else ''} · Esc Cancel"

    def place(self, turn: Region, pane: Region) -> None:
        """Lie over the region of a turn, within that of the pane; both in cells of the screen."""
        top = max(pane.y, min(turn.y, pane.bottom - 6))
        width = max(20, min(pane.width - 2, MEASURE + 2 * GUTTER))
        self.styles.offset = (pane.x + max(0, pane.width - width) // 2, top)
        self.styles.width = width
        self.styles.max_height = max(3, pane.bottom - top)
        self.styles.min_height = min(max(3, turn.height), max(3, pane.bottom - top))

    @property
    def is_changed(self) -> bool:
        """Whether something was written that the turn does not say."""
        return self.text != self._original

    def action_submit(self) -> None:
        """End the edit, and have the turn answered."""
        self._end(answer=True)

    def action_save_only(self) -> None:
        """End the edit without an answer."""
        self._end(answer=False)

    def action_cancel(self) -> None:
        """Leave the turn as it was."""
        self.post_message(self.Left())

    def action_older_or_up(self) -> None:
        """Go a line up."""
        self.action_cursor_up()

    def action_newer_or_down(self) -> None:
        """Go a line down."""
        self.action_cursor_down()

    def _end(self, *, answer: bool) -> None:
        if not self.is_changed and not answer:
            self.post_message(self.Left())
        else:
            self.post_message(self.Edited(self.turn_id, self.text, answer))
