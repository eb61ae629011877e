"""What is kept under a name: system prompts, presets and which model brings which along; and the choice of colours and settings."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from textual import work
from textual.theme import BUILTIN_THEMES

from tui.engine.base import Event, ModelReady
from tui.engine.worker import JobId
from tui.files import absolute, typed_path, with_ending
from tui.parameters import PARAMETERS
from tui.sanitize import sanitize_line
from tui.screens.ask import AskText
from tui.screens.chat.choices import Choices, sentence_of
from tui.screens.dialog import Dialog
from tui.screens.picker import Entry, Picker
from tui.screens.settings_screen import SettingsScreen
from tui.settings.config import ConfigError
from tui.settings.preferences import Origin
from tui.settings.presets import Preset, PresetError, export_preset
from tui.settings.schema import SettingError


class NamedThings(Choices):
    """Saves, lists and applies what has a name."""

    _preset_model = ""
    """The model whose preset was applied last."""

    def on_mount(self) -> None:
        """Note the model of the start, whose preset is among the settings already."""
        self._preset_model = self.request.model if self.request else ""

    # -- a preset of a model's own

    def take_event(self, job: JobId, event: Event) -> bool:
        """Follow one event; a model that is loaded brings its preset along."""
        taken = super().take_event(job, event)
        if isinstance(event, ModelReady) and event.info.model != self._preset_model:
            self._preset_model = event.info.model
            if name := self.preferences.values.presets.get(event.info.model):
                self._apply_default(name)
        return taken

    @work(exclusive=True, group="preset")
    async def _apply_default(self, name: str) -> None:
        try:
            preset = await asyncio.to_thread(self.preferences.library.preset, name)
        except PresetError as error:
            self.tell(sentence_of(error), severity="warning")
        else:
            self.apply_preset(preset, with_model=False)

    # -- system prompts

    def action_prompt_choose(self) -> None:
        """Take a system prompt from the library."""
        self.command_prompt_choose("")

    @work(exclusive=True, group="prompt")
    async def command_prompt_choose(self, argument: str) -> None:
        """Take the named system prompt; ask for one without a name."""
        library = self.preferences.library
        names = await asyncio.to_thread(library.prompt_names)
        empty = "The library is empty; 'System prompt: save' puts the one of this chat into it."
        name = argument or await self._picked("System prompts", names, empty=empty)
        if name:
            try:
                self.set_prompt(await asyncio.to_thread(library.prompt, name))
            except PresetError as error:
                self.tell(sentence_of(error), severity="warning")
            else:
                self.tell(f"The prompt {name} holds from the next reply.")

    def action_prompt_save(self) -> None:
        """Put the system prompt into the library."""
        self.command_prompt_save("")

    @work(exclusive=True, group="prompt")
    async def command_prompt_save(self, argument: str) -> None:
        """Put the system prompt into the library under a name."""
        if not self.system_prompt:
            self.tell("There is no system prompt to save.")
            return
        name = argument or await self.asked(AskText("A name for this system prompt"))
        if name:
            await self._kept(self.preferences.library.save_prompt, name.strip(), self.system_prompt)

    async def _kept(self, save: Any, *arguments: Any) -> bool:
        try:
            path = await asyncio.to_thread(save, *arguments)
        except PresetError as error:
            self.tell(sentence_of(error), severity="warning")
            return False
        self.tell(
            f"Written: {path}" if path else f"{sanitize_line(str(arguments[0]), 80)} is gone."
        )
        return True

    async def asked(self, dialog: Dialog[str]) -> str:
        """Return what a dialog was answered with; empty for nothing."""
        return await self.app.push_screen_wait(dialog) or ""

    async def _picked(
        self, title: str, names: list[str], *, current: str = "", empty: str = ""
    ) -> str:
        entries = [Entry(name, name, is_current=name == current) for name in names]
        picker = Picker(title, entries, empty=empty) if empty else Picker(title, entries)
        return await self.asked(picker)

    # -- presets

    def _preset_now(self, name: str) -> Preset:
        info = self.model.info
        return Preset(
            name,
            info.model if info else "",
            self.quantization if info else "",
            self.system_prompt,
            dict(self.parameters),
            dict(self.template),
        )

    def action_preset_choose(self) -> None:
        """Ask for a preset and apply it."""
        self.command_preset_choose("")

    @work(exclusive=True, group="preset")
    async def command_preset_choose(self, argument: str) -> None:
        """Apply the named preset; ask for one without a name."""
        library = self.preferences.library
        names = await asyncio.to_thread(library.preset_names)
        name = argument or await self._picked(
            "Presets", names, empty="There is no preset yet; 'Preset: save' keeps what is set now."
        )
        if not name:
            return
        try:
            preset = await asyncio.to_thread(library.preset, name)
        except PresetError as error:
            self.tell(sentence_of(error), severity="warning")
            return
        self.apply_preset(preset)

    def apply_preset(self, preset: Preset, *, with_model: bool = True) -> None:
        """Have the chat set as a preset says; the model is loaded if it is another one."""
        self.set_parameters({**dict.fromkeys(PARAMETERS), **preset.parameters})
        self.template = dict(preset.template)
        if preset.system_prompt is not None:
            self.set_prompt(preset.system_prompt)
        self.show_switches()
        quantization = preset.quantization or self.quantization
        wanted, have = (preset.model, quantization), (self.model.model, self.model.quantization)
        if with_model and preset.model and wanted != have:
            self.choose_model(self.request_for(preset.model, quantization))
        self.tell(f"The preset {preset.name} holds from the next reply.")

    def action_preset_save(self) -> None:
        """Keep what is set now under a name."""
        self.command_preset_save("")

    @work(exclusive=True, group="preset")
    async def command_preset_save(self, argument: str) -> None:
        """Keep what is set now under a name."""
        name = argument or await self.asked(
            AskText(
                "A name for the preset",
                note="It keeps the model, the system prompt and the parameters.",
            )
        )
        if name:
            await self._kept(self.preferences.library.save_preset, self._preset_now(name.strip()))

    def action_preset_default(self) -> None:
        """Have a preset applied whenever this model is loaded."""
        self.command_preset_default("")

    @work(exclusive=True, group="preset")
    async def command_preset_default(self, argument: str) -> None:
        """Have the named preset applied whenever this model is loaded; `none` ends that."""
        info = self.model.info
        if info is None:
            self.tell("There is no model now. F4 chooses one.", severity="warning")
            return
        defaults = dict(self.preferences.values.presets)
        names = await asyncio.to_thread(self.preferences.library.preset_names)
        title = f"The preset for {sanitize_line(info.name)}"
        name = argument or await self._picked(
            title, [*names, "none"], current=defaults.get(info.model, "none")
        )
        if not name:
            return
        defaults.pop(info.model, None)
        if name != "none":
            if name not in names:
                self.tell(f"There is no preset {name}.", severity="warning")
                return
            defaults[info.model] = name
        if await self.write_settings({"presets": defaults}):
            self.tell(f"{info.name}: {name}.")

    def action_preset_export(self) -> None:
        """Write what is set now to one file."""
        self.command_preset_export("")

    @work(exclusive=True, group="preset")
    async def command_preset_export(self, argument: str) -> None:
        """Write what is set now to one file."""
        name = argument or await self.asked(
            AskText("Write the preset to a file", str(absolute(Path("preset.toml"))))
        )
        if name:
            path = with_ending(typed_path(name.strip()), ".toml")
            if await self._kept(export_preset, self._preset_now(path.stem), path):
                self.tell(f"Written: {path}. --preset {path} begins with it.")

    def action_preset_delete(self) -> None:
        """Take a preset out of the library."""
        self.command_preset_delete("")

    @work(exclusive=True, group="preset")
    async def command_preset_delete(self, argument: str) -> None:
        """Take the named preset out of the library; ask for one without a name."""
        library = self.preferences.library
        names = await asyncio.to_thread(library.preset_names)
        name = argument or await self._picked("Delete a preset", names)
        if name:
            await self._kept(library.delete_preset, name)

    # -- colours and all other settings

    def action_theme_choose(self) -> None:
        """Choose the colours, which are shown on the way."""
        self.command_theme_choose("")

    @work(exclusive=True, group="theme")
    async def command_theme_choose(self, argument: str) -> None:
        """Take the named theme; ask for one without a name, and show each on the way."""
        before = self.app.theme
        names = sorted(self.app.available_themes, key=lambda name: (name in BUILTIN_THEMES, name))
        if argument and argument not in names:
            self.tell(f"There is no theme {argument}. /theme shows them all.", severity="warning")
            return
        chosen = argument
        if not chosen:
            themes = self.app.available_themes
            entries = [
                Entry(
                    name, name, "dark" if themes[name].dark else "light", is_current=name == before
                )
                for name in names
            ]
            chosen = await self.asked(Picker("Themes", entries, preview=self._preview))
        self.app.theme = chosen or before
        if not chosen or chosen == before:
            return
        if self.preferences.origin("screen.theme") is Origin.FILE:
            await self.write_settings({"screen.theme": chosen})
        self.remember()

    def _preview(self, name: str) -> None:
        self.app.theme = name

    async def write_settings(self, changes: Mapping[str, Any]) -> bool:
        """Write settings to the configuration file; return whether they are there."""
        try:
            await asyncio.to_thread(self.preferences.write, changes)
        except (ConfigError, SettingError) as error:
            self.tell(str(error), severity="warning")
            return False
        return True

    @work(exclusive=True, group="settings")
    async def action_settings_open(self) -> None:
        """Show every setting."""
        library = self.preferences.library
        names = await asyncio.to_thread(library.preset_names)
        choices = {"screen.theme": sorted(self.app.available_themes), "chat.preset": ["", *names]}
        await self.app.push_screen_wait(SettingsScreen(self.preferences, choices=choices))
