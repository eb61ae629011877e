"""Changes settings where each belongs: in the open chat, in the app, or in the configuration file. No widgets."""

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
"""Has a value hold at once."""
Change = Callable[[], Awaitable[object]]
"""Asks for another value and has it hold."""


class SettingsDesk:
    """What the settings screen shows and changes."""

    def __init__(
        self,
        core: Core,
        rows: SettingRows,
        *,
        put: Mapping[str, Put],
        changes: Mapping[str, Change],
        choices: Mapping[str, Sequence[Entry]],
    ) -> None:
        """Make it.

        Args:
            core: the open chat and its settings.
            rows: what is in force.
            put: has values of settings hold that the app itself keeps, by their keys.
            changes: asks for values of settings that have a dialog of their own, by their keys.
            choices: values to choose from that the schema does not know, by the settings' keys.
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

    # -- following

    def listen(self, listener: Callable[[object], object]) -> None:
        """Have a listener called whenever something else may be in force."""
        self._core.settings.changed.listen(listener)
        self._core.loader.changed.listen(listener)

    def forget(self, listener: Callable[[object], object]) -> None:
        """Call a listener no more."""
        self._core.settings.changed.forget(listener)
        self._core.loader.changed.forget(listener)

    # -- what there is to say

    @property
    def file(self) -> str:
        """The configuration file, the home folder as `~`; empty for none."""
        path = self._preferences.path
        if path is None:
            return ""
        home = Path.home()
        return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)

    def change_of(self, setting: Setting) -> Change | None:
        """Return what asks for another value where a setting has a dialog of its own."""
        return self._changes.get(setting.key)

    def choices(self, setting: Setting) -> list[Entry]:
        """Return what can be chosen, the value in force marked; empty where anything can be typed."""
        now = self.rows.value(setting.key)
        known = self._choices.get(setting.key)
        entries = known or [Entry(one, setting.shown(one)) for one in setting.choices]
        return [Entry(one.id, one.title, one.detail, one.id == now) for one in entries]

    # -- changing

    async def set(self, row: Row, value: Json) -> str:
        """Have another value hold, and return what else there is to say.

        Raises:
            UserError: it can't be changed.
        """
        key = _key(row)
        if row.refusal:
            raise UserError(row.refusal)
        if row.keeper is Keeper.FILE:
            return await self._write(key, value)
        if row.keeper is Keeper.APP and self._preferences.origin(key) is Origin.FILE:
            # What the file says would hold again at the next start.
            await self._write(key, value)
        self._have(key, value)
        return ""

    async def reset(self, row: Row) -> str:
        """Take the topmost value of a setting away, and return what else there is to say.

        Raises:
            UserError: it can't be taken away.
        """
        key = _key(row)
        if not row.is_set:
            return "This is the default already."
        if row.origin in (*_OVER_FILE, Origin.PRESET):
            raise UserError(f"The {row.source} sets this. Change it there.")
        if row.origin is Origin.FILE:
            await self._write(key, None)
        elif key in self._changes and key not in self._put:
            raise UserError("There is no default to go back to. Enter changes it.")
        self._have(key, None if key.startswith(GENERATION) else self._without(key))
        now = self.rows.row(SETTINGS[key])
        return f"Now {now.value} ({now.source})." if now.is_set else ""

    async def save(self, row: Row) -> str:
        """Write the value in force into the configuration file, and return what else there is to say.

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
        return said or f"Saved to {self.file or 'the settings'}: new chats start with it."

    def _without(self, key: str) -> Json:
        """Return what holds where nothing in the app says otherwise."""
        origin = self._preferences.origin(key)
        if origin in (Origin.FILE, Origin.PRESET, *_OVER_FILE):
            return self._preferences.value(key)
        return "none" if key == "model.quantization" else SETTINGS[key].default

    def _have(self, key: str, value: Json) -> None:
        if key.startswith(GENERATION):
            name = key.removeprefix(GENERATION)
            with self._core.undoing.step(
                "Set parameters" if value is not None else f"Reset {name}"
            ):
                self._core.settings.set({name: parameter(name).check(value)})
        elif (put := self._put.get(key)) is not None:
            put(self._without(key) if value is None else value)

    async def _write(self, key: str, value: Json) -> str:
        await asyncio.to_thread(self._preferences.write, {key: value})
        over = self._preferences.origin(key)
        if over in _OVER_FILE and value is not None:
            return f"Saved, but the {over.value} says otherwise until the next start."
        return ""


def _key(row: Row) -> str:
    if row.setting is None:
        raise UserError("This is a fact about the model. It can't be changed here.")
    return row.setting.key
