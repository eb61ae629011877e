"""The settings screen: the value in force of each setting, where it comes from, and a way to change it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ClassVar, Final

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Label, OptionList
from textual.widgets.option_list import Option

from tui.errors import UserError
from tui.json_types import Json
from tui.sanitize import sanitize
from tui.scopes import Scope
from tui.screens.ask import AskText
from tui.screens.dialog import Hint, KeyHints, show_problem
from tui.screens.picker import ListDialog, Picker
from tui.screens.settings_editor import SettingsEditor
from tui.screens.settings_rows import Keeper, Row
from tui.settings.schema import Setting
from tui.widgets.bindings import bindings
from tui.widgets.columns import cut, fitted
from tui.widgets.line_input import LineInput

_TITLE_CELLS: Final = 26
_PATHS: Final = ("chat.save_folder", "chat.examples")
"""Settings that are paths of a file or folder."""
_SOURCE_CELLS: Final = 20
_LOW: Final = 18
"""On a screen of fewer lines, settings are not explained."""
_AROUND: Final = 3
"""Cells of a line taken by an option's padding and the scrollbar."""


class SettingsScreen(ListDialog[None]):
    """Lists all settings, or those that differ from their defaults, and follows changes made elsewhere."""

    PLACE = Scope.SETTINGS
    BINDINGS: ClassVar[list[BindingType]] = bindings(
        Scope.SETTINGS,
        does={
            "setting.unset": "reset",
            "setting.save": "save",
            "setting.only_set": "only_set",
        },
    )
    CSS = """
    SettingsScreen {
        & > #dialog { width: 96; height: 94%; }
        &.-tall Input { margin-top: 1; }
        & OptionList { height: 1fr; margin: 1 0; }
        & OptionList > .option-list--option-disabled { color: $text-muted; text-style: bold; }
        & #about { height: 5; width: 1fr; color: $text-muted; }
        & #actions { margin-top: 1; }
        &.-few > #dialog { height: auto; }
        &.-few OptionList { height: auto; max-height: 24; }
        &.-few.-short OptionList { max-height: 9; }
        &.-short #actions { margin-top: 0; }
        &.-short OptionList { margin: 0; }
        &.-short #about { height: 4; }
        &.-low #about { display: none; }
    }
    """

    class Changed(Message):
        """The configuration was changed."""

    def __init__(self, editor: SettingsEditor, *, only_set: bool = False) -> None:
        """Create the screen.

        Args:
            editor: reads and changes the settings.
            only_set: whether to start with the settings that differ from their defaults.
        """
        super().__init__()
        self._editor = editor
        self._only_set = only_set
        self._shown: list[Row | None] = []
        """The row of each option; None for the title of a group."""
        self._is_stale = False

    def compose(self) -> ComposeResult:
        """Lay out the field, the list and the explanation."""
        with Vertical(id="dialog"):
            yield Label("Settings", classes="title", id="title")
            yield LineInput(placeholder="Type to find a setting", compact=True)
            yield OptionList(id="settings")
            yield Label("", id="about", markup=False)
            yield Label("", id="problem", classes="problem -none", markup=False)
            yield KeyHints(id="actions")

    def on_mount(self) -> None:
        """List the settings, and follow their changes."""
        super().on_mount()
        self._show_title()
        self._editor.listen(self._follow)

    def on_unmount(self) -> None:
        """Stop following changes."""
        self._editor.forget(self._follow)

    def on_resize(self, _event: events.Resize) -> None:
        """Fit the columns to the width, and leave a low screen to the list."""
        self.set_class(self.size.height < _LOW, "-low")
        self.call_after_refresh(self._refresh)

    def _follow(self, _what: object) -> None:
        """List the settings in force, once for all changes at the same time."""
        if not self._is_stale:
            self._is_stale = True
            self.call_next(self._refresh)

    def _refresh(self) -> None:
        self._is_stale = False
        if self.is_attached and self.query("#settings"):
            self._list(self.query_one(Input).value, self._current)

    # -- the list

    def narrow(self, typed: str) -> None:
        """List the settings that contain the typed words."""
        self._list(typed, None)

    def _list(self, typed: str, keep: Row | None) -> None:
        """List the matching settings, with the highlight on the same row as before, or else on the first."""
        words = typed.casefold().split()
        rows = [
            row
            for row in self._editor.rows.all()
            if all(word in row.searched for word in words)
            and (row.is_set or row.setting is None or not self._only_set)
        ]
        self._shown = []
        prompts: list[Option] = []
        for row in rows:
            if row.group not in {one.group for one in self._shown if one is not None}:
                gap = "\n" if self._shown and not self.has_class("-short") else ""
                self._shown.append(None)
                prompts.append(Option(Content(gap + row.group), disabled=True))
            self._shown.append(row)
            prompts.append(Option(self._prompt(row)))
        options = self.query_one(OptionList)
        at, offset = options.highlighted, options.scroll_offset
        options.set_options(prompts)
        kept = next((at for at, row in enumerate(self._shown) if _is_same(row, keep)), None)
        if not rows:
            self._explain(None)
        elif kept is not None:
            options.highlighted = kept
            if kept == at:
                options.scroll_to(y=offset.y, animate=False)
        else:
            options.highlighted = self._best(typed)

    def _best(self, typed: str) -> int:
        """Return the index of the first row whose title starts with the typed text, or else of the first row."""
        begun = typed.strip().casefold()
        places = [at for at, row in enumerate(self._shown) if row is not None]
        titled = (at for at in places if _title(self._shown[at]).startswith(begun))
        return next(titled, places[0])

    def _prompt(self, row: Row) -> Content:
        is_slim = self.has_class("-slim")
        title, source = _TITLE_CELLS - 4 * is_slim, _SOURCE_CELLS - 2 * is_slim
        width = self.query_one(OptionList).size.width - _AROUND
        # A property of the model comes from nowhere, so it has that room too.
        value = max(8, width - title - (source + 2 if row.source else 1))
        is_dim = row.refusal or (row.setting is not None and not row.is_set)
        style = "$text-muted" if is_dim else "bold" if row.is_set else ""
        return Content.assemble(
            fitted(row.title, title),
            " ",
            (fitted(row.value, value), style),
            (f" {cut(row.source, source)}" if row.source else "", "$text-muted"),
        )

    @property
    def _current(self) -> Row | None:
        at = self.query_one(OptionList).highlighted
        return self._shown[at] if at is not None and at < len(self._shown) else None

    def action_move(self, step: int) -> None:
        """Move the highlight in the list, skipping the titles of groups."""
        options = self.query_one(OptionList)
        places = [at for at, row in enumerate(self._shown) if row is not None]
        if places:
            now = options.highlighted
            at = places.index(now) if now in places else -1
            place = max(0, min(len(places) - 1, at + step))
            options.highlighted = places[place]
            if place == 0:
                options.scroll_home(animate=False)

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        self._explain(self._current)

    def _explain(self, row: Row | None) -> None:
        """Explain a setting: its purpose, its possible values, and where a change is stored."""
        self.query_one("#about", Label).update(
            Content(sanitize("No setting matches." if row is None else self._about(row)))
        )
        self.query_one("#actions", KeyHints).show(self._hints(row))

    def _about(self, row: Row) -> str:
        setting = row.setting
        if setting is None:
            return "This is a property of the loaded model and can't be changed."
        where = self._destination(row)
        if row.below is not None:
            where += " Resetting restores {} ({}).".format(*row.below)
        facts = (setting.key, setting.range_text.removeprefix("a string"), setting.variable)
        lines = (
            f"{setting.help} {row.refusal}".rstrip(),
            where,
            " · ".join(fact for fact in facts if fact),
        )
        return "\n".join(lines)

    def _destination(self, row: Row) -> str:
        if row.setting is not None and row.setting.key == "model.name":
            return "Press Enter to open the model list."
        file = self._editor.file or "the configuration file"
        match row.keeper:
            case Keeper.CHAT:
                return "Applies to this chat and to new ones, from the next reply."
            case Keeper.APP:
                return "Applies at once and is remembered."
        return f"Saved in {file}."

    def _hints(self, row: Row | None) -> list[Hint]:
        can_change = row is not None and row.setting is not None
        can_save = can_change and row is not None and row.keeper is not Keeper.FILE
        change = [Hint("Enter", "change", "choose"), Hint("setting.unset", "reset", "reset")]
        return [
            *(change if can_change else []),
            *([Hint("setting.undo", "undo", "undo")] if self._editor.can_undo else []),
            *([Hint("setting.save", "save as default", "save")] if can_save else []),
            Hint(
                "setting.only_set", "all settings" if self._only_set else "changed only", "only_set"
            ),
            Hint("Esc", "close", "close"),
        ]

    def action_only_set(self) -> None:
        """List the settings that differ from their defaults, or all settings."""
        self._only_set = not self._only_set
        self._show_title()
        self._refresh()

    def _show_title(self) -> None:
        self.set_class(self._only_set, "-few")
        self.query_one("#title", Label).update(
            "Settings that differ from the defaults" if self._only_set else "Settings"
        )

    # -- changing

    @work(exclusive=True)
    async def action_choose(self) -> None:
        """Ask for a new value."""
        row = self._current
        if row is None or row.setting is None or row.refusal:
            await self._do(row, self._refuse)
            return
        setting, now = row.setting, self._editor.rows.value(row.setting.key)
        if (change := self._editor.change_of(setting)) is not None:
            await change()
            self._refresh()
        elif setting.kind is bool and isinstance(now, bool):
            await self._set(row, not now)
        elif choices := self._editor.choices(setting):
            chosen = await self.app.push_screen_wait(Picker(setting.title, choices))
            if chosen is not None:
                await self._set(row, chosen)
        else:
            await self._ask(row, setting, now)

    async def _ask(self, row: Row, setting: Setting, now: Json) -> None:
        before = setting.typed(now)
        text = await self.app.push_screen_wait(
            AskText(
                setting.title,
                before,
                note=f"{setting.help} {setting.range_text[:1].upper()}{setting.range_text[1:]}.",
                check=lambda typed: _problem(setting, typed),
                multiline=setting.key == "chat.system_prompt",
                is_path=setting.key in _PATHS,
            )
        )
        if text is not None and text != before:
            is_value = bool(text) or setting.kind is str
            await self._set(row, setting.parse(text) if is_value else None)

    @staticmethod
    async def _refuse(row: Row) -> str:
        raise UserError(row.refusal or "This is a property of the model and can't be changed.")

    async def _set(self, row: Row, value: Json) -> None:
        await self._do(row, lambda one: self._editor.set(one, value))

    @work(group="write")
    async def action_reset(self) -> None:
        """Remove the topmost value of the setting."""
        await self._do(self._current, self._editor.reset)

    def action_undo(self) -> None:
        """Undo the last change to the chat's settings. What happened in the chat below stays."""
        self._stepped(self._editor.undo())

    def action_redo(self) -> None:
        """Redo the change to the chat's settings that was undone last."""
        self._stepped(self._editor.redo())

    def _stepped(self, said: str) -> None:
        show_problem(self, said)
        self._refresh()

    @work(group="write")
    async def action_save(self) -> None:
        """Write the value in force to the configuration file."""
        await self._do(self._current, self._editor.save)

    async def _do(self, row: Row | None, change: Callable[[Row], Awaitable[str]]) -> None:
        if row is None:
            return
        try:
            said = await change(row)
        except UserError as error:
            said = str(error)
        else:
            self.post_message(self.Changed())
            # Listeners to the configuration are notified first.
            await asyncio.sleep(0)
        if self.is_attached and self.query("#problem"):
            show_problem(self, said)
            self._refresh()


def _title(row: Row | None) -> str:
    return row.title.casefold() if row is not None else ""


def _is_same(row: Row | None, other: Row | None) -> bool:
    if row is None or other is None:
        return False
    return (row.group, row.title) == (other.group, other.title)


def _problem(setting: Setting, typed: str) -> str | None:
    try:
        if typed or setting.kind is str:
            setting.parse(typed)
    except UserError as error:
        return str(error)
    return None
