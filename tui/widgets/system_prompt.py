"""The field for the system prompt."""

from __future__ import annotations

from textual.message import Message

from tui.widgets.editor import Editor


class SystemPrompt(Editor):
    """The editor of the system prompt."""

    HELP = "Instructions for the model, sent before the chat. Applies from the next reply."

    _text_before = ""
    """The text when the field got the focus."""

    class Left(Message):
        """The field lost the focus, and its text is not the one from before."""

    @property
    def explanation(self) -> str:
        """What it is for."""
        return self.HELP

    def on_focus(self) -> None:
        """Remember the text."""
        self._text_before = self.text

    def on_blur(self) -> None:
        """Post `Left` if the text was changed."""
        if self.text != self._text_before:
            self._text_before = self.text
            self.post_message(self.Left())
