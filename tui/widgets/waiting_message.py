"""The message that waits until the current reply has ended."""

from __future__ import annotations

from typing import ClassVar

from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from tui.sanitize import sanitize_line


class WaitingMessage(Static):
    """Shows the first words of the waiting message. A click takes it back."""

    DEFAULT_CSS: ClassVar[str] = """
    WaitingMessage {
        display: none; height: 1; padding: 0 2; color: $text-muted;
        max-width: 105; text-wrap: nowrap; text-overflow: ellipsis;
        &.-waiting { display: block; }
    }
    """

    class Clicked(Message):
        """The user wants to take the message back into the composer."""

    def show(self, text: str) -> None:
        """Show the waiting message; empty for none."""
        self.set_class(bool(text), "-waiting")
        self.update(
            Content.assemble(
                ("next: ", "bold"),
                sanitize_line(text, 300),
                ("   (press Up to take it back)", "dim"),
            )
        )

    def on_click(self) -> None:
        """Post `Clicked`."""
        self.post_message(self.Clicked())
