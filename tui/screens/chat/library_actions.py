"""Things saved under a name: system prompts, presets, and the default presets of models. Also themes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from textual.theme import BUILTIN_THEMES

from tui.chat.core import Core
from tui.chat.loader import LoadEnded
from tui.chat.server_consent import ServerConsent
from tui.chat.ui import Answer
from tui.engine.base import ModelReady
from tui.engine.remote.address import is_server
from tui.errors import UserError
from tui.files import absolute, typed_path, with_ending
from tui.parameters import PARAMETERS
from tui.sanitize import sanitize_line
from tui.screens.chat.ui import ScreenUi
from tui.screens.chat.view import View
from tui.settings.preferences import Origin
from tui.settings.presets import Preset, PresetError, export_preset
from tui.settings.schema import GENERATION


class LibraryActions:
    """Saves, lists and applies named things."""

    def __init__(
        self,
        core: Core,
        view: View,
        consent: ServerConsent,
        ui: ScreenUi,
        first_model: str,
    ) -> None:
        """Create it.

        Args:
            core: owns the chat and its settings.
            view: the screen's widgets.
            consent: asks before a preset connects to a server.
            ui: shows questions and notifications.
            first_model: the model at the start, whose preset is already applied.
        """
        self._core = core
        self._consent = consent
        self._view = view
        self._ui = ui
        self._library = core.settings.preferences.library
        self._preset_model = first_model
        """The model whose preset was applied last."""
        core.loader.ended.listen(self._load_ended)

    # -- a preset of a model's own

    def _load_ended(self, ended: LoadEnded) -> None:
        """Apply the default preset of the model that was loaded."""
        if not isinstance(ended.event, ModelReady):
            return
        model = ended.event.info.model
        if model != self._preset_model:
            self._preset_model = model
            if name := self._core.settings.preferences.values.presets.get(model):
                self._ui.start(self._apply_default(name))

    async def _apply_default(self, name: str) -> None:
        if preset := await self._preset(name):
            self.apply(self._below_the_file(preset), with_model=False)

    def _below_the_file(self, preset: Preset) -> Preset:
        """Return a preset without the values that the file, the environment or the command line sets, because nobody asked for
        this preset now.
        """
        is_said = self._core.settings.is_said
        kept = {
            name: value
            for name, value in preset.parameters.items()
            if not is_said(f"{GENERATION}{name}")
        }
        prompt = None if is_said("chat.system_prompt") else preset.system_prompt
        return replace(preset, parameters=kept, system_prompt=prompt)

    async def _preset(self, name: str) -> Preset | None:
        try:
            return await asyncio.to_thread(self._library.preset, name)
        except PresetError as error:
            self._ui.tell(str(error), severity="warning")
            return None

    # -- system prompts

    async def choose_prompt(self, argument: str = "") -> None:
        """Use the named system prompt; without a name, ask for one."""
        from tui.screens.library_entries import prompt_entries

        name = argument
        if not name:
            entries = await asyncio.to_thread(prompt_entries, self._library)
            empty = "No system prompts are saved yet. Use /prompt-save NAME to save this chat's."
            name = await self._ui.choose("System prompts", entries, empty=empty)
        if not name:
            return
        try:
            prompt = await asyncio.to_thread(self._library.prompt, name)
        except PresetError as error:
            self._ui.tell(str(error), severity="warning")
        else:
            with self._core.undoing.step("System prompt"):
                self._core.session.replace_prompt(prompt)
            way = self._ui.way("chat.undo")
            self._ui.tell(f"The system prompt “{name}” applies from the next reply. {way} to undo.")

    async def save_prompt(self, argument: str = "") -> None:
        """Save the system prompt under a name."""
        prompt = self._core.settings.system_prompt
        if not prompt:
            self._ui.tell("There is no system prompt to save. Use /system TEXT to set one.")
            return
        name = (argument or await self._ui.text("Name of the system prompt")).strip()
        if name and await self._may_replace("system prompt", name, self._library.prompt_names):
            await self._kept(self._library.save_prompt, name, prompt)

    async def _may_replace(self, what: str, name: str, names: Callable[[], list[str]]) -> bool:
        """Return whether a name may be written; if something with that name exists, ask first."""
        if name not in await asyncio.to_thread(names):
            return True
        answers = (Answer("keep", "Keep", "k"), Answer("replace", "Replace", style="error"))
        title = f"Replace the {what} “{sanitize_line(name, 60)}”?"
        text = f"There is already a {what} with this name. Replacing it can't be undone."
        return await self._ui.ask(title, text, answers) == "replace"

    async def _kept(self, save: Any, *arguments: Any) -> bool:
        try:
            path = await asyncio.to_thread(save, *arguments)
        except PresetError as error:
            self._ui.tell(str(error), severity="warning")
            return False
        if path:
            self._ui.tell(f"Saved to {path}")
        return True

    # -- presets

    def _preset_now(self, name: str) -> Preset:
        settings, info = self._core.settings, self._core.loader.info
        return Preset(
            name,
            info.model if info else "",
            settings.quantization if info else "",
            settings.system_prompt,
            dict(settings.parameters),
            dict(settings.template),
        )

    async def _choose_preset(self, title: str) -> str:
        from tui.screens.library_entries import preset_entries

        entries = await asyncio.to_thread(preset_entries, self._library)
        empty = "No presets are saved yet. Use /preset-save NAME to save the current settings."
        return await self._ui.choose(title, entries, empty=empty)

    async def choose_preset(self, argument: str = "") -> None:
        """Apply the named preset; without a name, ask for one."""
        name = argument or await self._choose_preset("Presets")
        if name and (preset := await self._preset(name)):
            self.apply(preset)

    def apply(self, preset: Preset, *, with_model: bool = True) -> None:
        """Apply a preset to the chat, and load its model if another one is loaded."""
        settings, loader = self._core.settings, self._core.loader
        quantization = preset.quantization or settings.quantization
        wanted, have = (preset.model, quantization), (loader.model, loader.quantization)
        is_other = preset.model != loader.model if is_server(preset.model) else wanted != have
        loads = with_model and bool(preset.model) and is_other
        is_there = loader.info is not None or loader.loading
        requantizes = loads and is_there and preset.model == loader.model
        with self._core.undoing.step(f"Preset “{sanitize_line(preset.name, 60)}”"):
            settings.set({**dict.fromkeys(PARAMETERS), **preset.parameters})
            settings.set_template(preset.template)
            if preset.system_prompt is not None:
                self._core.session.replace_prompt(preset.system_prompt)
            if requantizes:
                loader.requantize(quantization)
        if loads and not requantizes:
            self._ui.start(self._load(preset, quantization))
        # Undo would not bring the previous model back.
        way = "" if loads and not requantizes else f" {self._ui.way('chat.undo')} to undo."
        self._ui.tell(f"The preset “{preset.name}” applies from the next reply.{way}")

    async def _load(self, preset: Preset, quantization: str) -> None:
        if await self._consent.may_use(preset.model, f"The preset “{preset.name}” names a server."):
            request = self._core.settings.load_request(preset.model, quantization)
            self._core.loader.load(request)

    async def save_preset(self, argument: str = "") -> None:
        """Save the current settings as a preset."""
        note = "A preset contains the model, the system prompt and the parameters."
        name = (argument or await self._ui.text("Name of the preset", note=note)).strip()
        # Take the current values before asking, because they may change while the question is open.
        preset = self._preset_now(name)
        if name and await self._may_replace("preset", name, self._library.preset_names):
            await self._kept(self._library.save_preset, preset)

    async def choose_default_preset(self, argument: str = "") -> None:
        """Apply the named preset whenever this model is loaded; `none` removes the default."""
        from tui.screens.library_entries import preset_entries
        from tui.screens.picker import Entry

        info = self._core.loader.info
        if info is None:
            self._ui.tell(
                f"No model is loaded. {self._ui.way('model.choose')} to choose one.",
                severity="warning",
            )
            return
        defaults = dict(self._core.settings.preferences.values.presets)
        current = defaults.pop(info.model, "none")
        entries = await asyncio.to_thread(preset_entries, self._library, current)
        title = f"Preset for {sanitize_line(info.name)}"
        none = Entry("none", "none", is_current=current == "none")
        name = argument or await self._ui.choose(title, [*entries, none])
        if not name:
            return
        if name != "none":
            if name not in {one.id for one in entries}:
                self._ui.tell(f"There is no preset “{name}”.", severity="warning")
                return
            defaults[info.model] = name
        if await self._write_settings({"presets": defaults}):
            self._ui.tell(
                f"{info.name} no longer has a preset."
                if name == "none"
                else f"The preset {name} now applies whenever {info.name} is loaded."
            )

    async def export_preset(self, argument: str = "") -> None:
        """Export the current settings as a preset file."""
        suggested = str(absolute(Path("preset.toml")))
        name = argument or await self._ui.text(
            "Export the preset to a file", suggested, is_path=True
        )
        if name:
            path = with_ending(typed_path(name.strip()), ".toml")
            if await self._kept(export_preset, self._preset_now(path.stem), path):
                self._ui.tell(f"Saved to {path}. Start with --preset {path} to use it.")

    async def delete_preset(self, argument: str = "") -> None:
        """Delete the named preset, after asking; without a name, ask for one."""
        name = argument or await self._choose_preset("Delete a preset")
        if not name or await self._preset(name) is None:
            return
        shown = sanitize_line(name, 80)
        answers = (Answer("keep", "Keep", "k"), Answer("delete", "Delete", style="error"))
        text = "This can't be undone."
        if await self._ui.ask(f"Delete the preset “{shown}”?", text, answers) != "delete":
            return
        if await self._kept(self._library.delete_preset, name):
            self._ui.tell(f"The preset “{shown}” was deleted.")

    # -- colors and all other settings

    async def choose_theme(self, argument: str = "") -> None:
        """Use the named theme; without a name, show the list with a live preview."""
        from tui.screens.picker import Entry, Picker

        app, settings = self._view.screen.app, self._core.settings
        before, themes = app.theme, app.available_themes
        names = sorted(themes, key=lambda name: (name in BUILTIN_THEMES, name))
        if argument and argument not in names:
            self._ui.tell(
                f"There is no theme {argument}. Use /theme to see all themes.", severity="warning"
            )
            return
        chosen = argument
        if not chosen:
            kinds = {name: "dark" if themes[name].dark else "light" for name in names}
            entries = [Entry(name, name, kinds[name], is_current=name == before) for name in names]
            chosen = await self._ui.show(Picker("Themes", entries, on_move=self._try_theme)) or ""
        app.theme = chosen or before
        if not chosen or chosen == before:
            return
        if settings.preferences.origin("screen.theme") is Origin.FILE:
            await self._write_settings({"screen.theme": chosen})
        settings.remember(theme=chosen)

    def reset_theme(self, _none: object = None) -> None:
        """Go back to the default theme."""
        app = self._view.screen.app
        names = app.available_themes
        app.theme = next((name for name in names if name not in BUILTIN_THEMES), app.theme)
        self._core.settings.remember(theme="")

    def _try_theme(self, name: str) -> None:
        self._view.screen.app.theme = name

    async def _write_settings(self, changes: Mapping[str, Any]) -> bool:
        """Write settings to the configuration file; return whether that succeeded."""
        try:
            await asyncio.to_thread(self._core.settings.preferences.write, changes)
        except UserError as error:
            self._ui.tell(str(error), severity="warning")
            return False
        return True
