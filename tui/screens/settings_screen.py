"""Every setting there is, made from the schema: what it is set to, where that comes from, and a way to change it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Label, OptionList
from textual.widgets.option_list import Option

from tui.errors import UserError
from tui.json_types import Json
from tui.parameters import format_value
from tui.sanitize import sanitize, sanitize_line
from tui.scopes import Scope
from tui.screens.ask import AskText
from tui.screens.dialog import Hint, KeyHints, show_problem
from tui.screens.picker import Entry, ListDialog, Picker
from tui.settings.preferences import Origin, Preferences
from tui.settings.schema import SETTINGS, Setting
from tui.widgets.bindings import bindings
from tui.widgets.editor import LineInput

_NAME_CELLS = 38
_VALUE_CELLS = 18


class SettingsScreen(ListDialog[None]):
    """Changes the configuration file; each change is written and holds at once."""

    PLACE = Scope.SETTINGS
    BINDINGS: ClassVar[list[BindingType]] = bindings(
        Scope.SETTINGS, does={"setting.unset": "reset"}
    )
    CSS = """
    SettingsScreen {
        & > #dialog { width: 100; height: 94%; }
        & Input { margin-top: 1; }
        & OptionList { height: 1fr; margin: 1 0; }
        & #help { height: 3; }
        &.-short OptionList { margin: 0; }
    }
    """

    class Changed(Message):
        """The configuration is another one."""

    def __init__(
        self, preferences: Preferences, *, choices: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        """Make the screen.

        Args:
            preferences: what is shown and changed.
            choices: values to choose from that the schema does not know, by the setting's key.
        """
        super().__init__()
        self._preferences = preferences
        self._choices = dict(choices or {})
        self._shown: list[Setting] = []

    def compose(self) -> ComposeResult:
        """Lay out the field, the list and the explanation."""
        with Vertical(id="dialog"):
            yield Label("Settings", classes="title")
            where = str(self._preferences.path) if self._preferences.path else "not kept in a file"
            yield Label(Content(sanitize_line(where, 300)), classes="note")
            yield LineInput(placeholder="Type to find a setting", compact=True)
            yield OptionList(id="settings")
            yield Label("", id="help", classes="note", markup=False)
            yield Label("", id="problem", classes="problem -none", markup=False)
            yield KeyHints(
                [
                    Hint("Enter", "change", "change"),
                    Hint("setting.unset", "remove from the file", "reset"),
                    Hint("Esc", "close", "close"),
                ]
            )

    def narrow(self, typed: str, keep: int = 0) -> None:
        """List the settings that have the words that were typed."""
        words = typed.casefold().split()
        self._shown = [
            one
            for one in SETTINGS.values()
            if all(word in f"{one.key} {one.help}".casefold() for word in words)
        ]
        options = self.query_one(OptionList)
        options.set_options(Option(self._row(one)) for one in self._shown)
        if self._shown:
            options.highlighted = min(keep, len(self._shown) - 1)
        else:
            self.query_one("#help", Label).update("No setting has these words.")

    def _row(self, setting: Setting) -> Content:
        value, origin = self._preferences.value(setting.key), self._preferences.origin(setting.key)
        text = (sanitize_line(_text(value), 40) or "not set").ljust(_VALUE_CELLS)
        style = "bold" if origin is not Origin.DEFAULT else ""
        mark = "• " if origin is not Origin.DEFAULT else "  "
        return Content.assemble(
            mark,
            setting.key.ljust(_NAME_CELLS),
            (text, style),
            f"  {origin.value}",
        )

    @property
    def _current(self) -> Setting | None:
        at = self.query_one(OptionList).highlighted
        return self._shown[at] if at is not None and at < len(self._shown) else None

    @on(OptionList.OptionHighlighted)
    def _explain(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        if (setting := self._current) is not None:
            text = f"{setting.help}\n{setting.range_text}; environment: {setting.variable}"
            self.query_one("#help", Label).update(sanitize(text))

    @on(Input.Submitted)
    @on(OptionList.OptionSelected)
    def _entered(self, event: Message) -> None:
        event.stop()
        self.action_change()

    @work(exclusive=True)
    async def action_change(self) -> None:
        """Ask for another value."""
        setting = self._current
        if setting is None:
            return
        now = self._preferences.value(setting.key)
        choices = self._choices.get(setting.key) or setting.choices
        if setting.kind is bool and setting.default is not None:
            await self._write(setting, not now)
        elif choices:
            entries = [Entry(one, one, is_current=one == now) for one in choices]
            chosen = await self.app.push_screen_wait(Picker(setting.key, entries))
            if chosen is not None:
                await self._write(setting, chosen)
        else:
            text = await self.app.push_screen_wait(
                AskText(
                    setting.key,
                    _text(now),
                    note=f"{setting.help} {setting.range_text.capitalize()}.",
                    check=lambda typed: _problem(setting, typed),
                    multiline=setting.key == "chat.system_prompt",
                )
            )
            if text is not None:
                value = setting.parse(text) if text or setting.kind is str else None
                await self._write(setting, value)

    @work(group="write")
    async def action_reset(self) -> None:
        """Take the setting out of the file."""
        if (setting := self._current) is not None:
            await self._write(setting, None)

    async def _write(self, setting: Setting, value: Json) -> None:
        try:
            await asyncio.to_thread(self._preferences.write, {setting.key: value})
        except UserError as error:
            show_problem(self, str(error))
            return
        over = self._preferences.origin(setting.key)
        hidden = over in (Origin.ENVIRONMENT, Origin.COMMAND_LINE) and value is not None
        show_problem(
            self,
            f"It is written, but the {over.value} says otherwise until the next start."
            if hidden
            else "",
        )
        self.narrow(self.query_one(Input).value, self.query_one(OptionList).highlighted or 0)
        self.post_message(self.Changed())


def _text(value: Json) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}={format_value(one)}" for name, one in value.items())
    return format_value(value)


def _problem(setting: Setting, typed: str) -> str | None:
    try:
        if typed or setting.kind is str:
            setting.parse(typed)
    except UserError as error:
        return str(error)
    return None
