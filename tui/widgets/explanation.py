"""The explanation at the bottom of the settings: what the focused setting is for."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Label

from tui.sanitize import sanitize


@runtime_checkable
class Explains(Protocol):
    """A settings widget with an explanation."""

    @property
    def explanation(self) -> str:
        """What it is for, in a few lines."""


class SettingRow(Horizontal):
    """A name, a field, and an explanation of the two."""

    DEFAULT_CSS = """
    SettingRow {
        height: 1;
        & > .name { width: auto; height: 1; padding-right: 1; }
    }
    """

    def __init__(
        self,
        name: str,
        field: Widget,
        explanation: str = "",
        *,
        id: str | None = None,  # noqa: A002 - Textual's name
    ) -> None:
        label = (Label(name, classes="name", markup=False),) if name else ()
        super().__init__(*label, field, id=id)
        self.explanation = explanation
        """What the field is for, and notes on its value."""


class Explanation(Label):
    """Explains the focused setting."""

    DEFAULT_CSS = """
    Explanation {
        dock: bottom; display: none; height: 6; width: 1fr;
        padding: 0 1 0 2; border-top: solid $border-blurred;
        color: $text-muted; background: $surface;
        &.-shown { display: block; }
    }
    """

    def __init__(self) -> None:
        super().__init__("", markup=False)

    def look(self, within: Widget) -> None:
        """Explain the focused widget, if it is in `within` and has an explanation."""
        focused = self.screen.focused
        text = ""
        if focused is not None and within in focused.ancestors:
            explains = (one for one in focused.ancestors_with_self if isinstance(one, Explains))
            text = next((one.explanation for one in explains), "")
        self.set_class(bool(text), "-shown")
        self.update(Content(sanitize(text)))
