"""A collapsible group of generation parameters in the sidebar. The fields of rarely used parameters are created on demand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textual import on
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Button, Collapsible
from textual.widgets._collapsible import CollapsibleTitle

from tui.parameters import Parameter, Value
from tui.widgets.defaults import Defaults
from tui.widgets.parameter_field import ParameterField


class Group(Collapsible):
    """A collapsible part of the sidebar. Its title shows how many of its values were changed."""

    DEFAULT_CSS = """
    Group {
        border: none; padding: 0; margin: 1 0; background: $surface; width: 1fr; height: auto;
        &.-collapsed { margin: 0; }
        & CollapsibleTitle {
            padding: 0; width: 1fr; color: $text-muted; text-style: bold; background: $surface;
            &:hover { background: $surface-lighten-1; color: $foreground; }
            &:focus { background: $surface-lighten-2; color: $foreground; text-style: bold underline; }
        }
        & Contents { padding: 0; height: auto; width: 1fr; }
        &:focus-within { background-tint: $foreground 0%; }
    }
    """

    def __init__(
        self,
        title: str,
        *children: object,
        collapsed: bool = False,
        id: str | None = None,  # noqa: A002 - Textual's name
    ) -> None:
        super().__init__(
            *children,  # type: ignore[arg-type]
            title=title,
            collapsed=collapsed,
            collapsed_symbol="▸",
            expanded_symbol="▾",
            id=id,
        )
        self._name_text = title

    def on_mount(self) -> None:
        """Let the title take the focus only if there is nothing else to focus."""
        self._let_focus()

    @on(Collapsible.Toggled)
    def _toggled(self, event: Collapsible.Toggled) -> None:
        event.stop()
        title = self.query_one(CollapsibleTitle)
        if title.has_focus and not self.collapsed:
            self.screen.focus_next()
        self._let_focus()

    def _let_focus(self) -> None:
        self.query_one(CollapsibleTitle).can_focus = self.collapsed

    def show_note(self, text: str) -> None:
        """Show a note after the title; empty for none."""
        self.title = f"{self._name_text} · {text}" if text else self._name_text

    def show_changed(self, count: int) -> None:
        """Show after the title how many values were changed."""
        self.show_note(f"{count} changed" if count else "")


class ParameterGroup(Group):
    """Fields for the parameters of one group: the common ones and those that are set. A `more` button adds the others."""

    DEFAULT_CSS = """
    ParameterGroup {
        & .fields { height: auto; width: 1fr; }
        & Button.more { width: 1fr; height: 1; border: none; padding: 0 0 0 1; color: $text-muted; text-style: none; text-align: left; content-align: left middle; background: $surface; }
    }
    """

    def __init__(
        self, title: str, parameters: Sequence[Parameter], values: Mapping[str, Value]
    ) -> None:
        self._parameters = tuple(parameters)
        self._values: Mapping[str, Value] = dict(values)
        self._defaults = Defaults()
        self._shows_all = False
        self._fields = Vertical(*map(self._field, self._wanted()), classes="fields")
        common = [one for one in parameters if one.is_common]
        super().__init__(
            title,
            self._fields,
            Button(self._more_text(), compact=True, classes="more"),
            collapsed=len(common) < 2 and not self._wanted(only_set=True),
            id=f"group-{title.lower().replace(' ', '-')}",
        )

    def on_mount(self) -> None:
        """Show what was changed."""
        super().on_mount()
        self._show_state()

    def _wanted(self, *, only_set: bool = False) -> list[Parameter]:
        return [
            one
            for one in self._parameters
            if self._values.get(one.name) is not None
            or (not only_set and (one.is_common or self._shows_all))
        ]

    def _field(self, parameter: Parameter) -> ParameterField:
        field = ParameterField(parameter, self._values.get(parameter.name))
        field.set_defaults(self._defaults)
        return field

    def show_values(self, values: Mapping[str, Value]) -> None:
        """Show values without posting changes."""
        self._values = dict(values)
        for field in self.query(ParameterField):
            field.set_value(values.get(field.parameter.name))
        self._make_missing()
        self._show_state()

    def show_defaults(self, defaults: Defaults) -> None:
        """Show the values that apply if nothing is set, and which parameters can be set."""
        self._defaults = defaults
        for field in self.query(ParameterField):
            field.set_defaults(defaults)
        if self.is_mounted:
            self._show_state()

    def reveal(self, name: str) -> ParameterField | None:
        """Open the group and return the field of a parameter of this group, creating it if needed."""
        if name not in {one.name for one in self._parameters}:
            return None
        self.collapsed = False
        if not self._fields.query(f"#parameter-{name}"):
            self._shows_all = True
            self._make_missing()
        return self._fields.query_one(f"#parameter-{name}", ParameterField)

    def _make_missing(self) -> None:
        """Create the missing fields, each in its place."""
        made = {field.parameter.name: field for field in self._fields.query(ParameterField)}
        before: ParameterField | None = None
        for parameter in self._parameters:
            field = made.get(parameter.name)
            if field is None and parameter in self._wanted():
                field = self._field(parameter)
                if before is None:
                    self._fields.mount(field, before=0 if made else None)
                else:
                    self._fields.mount(field, after=before)
            before = field or before
        self.query_one(".more", Button).label = self._more_text()

    def _more_text(self) -> Content:
        hidden = len(self._parameters) - len(self._wanted())
        return Content(f"{hidden} more …" if hidden else "")

    def _show_state(self) -> None:
        values = {one: self._values.get(one.name) for one in self._parameters}
        self.show_changed(sum(self._defaults.differs(one, values[one]) for one in values))
        if buttons := self.query(".more"):
            buttons.first().display = len(self._wanted()) < len(self._parameters)

    @on(ParameterField.Changed)
    def _changed(self, event: ParameterField.Changed) -> None:
        # The message bubbles on to the screen, which keeps the value.
        self._values = {**self._values, event.name: event.value}
        self._show_state()

    @on(Button.Pressed, ".more")
    def _more_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self._shows_all = True
        self._make_missing()
        self._show_state()
