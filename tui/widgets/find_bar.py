"""The search bar of the chat. It posts the query; searching is done elsewhere."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import HorizontalGroup
from textual.message import Message
from textual.widgets import Input, Label

from tui.dataclass import dataclass
from tui.sanitize import sanitize_line
from tui.scopes import Scope
from tui.widgets.bindings import bindings
from tui.widgets.line_input import LineInput


class FindBar(HorizontalGroup):
    """Hidden until `open`. Enter and Down go to the next match, Shift+Enter and Up to the previous one, Esc closes."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(
        Scope.FIND, does={"find.next": "step(1)", "find.previous": "step(-1)"}
    )
    DEFAULT_CSS: ClassVar[str] = """
    FindBar {
        display: none; height: 1; max-width: 105; padding: 0 1; background: $surface;
        &.-open { display: block; }
        & Label { width: auto; padding: 0 1; color: $text-muted; }
        & Input { width: 1fr; background: $surface; }
    }
    """

    _awaited: str | None = None
    """The words to open the bar with."""

    @dataclass
    class Wanted(Message):
        """Search for `query`; empty to clear the search."""

        query: str

    @dataclass
    class Stepped(Message):
        """Go to the next match (1) or the previous one (-1)."""

        step: int

    class Closed(Message):
        """The search bar was closed."""

    def compose(self) -> ComposeResult:
        """Lay out the field and the count."""
        yield Label("Find")
        yield LineInput(compact=True, id="find-words")
        yield Label("", id="find-count")

    def open(self, words: str = "") -> None:
        """Show the bar, ready for typing.

        Args:
            words: what to search for; empty to keep what is in the field.
        """
        self._awaited = words
        if self.is_mounted:
            self._open()

    def on_mount(self) -> None:
        """Open now if that was wanted before there was a field."""
        if self._awaited is not None:
            self._open()

    def _open(self) -> None:
        words, self._awaited = self._awaited, None
        self.add_class("-open")
        field = self.query_one(Input)
        if words:
            field.value = sanitize_line(words)
        self.screen.set_focus(field)
        field.action_select_all()
        if field.value:
            self.post_message(self.Wanted(field.value))

    def show_count(self, current: int, total: int) -> None:
        """Show the number of the current match and the number of all matches."""
        none = "no matches" if self.query_one(Input).value else ""
        self.query_one("#find-count", Label).update(f"{current}/{total}" if total else none)

    def action_close(self) -> None:
        """Hide the bar."""
        self.remove_class("-open")
        self.post_message(self.Closed())

    def action_step(self, step: int) -> None:
        """Post `Stepped` for the next or previous match."""
        self.post_message(self.Stepped(step))

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Wanted(event.value))
