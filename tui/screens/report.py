"""The result of a job with many parts, as text that stays until it is closed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Label

from tui.sanitize import sanitize
from tui.scopes import Scope
from tui.screens.dialog import Hint, KeyHints
from tui.screens.reading_dialog import ReadingDialog
from tui.widgets.bindings import bindings

MOST_LINES: Final = 200
"""More lines than this are not laid out within one frame."""


class Report(ReadingDialog[None]):
    """Shows a summary and a list of notes."""

    PLACE = Scope.REPORT
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.REPORT)
    CSS = """
    Report {
        & > #dialog { width: 90; }
        & VerticalScroll { height: auto; max-height: 20; margin: 1 0; }
        &.-short VerticalScroll { max-height: 12; margin: 0; }
    }
    """

    def __init__(self, title: str, summary: str, lines: Sequence[str], more: str = "") -> None:
        """Create it. Text from any source is safe here.

        Args:
            title: the title of the dialog.
            summary: the first paragraph.
            lines: the notes; the first `MOST_LINES` are shown.
            more: how to see the others.
        """
        super().__init__()
        self._title = title
        self._summary = summary
        shown, left = lines[:MOST_LINES], len(lines) - MOST_LINES
        self._lines = (
            (*shown, f"… and {left:,} more. {more}".rstrip()) if left > 0 else tuple(shown)
        )

    def compose(self) -> ComposeResult:
        """Lay out the text."""
        with Vertical(id="dialog"):
            yield Label(Content(self._title), classes="title")
            yield Label(Content(sanitize(self._summary)), classes="text")
            with VerticalScroll():
                yield Label(Content(sanitize("\n".join(self._lines))), classes="note")
            yield KeyHints([Hint("up/down", "scroll", "close"), Hint("Esc", "close", "close")])

    def on_mount(self) -> None:
        """Give the text the focus, so that keys scroll it at once."""
        self.set_focus(self.query_one(VerticalScroll))
