"""One switch of a chat template in the sidebar."""

from __future__ import annotations

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Label, Select

from tui.dataclass import dataclass
from tui.engine.base import TemplateSwitch
from tui.json_types import Json
from tui.parameters import format_value
from tui.sanitize import sanitize_line
from tui.widgets.line_input import LineInput


class SwitchField(Widget):
    """Edits one switch. Posts `Changed`."""

    DEFAULT_CSS = """
    SwitchField {
        height: 1;
        & .name { padding-right: 1; width: 1fr; height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
        & Select, & Input { width: 15; background: $surface-lighten-1; }
        &.-changed .name { text-style: bold; color: $text-primary; }
    }
    """

    @dataclass
    class Changed(Message):
        """A switch has a new value; None leaves it to the template."""

        name: str
        value: Json

    def __init__(self, switch: TemplateSwitch, value: Json = None) -> None:
        super().__init__()
        self.switch = switch
        self._value = value

    def compose(self) -> ComposeResult:
        """Lay out the name and the value."""
        with Horizontal():
            yield Label(self._name_text(), classes="name", markup=False)
            if self.switch.choices:
                default = format_value(self.switch.default)
                blank = f"({sanitize_line(default, 12)})" if default else "(default)"
                at = self._index(self._value)
                yield Select(
                    [
                        (blank, -1),
                        *(
                            (sanitize_line(format_value(one), 30), n)
                            for n, one in enumerate(self.switch.choices)
                        ),
                    ],
                    value=at,
                    allow_blank=False,
                    compact=True,
                )
            else:
                yield LineInput(
                    sanitize_line(format_value(self._value)),
                    placeholder=sanitize_line(format_value(self.switch.default)) or "default",
                    compact=True,
                )

    def on_mount(self) -> None:
        """Mark a value that is set."""
        self.set_class(self._value is not None, "-changed")
        self.tooltip = self.explanation

    @property
    def explanation(self) -> str:
        """The origin of the switch."""
        return f"{sanitize_line(self.switch.name)}: an option of this model's chat template. Applies from the next reply."

    def _index(self, value: Json) -> int:
        same = (
            n
            for n, one in enumerate(self.switch.choices)
            if one == value and type(one) is type(value)
        )
        return next(same, -1)

    def _name_text(self) -> str:
        return ("• " if self._value is not None else "  ") + sanitize_line(self.switch.name)

    def _take(self, value: Json) -> None:
        if value == self._value and type(value) is type(self._value):
            return
        self._value = value
        self.set_class(value is not None, "-changed")
        self.query_one(".name", Label).update(self._name_text())
        self.post_message(self.Changed(self.switch.name, value))

    @on(Select.Changed)
    def _chosen(self, event: Select.Changed) -> None:
        event.stop()
        if isinstance(event.value, int):
            self._take(None if event.value < 0 else self.switch.choices[event.value])

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._take(event.value or None)

    def on_descendant_blur(self, _event: events.DescendantBlur) -> None:
        """Enter the typed value."""
        for field in self.query(Input):
            self._take(field.value or None)
