"""The line in which one searches the chat. It posts what is looked for; who looks is not its business."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import HorizontalGroup
from textual.message import Message
from textual.widgets import Input, Label

from tui.scopes import Scope
from tui.widgets.bindings import bindings
from tui.widgets.editor import LineInput


class FindBar(HorizontalGroup):
    """Hidden until `open`; Enter and Down go to the next hit, Shift+Enter and Up to the one before, Esc closes."""

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

    @dataclass
    class Wanted(Message):
        """Look for `query`; empty for nothing."""

        query: str

    @dataclass
    class Stepped(Message):
        """Go to the next hit (1) or the one before (-1)."""

        step: int

    class Closed(Message):
        """The search is over."""

    def compose(self) -> ComposeResult:
        """Lay out the field and the count."""
        yield Label("Find")
        yield LineInput(compact=True, id="find-words")
        yield Label("", id="find-count")

    def open(self) -> None:
        """Show the line, ready for typing."""
        self.add_class("-open")
        field = self.query_one(Input)
        self.screen.set_focus(field)
        field.action_select_all()
        if field.value:
            self.post_message(self.Wanted(field.value))

    def show_count(self, current: int, total: int) -> None:
        """Show which hit of how many one is at."""
        none = "no hit" if self.query_one(Input).value else ""
        self.query_one("#find-count", Label).update(f"{current}/{total}" if total else none)

    def action_close(self) -> None:
        """Hide the line."""
        self.remove_class("-open")
        self.post_message(self.Closed())

    def action_step(self, step: int) -> None:
        """Ask for another hit."""
        self.post_message(self.Stepped(step))

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Wanted(event.value))
