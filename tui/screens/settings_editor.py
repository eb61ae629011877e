"""Changes each setting where it belongs: in the open chat, in the app, or in the configuration file. No widgets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tui.chat.core import Core
from tui.conversation.context import OverflowPolicy
from tui.errors import UserError
from tui.json_types import Json
from tui.parameters import parameter
from tui.screens.picker import Entry
from tui.screens.settings_rows import Keeper, Row, SettingRows
from tui.settings.preferences import Origin
from tui.settings.schema import GENERATION, SETTINGS, Setting

_OVER_FILE: Final = (Origin.ENVIRONMENT, Origin.COMMAND_LINE)

Put = Callable[[Any], object]
"""Applies a value at once."""
Change = Callable[[], Awaitable[object]]
"""Asks for a new value and applies it."""


class SettingsEditor:
    """Reads and changes settings for the settings screen."""

    def __init__(
        self,
        core: Core,
        rows: SettingRows,
        *,
        put: Mapping[str, Put],
        changes: Mapping[str, Change],
        choices: Mapping[str, Sequence[Entry]],
    ) -> None:
        """Create it.

        Args:
            core: the open chat and its settings.
            rows: the settings in force.
            put: applies the values of settings that the app itself keeps, by setting key.
            changes: ask for the values of settings with a dialog of their own, by setting key.
            choices: values to choose from that the schema doesn't know, by setting key.
        """
        self.rows = rows
        self._core = core
        self._preferences = core.settings.preferences
        self._put: Mapping[str, Put] = {
            "chat.system_prompt": core.session.replace_prompt,
            "chat.when_full": lambda value: core.settings.set_overflow(OverflowPolicy(value)),
            "template": core.settings.set_template,
            **put,
        }
        self._changes = changes
        self._choices = choices

    # -- listening

    def listen(self, listener: Callable[[object], object]) -> None:
        """Call a listener whenever the settings in force may have changed."""
        self._core.settings.changed.listen(listener)
        self._core.loader.changed.listen(listener)

    def forget(self, listener: Callable[[object], object]) -> None:
        """Remove a listener."""
        self._core.settings.changed.forget(listener)
        self._core.loader.changed.forget(listener)

    # -- reading

    @property
    def file(self) -> str:
        """The path of the configuration file, with the home folder as `~`; empty if there is none."""
        path = self._preferences.path
        if path is None:
            return ""
        home = Path.home()
        return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)

    def change_of(self, setting: Setting) -> Change | None:
        """Return the function that asks for a new value, if the setting has a dialog of its own."""
        return self._changes.get(setting.key)

    def choices(self, setting: Setting) -> list[Entry]:
        """Return the values to choose from, with the current one marked; empty if any value can be typed."""
        now = self.rows.value(setting.key)
        known = self._choices.get(setting.key)
        entries = known or [Entry(one, setting.shown(one)) for one in setting.choices]
        return [Entry(one.id, one.title, one.detail, one.id == now) for one in entries]

    # -- changing

    async def set(self, row: Row, value: Json) -> str:
        """Apply a new value, and return a note for the user.

        Raises:
            UserError: it can't be changed.
        """
        key = _key(row)
        if row.refusal:
            raise UserError(row.refusal)
        if row.keeper is Keeper.FILE:
            return await self._write(key, value)
        if row.keeper is Keeper.APP and self._preferences.origin(key) is Origin.FILE:
            # The value in the file would apply again at the next start.
            await self._write(key, value)
        self._have(key, value)
        return ""

    async def reset(self, row: Row) -> str:
        """Remove the topmost value of a setting, and return a note for the user.

        Raises:
            UserError: it can't be removed.
        """
        key = _key(row)
        if not row.is_set:
            return "This is already the default."
        if row.origin in (*_OVER_FILE, Origin.PRESET):
            raise UserError(f"This is set by the {row.source}. Change it there.")
        if row.origin is Origin.FILE:
            await self._write(key, None)
        elif key in self._changes and key not in self._put:
            raise UserError("This setting has no default. Press Enter to change it.")
        self._have(key, None if key.startswith(GENERATION) else self._without(key))
        now = self.rows.row(SETTINGS[key])
        return f"Now {now.value} ({now.source})." if now.is_set else ""

    @property
    def can_undo(self) -> bool:
        """Whether the last change was one of the chat's settings."""
        return self._core.undoing.can_undo_setting

    def undo(self) -> str:
        """Undo the last change to the chat's settings, and return a note for the user."""
        undone = self._core.undoing.undo_setting()
        return f"Undone: {undone}" if undone else "There is no change to a setting to undo."

    def redo(self) -> str:
        """Redo the change to the chat's settings that was undone last, and return a note for the user."""
        done = self._core.undoing.redo_setting()
        return f"Redone: {done}" if done else "There is no change to a setting to redo."

    async def save(self, row: Row) -> str:
        """Write the value in force to the configuration file, and return a note for the user.

        Raises:
            UserError: it can't be written.
        """
        key = _key(row)
        value = self.rows.value(key)
        if value is None:
            return "There is no value to save."
        said = await self._write(key, value)
        if key.startswith(GENERATION) and not said:
            self._have(key, None)
        return said or f"Saved to {self.file or 'the settings'} as the default."

    def _without(self, key: str) -> Json:
        """Return the value that applies without a value set in the app."""
        origin = self._preferences.origin(key)
        if origin in (Origin.FILE, Origin.PRESET, *_OVER_FILE):
            return self._preferences.value(key)
        return "none" if key == "model.quantization" else SETTINGS[key].default

    def _have(self, key: str, value: Json) -> None:
        with self._core.undoing.step(SETTINGS[key].title):
            if key.startswith(GENERATION):
                name = key.removeprefix(GENERATION)
                self._core.settings.set({name: parameter(name).check(value)})
            elif (put := self._put.get(key)) is not None:
                put(self._without(key) if value is None else value)

    async def _write(self, key: str, value: Json) -> str:
        await asyncio.to_thread(self._preferences.write, {key: value})
        over = self._preferences.origin(key)
        if over in _OVER_FILE and value is not None:
            if over is Origin.ENVIRONMENT:
                return "Saved, but an environment variable overrides it as long as it is set."
            return "Saved, but the command line overrides it for this run."
        return ""


def _key(row: Row) -> str:
    if row.setting is None:
        raise UserError("This is a property of the model and can't be changed.")
    return row.setting.key
