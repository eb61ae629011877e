"""The commands that change the settings of a chat, and the settings screen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from tui.chat.core import Core
from tui.engine.quantization import QUANTIZATIONS, availability
from tui.errors import listed
from tui.flags import read_flags, split_words
from tui.json_types import Json
from tui.parameters import (
    PARAMETERS,
    ParameterError,
    Value,
    parameter,
)
from tui.screens.chat.focus_control import FocusControl
from tui.screens.chat.library_actions import LibraryActions
from tui.screens.chat.model_actions import ModelActions
from tui.screens.chat.ui import ScreenUi
from tui.screens.chat.view import View

if TYPE_CHECKING:
    from tui.screens.settings_editor import SettingsEditor
    from tui.screens.settings_rows import SettingRows

_SENSIBLE_TEMPERATURE: Final = 2


class SettingActions:
    """Changes parameters and the system prompt, and shows all settings."""

    def __init__(
        self,
        core: Core,
        view: View,
        focus_control: FocusControl,
        library: LibraryActions,
        models: ModelActions,
        ui: ScreenUi,
    ) -> None:
        self._core = core
        self._library = library
        self._models = models
        self._view = view
        self._focus_control = focus_control
        self._ui = ui

    def reset(self, argument: str = "") -> None:
        """Reset the named parameters, or without names all parameters and the system prompt."""
        settings, names = self._core.settings, argument.replace(",", " ").split()
        try:
            values = {parameter(name).name: None for name in names or PARAMETERS}
        except ParameterError as error:
            self._ui.tell(str(error), severity="warning")
            return
        with self._core.undoing.step("Parameters"):
            settings.set(values)
            if not names:
                self._reset_prompt()
        way = f"{self._ui.way('chat.undo')} to undo."
        if names:
            are = "is back to its default" if len(values) == 1 else "are back to their defaults"
            self._ui.tell(f"{listed([*values])} {are}. {way}")
            return
        kept = sorted(settings.parameters)
        more = f" The configuration or command line sets {listed(kept)}." if kept else ""
        self._ui.tell(
            f"All parameters and the system prompt are back to their defaults.{more} {way}"
        )

    def _reset_prompt(self) -> None:
        settings = self._core.settings
        is_said = settings.is_said("chat.system_prompt")
        prompt = settings.preferences.values.chat.system_prompt if is_said else ""
        if settings.system_prompt != prompt:
            self._core.session.replace_prompt(prompt)

    def set(self, argument: str = "") -> None:
        """Set parameters from flags, for example `temperature=0.7 top_k=40`, or one like `temperature 0.7`; without an argument,
        focus the parameters.
        """
        if not argument.strip():
            self._focus_control.to_setting(next(iter(PARAMETERS)))
            return
        try:
            words = split_words(argument)
            if len(words) == 2 and "=" not in argument:
                # The syntax of `/set` in other programs.
                words = ["=".join(words)]
            values = read_flags(words)
        except ParameterError as error:
            self._ui.tell(str(error), title="Nothing was set", severity="warning")
            return
        with self._core.undoing.step("Parameters"):
            self._core.settings.set(values)
        said = (
            f"{name} = {parameter(name).shown(value) or 'default'}"
            for name, value in values.items()
        )
        warning = _makes_little_sense(values)
        self._ui.tell(
            f"{', '.join(said)}. Applies from the next reply.{warning}",
            severity="warning" if warning else "information",
        )

    def set_prompt(self, argument: str = "") -> None:
        """Set the system prompt; without a text, focus its field."""
        if not argument:
            self._focus_control.to_setting("system-prompt")
            return
        with self._core.undoing.step("System prompt"):
            self._core.session.replace_prompt("" if argument.lower() == "none" else argument)
        self._ui.tell("The system prompt applies from the next reply.")

    # -- all of them

    async def show_all(self) -> None:
        """Show every setting."""
        from tui.screens.settings_screen import SettingsScreen

        await self._ui.show(SettingsScreen(await self._editor()))

    async def show_status(self) -> None:
        """Show what differs from the defaults, and where each value comes from."""
        from tui.screens.settings_screen import SettingsScreen

        await self._ui.show(SettingsScreen(await self._editor(), only_set=True))

    @property
    def rows(self) -> SettingRows:
        """The settings in force."""
        from tui.screens.settings_rows import SettingRows

        app, focus_control = self._view.screen.app, self._focus_control
        held: dict[str, Callable[[], Json]] = {
            "screen.theme": lambda: app.theme,
            "screen.sidebar": lambda: focus_control.wants_sidebar,
        }
        return SettingRows(self._core.settings, self._core.loader, held)

    async def _editor(self) -> SettingsEditor:
        from tui.screens.picker import Entry
        from tui.screens.settings_editor import SettingsEditor

        library = self._core.settings.preferences.library
        names = await asyncio.to_thread(library.preset_names)
        device = self._core.loader.info.device if self._core.loader.info else ""
        quantizations = [
            Entry(one.name, one.label, one.help)
            for one in QUANTIZATIONS.values()
            if availability(one.name, device).ok
        ]
        presets = [Entry("", "none"), *(Entry(name, name) for name in names)]
        return SettingsEditor(
            self._core,
            self.rows,
            put={
                "model.quantization": self._models.requantize,
                "screen.sidebar": self._focus_control.want_sidebar,
                "screen.theme": self._library.reset_theme,
            },
            changes={
                "model.name": self._models.pick,
                "screen.theme": self._library.choose_theme,
            },
            choices={"model.quantization": quantizations, "chat.preset": presets},
        )


def _makes_little_sense(values: Mapping[str, Value]) -> str:
    """Return a warning about allowed values that lead to incoherent replies; empty if there are none."""
    temperature = values.get("temperature")
    is_hot = isinstance(temperature, int | float) and temperature > _SENSIBLE_TEMPERATURE
    return " Above 2, replies make little sense." if is_hot else ""
