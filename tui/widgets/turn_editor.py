"""The editor on top of a turn while it is edited in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from textual import events
from textual.binding import BindingType
from textual.content import Content
from textual.geometry import Region
from textual.message import Message
from textual.widgets.text_area import Selection

from tui.dataclass import dataclass
from tui.sanitize import sanitize_line
from tui.scopes import Scope
from tui.widgets.bindings import bindings, key_name
from tui.widgets.composer import Composer
from tui.widgets.shown_turn import GUTTER, MEASURE, margin

_LONGEST_NAMES: Final = 60


class TurnEditor(Composer):
    """Enter finishes the edit (and sends a user turn), Ctrl+S only saves it, Esc leaves the turn unchanged.

    Attributes:
        turn_id: the edited turn.
        is_user: whether it is a user turn.
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
        """The user changed the text of the turn.

        Attributes:
            answer: whether to generate a reply to the new text.
            removed: how many attachments were removed, the last ones.
        """

        turn_id: str
        text: str
        answer: bool
        removed: int = 0

    class Left(Message):
        """The user cancelled the edit."""

    def __init__(
        self, turn_id: str, text: str, *, is_user: bool, files: Sequence[str] = ()
    ) -> None:
        """Create it.

        Args:
            turn_id: the turn.
            text: its text.
            is_user: whether it is a user turn.
            files: the names of its attachments.
        """
        super().__init__(id="turn-editor")
        self.turn_id = turn_id
        self._original = text
        self._files = [*files]
        self._removed = 0
        self._show_files()
        self.is_user = is_user
        self.set_text(text)

    def name_keys(self) -> None:
        """Show the keys on the frame."""
        key = key_name(self.app, "edit.save") if self.is_user else ""
        enter = "Enter Send" if self.is_user else "Enter Save"
        self.border_subtitle = f"{enter}{f' · {key} Save only' if key else ''} · Esc Cancel"

    def place(self, turn: Region, pane: Region) -> None:
        """Cover the region of a turn, within the region of the pane; both in cells of the screen."""
        top = max(pane.y, min(turn.y, pane.bottom - 6))
        width = max(20, min(pane.width - 2, MEASURE + 2 * GUTTER))
        centered = max(0, pane.width - width) // 2
        # The bar beside the turn is covered too; it may have fewer lines than the frame.
        left = min(centered, margin(pane.width))
        self.styles.offset = (pane.x + left, top)
        self.styles.width = width + centered - left
        self.styles.max_height = max(3, pane.bottom - top)
        self.styles.min_height = min(max(3, turn.height), max(3, pane.bottom - top))

    @property
    def is_changed(self) -> bool:
        """Whether the text or the attachments differ from the turn's."""
        return self.text != self._original or self._removed > 0

    def _show_files(self) -> None:
        """Name the attachments on the frame, and how to remove them."""
        names = sanitize_line(", ".join(self._files), _LONGEST_NAMES)
        how = "Backspace at the start removes the last attachment"
        self.border_title = Content(f"Edit · {names} · {how}" if self._files else "Edit")

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "backspace" and self._files and self.selection == Selection.cursor((0, 0)):
            event.stop()
            event.prevent_default()
            self._files.pop()
            self._removed += 1
            self._show_files()
            return
        await super()._on_key(event)

    def action_submit(self) -> None:
        """Finish the edit, and have the turn answered."""
        self._end(answer=True)

    def action_save_only(self) -> None:
        """Finish the edit without a reply."""
        self._end(answer=False)

    def action_cancel(self) -> None:
        """Leave the turn unchanged."""
        self.post_message(self.Left())

    def action_older_or_up(self) -> None:
        """Move up a line."""
        self.action_cursor_up()

    def action_newer_or_down(self) -> None:
        """Move down a line."""
        self.action_cursor_down()

    def _end(self, *, answer: bool) -> None:
        if not self.is_changed and not answer:
            self.post_message(self.Left())
        else:
            self.post_message(self.Edited(self.turn_id, self.text, answer, self._removed))
