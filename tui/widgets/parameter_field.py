"""One generation parameter in the sidebar: its name, a field for its value, and why a value was rejected."""

from __future__ import annotations

from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.geometry import Region
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input, Label

from tui.dataclass import dataclass
from tui.parameters import Parameter, ParameterError, Value
from tui.sanitize import sanitize, sanitize_line
from tui.scopes import Scope
from tui.widgets.bindings import bindings
from tui.widgets.defaults import Defaults
from tui.widgets.ground import has_styles
from tui.widgets.line_input import LineInput

_ROOM: Final = 9
"""If the default and the word for its origin have at most this many characters together, the origin fits too."""


class ValueInput(LineInput):
    """The input field. Arrow keys and the mouse wheel step the value."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(
        Scope.PARAMETER,
        does={
            "parameter.increase": "step(1)",
            "parameter.decrease": "step(-1)",
            "parameter.increase_much": "step(10)",
            "parameter.decrease_much": "step(-10)",
        },
    )

    @dataclass
    class Stepped(Message):
        """An arrow key or the mouse wheel changes the value by some steps."""

        steps: int

    class ResetWanted(Message):
        """The user wants the default."""

    class Escaped(Message):
        """Escape was pressed, which leaves the field."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"value-input--filled"}
    DEFAULT_CSS = """
    ValueInput {
        width: 14; background: $surface-lighten-1;
        &, &.-textual-compact { padding: 0 1; }
        & > .value-input--filled { background: $primary 25%; }
    }
    """
    share: reactive[float | None] = reactive(None)
    """The share of the field that a bar fills, from 0 to 1; None for no bar."""

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the lines of `crop`, with the bar behind the value while it is not being edited."""
        strips = super().render_lines(crop)
        if self.share is None or self.has_focus or not has_styles(self):
            return strips
        filled = round(self.share * self.size.width) - crop.x
        if filled <= 0:
            return strips
        behind = Style(bgcolor=self.get_component_rich_style("value-input--filled").bgcolor)
        return [_on(strip, filled, behind) for strip in strips]

    def on_key(self, event: events.Key) -> None:
        """Post `Escaped`; the key does what it does besides."""
        if event.key == "escape":
            self.post_message(self.Escaped())

    def action_step(self, steps: int) -> None:
        """Post `Stepped`."""
        self.post_message(self.Stepped(steps))

    def action_reset(self) -> None:
        """Post `ResetWanted`."""
        self.post_message(self.ResetWanted())

    def _wheel(self, event: events.MouseEvent, steps: int) -> None:
        # Only in the focused field. Elsewhere, the wheel scrolls the container.
        if self.has_focus:
            event.stop()
            event.prevent_default()
            self.action_step(steps * (10 if event.shift else 1))

    def _on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._wheel(event, 1)

    def _on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._wheel(event, -1)


def _on(strip: Strip, cells: int, ground: Style) -> Strip:
    """Return a strip with another background for its first cells."""
    first = [
        Segment(text, (style or Style()) + ground, control)
        for text, style, control in strip.crop(0, cells)
    ]
    return Strip.join([Strip(first), strip.crop(cells)])


class ResetSign(Label):
    """The reset sign beside a changed value. A click restores the default."""

    class Pressed(Message):
        """The sign was clicked."""

    def __init__(self) -> None:
        super().__init__("↺", classes="reset", markup=False)
        self.tooltip = "Reset to the default"

    def on_click(self, event: events.Click) -> None:
        """Post `Pressed`."""
        event.stop()
        self.post_message(self.Pressed())


class ParameterField(Widget):
    """Edits one parameter. Posts `Changed` when a valid value was entered. An invalid one is rejected in place, with the reason.

    A value counts as entered when the field loses the focus, at Enter, and at each step of an arrow key. While typing,
    the field may contain a valid value that the user doesn't mean.
    """

    DEFAULT_CSS = """
    ParameterField {
        height: auto;
        & > Horizontal { height: 1; }
        & .name { padding-right: 1; width: 1fr; height: 1; color: $foreground; text-wrap: nowrap; text-overflow: ellipsis; }
        & .reset { width: 2; height: 1; visibility: hidden; color: $text-primary; padding-left: 1; }
        &.-changed .reset { visibility: visible; }
        & .problem { display: none; color: $text-error; width: 1fr; height: auto; padding-left: 2; }
        &.-changed .name { text-style: bold; color: $text-primary; }
        &.-invalid .problem { display: block; }
        &.-invalid ValueInput { color: $text-error; }
        &.-invalid ValueInput:blur { text-style: strike; }
        &.-refused .name { color: $text-disabled; text-style: none; }
    }
    """

    @dataclass
    class Changed(Message):
        """A parameter has a new valid value; None for "not set"."""

        name: str
        value: Value

    def __init__(self, parameter: Parameter, value: Value = None) -> None:
        super().__init__(id=f"parameter-{parameter.name}")
        self.parameter = parameter
        self.value = value
        self._defaults = Defaults()
        self.set_class(self._is_changed(value), "-changed")

    def compose(self) -> ComposeResult:
        """Lay out the name, the field with the default as its placeholder, and the (hidden) reason of a rejection."""
        self.tooltip = Content(sanitize(self.explanation))
        with Horizontal():
            yield Label(self._name_text(self._is_changed(self.value)), classes="name", markup=False)
            shown, placeholder = self._shown(self.value), self._placeholder()
            yield ValueInput(shown, placeholder, compact=True, select_on_focus=True)
            yield ResetSign()
        yield Label("", classes="problem", markup=False)

    def set_value(self, value: Value) -> None:
        """Show `value` without posting a change."""
        self.value = value
        if not self.is_mounted:
            # The layout uses that value.
            return
        field = self.query_one(ValueInput)
        with field.prevent(Input.Changed):
            field.value = self._shown(value)
        self._show(None)

    def set_defaults(self, defaults: Defaults) -> None:
        """Show the value that applies while the field is empty, its origin, and whether the parameter can be set."""
        self._defaults = defaults
        if self.is_mounted:
            self.query_one(ValueInput).placeholder = self._placeholder()
            self.tooltip = Content(sanitize(self.explanation))
            self._show(None)
            self._show_refusal()

    def on_mount(self) -> None:
        """Show whether the parameter can be set, and the bar."""
        self._show_refusal()
        self._show_bar()

    def _show_refusal(self) -> None:
        self.query_one(ValueInput).disabled = bool(self._defaults.refusal(self.parameter))
        self.set_class(bool(self._defaults.refusal(self.parameter)), "-refused")

    def _placeholder(self) -> str:
        default = self._defaults.text(self.parameter)
        defaults = self._defaults
        mark = "server" if defaults.server else "engine" if defaults.engine else "model"
        fits = len(default) + len(mark) <= _ROOM
        return f"{default} ({mark})" if defaults.is_own(self.parameter) and fits else default

    @property
    def explanation(self) -> str:
        """What the parameter does, its range, and its default."""
        known = self.parameter
        if refusal := self._defaults.refusal(known):
            return f"{known.help}\n{refusal}"
        whose = (
            f"{self._defaults.engine or 'Model'}'s default"
            if self._defaults.is_own(known)
            else "Default"
        )
        return f"{known.help}\n{whose}: {self._defaults.text(known)} · {known.range_text}"

    def _shown(self, value: Value) -> str:
        return sanitize_line(self.parameter.shown(value))

    def _is_changed(self, value: Value) -> bool:
        return self._defaults.differs(self.parameter, value)

    def _name_text(self, is_set: bool) -> str:
        return ("• " if is_set else "  ") + self.parameter.label

    def _show(self, problem: str | None, is_set: bool | None = None) -> None:
        is_set = self._is_changed(self.value) if is_set is None else is_set
        self.set_class(problem is not None, "-invalid")
        self.set_class(is_set, "-changed")
        self.query_one(".name", Label).update(self._name_text(is_set))
        self.query_one(".problem", Label).update(sanitize(problem or ""))
        self._show_bar()

    def _show_bar(self) -> None:
        holds = self.value if self.value is not None else self._defaults.value(self.parameter)
        # A bar behind a rejected value would be that of another.
        has_effect = not (self._defaults.refusal(self.parameter) or self.has_class("-invalid"))
        self.query_one(ValueInput).share = self.parameter.share(holds) if has_effect else None

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        try:
            value = self.parameter.parse(event.value)
        except ParameterError as error:
            # The label is above the message.
            why = str(error).removeprefix(f"{self.parameter.label} ")
            self._show(f"{why[:1].upper()}{why[1:]}\n{self._in_use()}")
            return
        self._show(None, is_set=self._is_changed(value))

    @on(ValueInput.Escaped)
    def _escaped(self, event: ValueInput.Escaped) -> None:
        """Show the value in force instead of a rejected one."""
        event.stop()
        if self.has_class("-invalid"):
            self.set_value(self.value)

    @on(ValueInput.ResetWanted)
    @on(ResetSign.Pressed)
    def _reset(self, event: Message) -> None:
        event.stop()
        self.query_one(ValueInput).value = ""
        self.enter()

    def _in_use(self) -> str:
        if self.value is None:
            return f"In use: {self._defaults.text(self.parameter)}."
        return f"In use: {self._shown(self.value) or self.parameter.blank}."

    @on(ValueInput.Stepped)
    def _stepped(self, event: ValueInput.Stepped) -> None:
        event.stop()
        value = self.parameter.stepped(
            self.value, event.steps, self._defaults.value(self.parameter)
        )
        self.query_one(ValueInput).value = self._shown(value)
        self.enter()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.enter()

    def on_descendant_blur(self, _event: events.DescendantBlur) -> None:
        """Enter the typed value. A rejected value stays in the field, struck out, with the reason and the value in use, until
        it is corrected, or Escape takes it back.
        """
        self.enter()

    def enter(self) -> Value:
        """Enter the value in the field unless it is rejected; return the value in force."""
        try:
            value = self.parameter.parse(self.query_one(ValueInput).value)
        except ParameterError:
            return self.value
        if value != self.value:
            self.value = value
            self.post_message(self.Changed(self.parameter.name, value))
        self._show(None)
        return value
