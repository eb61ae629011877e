"""What is in force now, and where each value comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import HorizontalGroup, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Label

from tui.sanitize import sanitize, sanitize_line
from tui.scopes import Scope
from tui.screens.dialog import Dialog, Hint, KeyHints
from tui.widgets.bindings import bindings


@dataclass(frozen=True, slots=True)
class StatusRow:
    """One value.

    Attributes:
        name: what it is.
        value: as text; empty for a heading.
        origin: where it comes from.
    """

    name: str
    value: str = ""
    origin: str = ""


class StatusView(Dialog[None]):
    """Lists values with their origins."""

    PLACE = Scope.REPORT
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.REPORT)
    CSS = """
    StatusView {
        & > #dialog { width: 90; height: 90%; }
        & VerticalScroll { height: 1fr; margin: 1 0; }
        &.-short VerticalScroll { margin: 0; }
        & .heading { margin-top: 1; }
        & .name { width: 24; padding-right: 1; }
        & .value { width: 1fr; height: auto; }
        & .origin { width: 18; color: $text-muted; padding-left: 1; }
        &.-slim .name { width: 16; }
        &.-slim .origin { width: 14; }
    }
    """

    def __init__(self, rows: Sequence[StatusRow]) -> None:
        super().__init__()
        self._rows = tuple(rows)

    def compose(self) -> ComposeResult:
        """Lay out the rows."""
        with Vertical(id="dialog"):
            yield Label("Status", classes="title")
            with VerticalScroll():
                for row in self._rows:
                    if not row.value:
                        yield Label(Content(sanitize_line(row.name)), classes="heading")
                        continue
                    with HorizontalGroup():
                        yield Label(Content(sanitize_line(row.name)), classes="name")
                        yield Label(Content(sanitize(row.value)), classes="value")
                        yield Label(Content(sanitize_line(row.origin)), classes="origin")
            yield KeyHints([Hint("up/down", "scroll", "close"), Hint("Esc", "close", "close")])

    def on_mount(self) -> None:
        """Have the keys scroll at once."""
        self.set_focus(self.query_one(VerticalScroll))
