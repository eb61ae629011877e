"""The message that waits until the reply under way has ended."""

from __future__ import annotations

from typing import ClassVar

from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from tui.sanitize import sanitize_line


class WaitingMessage(Static):
    """Shows the first words of what waits; a click asks for it back."""

    DEFAULT_CSS: ClassVar[str] = """
    WaitingMessage {
        display: none; height: 1; padding: 0 2; color: $text-muted;
        max-width: 105; text-wrap: nowrap; text-overflow: ellipsis;
        &.-waiting { display: block; }
    }
    """

    class Clicked(Message):
        """The user wants the message back in the composer."""

    def show(self, text: str) -> None:
        """Show what waits; empty for nothing."""
        self.set_class(bool(text), "-waiting")
        self.update(
            Content.assemble(
                ("next: ", "bold"), sanitize_line(text, 300), ("   (Up takes it back)", "dim")
            )
        )

    def on_click(self) -> None:
        """Ask for the message back."""
        self.post_message(self.Clicked())
