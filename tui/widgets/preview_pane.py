"""A preview of the highlighted entry beside a list. It scrolls with the mouse, and the list keeps the focus."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static


class PreviewPane(VerticalScroll):
    """Shows text, which is not parsed as markup."""

    DEFAULT_CSS = """
    PreviewPane {
        width: 1fr; height: 1fr; margin-left: 2; padding: 0 1 0 2; border-left: solid $border-blurred;
        scrollbar-size-vertical: 1; scrollbar-gutter: stable; color: $text-muted;
        & > Static { width: 1fr; height: auto; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id, can_focus=False)
        self._text = Static(markup=False)

    def compose(self) -> ComposeResult:
        """Lay out the text."""
        yield self._text

    def show(self, text: Content, *, at_end: bool = False) -> None:
        """Show a text that consists of sanitized text.

        Args:
            text: the text to show.
            at_end: whether to show the end of a text that doesn't fit.
        """
        self._text.update(text)
        if at_end:
            self.scroll_end(animate=False)
        else:
            self.scroll_home(animate=False)
