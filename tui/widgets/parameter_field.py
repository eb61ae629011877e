"""One generation parameter in the sidebar: its name, a field for its value, and why a value was refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Label

from tui.parameters import Parameter, ParameterError, Value, format_value
from tui.sanitize import sanitize


class ValueInput(Input):
    """The field itself; arrow keys step the value."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "step(1)", show=False),
        Binding("down", "step(-1)", show=False),
        Binding("shift+up", "step(10)", show=False),
        Binding("shift+down", "step(-10)", show=False),
    ]

    @dataclass
    class Stepped(Message):
        """An arrow key asks for a value some steps away."""

        steps: int

    def action_step(self, steps: int) -> None:
        """Ask for the value `steps` steps away."""
        self.post_message(self.Stepped(steps))


class ParameterField(Widget):
    """Edits one parameter. Posts `Changed` when a valid value was entered; an invalid one is refused in place with the reason.

    A value counts as entered when the field is left, at Enter, and with each step of an arrow key: what is typed on the
    way to it may be a valid value that nobody wants.
    """

    DEFAULT_CSS = """
    ParameterField {
        height: auto;
        & > Horizontal { height: 1; }
        & .name { padding-right: 1; width: 1fr; height: 1; color: $foreground; text-wrap: nowrap; text-overflow: ellipsis; }
        & ValueInput { width: 12; background: $surface-lighten-1; }
        & .problem { display: none; color: $text-error; width: 1fr; height: auto; padding-left: 1; }
        &.-changed .name { text-style: bold; color: $text-primary; }
        &.-invalid .problem { display: block; }
    }
    """

    @dataclass
    class Changed(Message):
        """A parameter has another valid value; None for "not set"."""

        name: str
        value: Value

    def __init__(self, parameter: Parameter, value: Value = None) -> None:
        super().__init__(id=f"parameter-{parameter.name}")
        self.parameter = parameter
        self.value = value
        self._default: Value = parameter.default
        self.tooltip = Content(f"{parameter.help}\n{parameter.name}, {parameter.range_text}")

    def compose(self) -> ComposeResult:
        """Lay out the name, the field and the (hidden) reason of a refusal."""
        with Horizontal():
            yield Label(self._name_text(self.value is not None), classes="name", markup=False)
            yield ValueInput(format_value(self.value), compact=True, select_on_focus=True)
        yield Label("", classes="problem", markup=False)

    def on_mount(self) -> None:
        """Show the default as the placeholder."""
        self._show_default()

    def set_value(self, value: Value) -> None:
        """Show `value` without posting a change."""
        self.value = value
        field = self.query_one(ValueInput)
        with field.prevent(Input.Changed):
            field.value = format_value(value)
        self._show(None)

    def set_default(self, value: Value) -> None:
        """Show what holds while the field is empty."""
        self._default = value
        if self.is_mounted:
            self._show_default()

    def _show_default(self) -> None:
        default = format_value(self._default)
        blank = "random" if self.parameter.name == "seed" else "off"
        self.query_one(ValueInput).placeholder = default or blank
        self._show(None)

    def _name_text(self, is_set: bool) -> str:
        return ("• " if is_set else "  ") + self.parameter.label

    def _show(self, problem: str | None, is_set: bool | None = None) -> None:
        is_set = self.value is not None if is_set is None else is_set
        self.set_class(problem is not None, "-invalid")
        self.set_class(is_set, "-changed")
        self.query_one(".name", Label).update(self._name_text(is_set))
        self.query_one(".problem", Label).update(sanitize(problem or ""))

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        try:
            value = self.parameter.parse(event.value)
        except ParameterError as error:
            self._show(f"{error}; {self._kept()}", is_set=self.value is not None)
            return
        self._show(None, is_set=value is not None)

    def _kept(self) -> str:
        in_force = self._default if self.value is None else self.value
        return f"{format_value(in_force) or 'off'} stays in force"

    @on(ValueInput.Stepped)
    def _stepped(self, event: ValueInput.Stepped) -> None:
        event.stop()
        value = self.parameter.stepped(self.value, event.steps, self._default)
        self.query_one(ValueInput).value = format_value(value)
        self.enter()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.enter()

    def on_descendant_blur(self, _event: events.DescendantBlur) -> None:
        """Take what was entered; show the value in force again when that was refused."""
        self.enter()
        if self.has_class("-invalid"):
            self.set_value(self.value)

    def enter(self) -> Value:
        """Take what stands in the field, unless it is refused; return the value in force then."""
        try:
            value = self.parameter.parse(self.query_one(ValueInput).value)
        except ParameterError:
            return self.value
        if value != self.value:
            self.value = value
            self.post_message(self.Changed(self.parameter.name, value))
        self._show(None)
        return value
