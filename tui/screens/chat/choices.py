"""What a chat is set to: parameters and where they come from, the template's switches, system prompts, presets, colours."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from textual import on, work
from textual.message import Message
from textual.theme import BUILTIN_THEMES
from textual.timer import Timer

from tui.conversation import ASSISTANT
from tui.engine.base import Event, LoadRequest, ModelReady
from tui.engine.worker import JobId
from tui.flags import read_flags, split_words
from tui.parameters import PARAMETERS, ParameterError, format_value, grouped, in_force, parameter
from tui.sanitize import sanitize_line
from tui.screens.ask import AskText
from tui.screens.chat.reading import Reading
from tui.screens.dialog import Dialog
from tui.screens.picker import Entry, Picker
from tui.screens.settings_screen import SettingsScreen
from tui.screens.status_view import StatusRow, StatusView
from tui.sessions import Loaded
from tui.settings.preferences import Origin
from tui.settings.presets import Preset, PresetError, export_preset
from tui.settings.schema import GENERATION
from tui.settings.state import AppState
from tui.widgets.parameter_field import ParameterField, ValueInput
from tui.widgets.sidebar import Sidebar, SystemPrompt
from tui.widgets.switch_field import SwitchField

_COUNT_S: Final = 0.3
_SAID_ABOVE: Final = (GENERATION, "template", "chat.system_prompt", "model.name")
_KEPT: Final = (Origin.CHAT, Origin.REMEMBERED)
"""What was changed in the app is remembered; what a file or the command line says is not, or it would outlive that."""


class Choices(Reading):
    """Changes what replies are made with."""

    class SettingsChanged(Message):
        """The configuration is another one; the app looks and listens otherwise now."""

    _prompt_timer: Timer | None = None
    _prompt_tokens = 0
    _origins: dict[str, Origin]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._origins = {}
        self._last_state: AppState = args[2] if len(args) > 2 else kwargs["state"]
        self._preset_model = self.request.model if self.request else ""
        """The model whose preset was applied last; that of the start is among the settings already."""
        self._take_settings(self.conversation.settings)

    def on_mount(self) -> None:
        """Show what is chosen."""
        self.sidebar.show_switches((), self.template)
        self._prompt_changed()

    def _take_settings(self, settings: Mapping[str, Any]) -> None:
        """Take over what belongs to the chat that is shown: its own settings where it has any, and what was asked for at the start."""
        stored = settings.get("config")
        has_own = isinstance(stored, Mapping) and bool(stored)
        for name in PARAMETERS:
            key = f"{GENERATION}{name}"
            origin, value = self.preferences.origin(key), self.preferences.value(key)
            if origin is Origin.COMMAND_LINE or (
                not has_own and origin not in (*_KEPT, Origin.DEFAULT)
            ):
                self.parameters[name] = value
                self._origins[name] = origin
            elif name in self.parameters:
                self._origins[name] = Origin.CHAT if has_own else origin
                if origin is Origin.DEFAULT:
                    self._origins[name] = Origin.CHAT
        template = settings.get("template")
        if isinstance(template, Mapping) and template:
            self.template = {str(name): value for name, value in template.items()}
        elif not self.template:
            self.template = dict(self.preferences.value("template"))

    def open_conversation(self, opened: Loaded) -> None:
        """Go on with another chat, and with what it is set to."""
        super().open_conversation(opened)
        self._origins = {}
        self._take_settings(opened.conversation.settings)
        self.sidebar.show_parameters(self.parameters)
        self._show_switches()
        self._prompt_changed()

    def remembered(self, state: AppState) -> AppState:
        """Return what the next start should know: what was chosen in the app."""
        before = self._last_state
        kept = {
            name: value
            for name, value in state.parameters.items()
            if self._origins.get(name, Origin.CHAT) in _KEPT
        }
        changes: dict[str, Any] = {"parameters": kept}
        for key, attribute in (
            ("chat.system_prompt", "system_prompt"),
            ("screen.theme", "theme"),
            ("chat.when_full", "overflow"),
        ):
            is_said = self.preferences.origin(key) not in (*_KEPT, Origin.DEFAULT)
            if is_said and getattr(state, attribute) == self.preferences.value(key):
                changes[attribute] = getattr(before, attribute)
        self._last_state = replace(state, **changes)
        return self._last_state

    # -- a plain screen has one column

    def _show_sidebar(self) -> None:
        super()._show_sidebar()
        if self.preferences.value("screen.plain"):
            self.remove_class("-sidebar")

    def close_overlay(self) -> None:
        """Hide the sidebar where it takes the chat's place."""
        super().close_overlay()
        if self.preferences.value("screen.plain"):
            self.remove_class("-sidebar")

    # -- a preset of a model's own

    def take_event(self, job: JobId, event: Event) -> bool:
        """Follow one event; a model that is loaded brings its preset along."""
        taken = super().take_event(job, event)
        if isinstance(event, ModelReady) and event.info.model != self._preset_model:
            self._preset_model = event.info.model
            if name := self.preferences.value("presets").get(event.info.model):
                self._apply_default(name)
        return taken

    @work(exclusive=True, group="preset")
    async def _apply_default(self, name: str) -> None:
        try:
            preset = await asyncio.to_thread(self.preferences.library.preset, name)
        except PresetError as error:
            self.tell(_sentence(error), severity="warning")
        else:
            self.apply_preset(preset, with_model=False)

    # -- parameters

    @on(ParameterField.Changed)
    def _parameter_chosen(self, event: ParameterField.Changed) -> None:
        self._origins[event.name] = Origin.CHAT
        if event.value is None:
            self._origins.pop(event.name)

    @on(Sidebar.ResetPressed)
    def action_settings_reset(self) -> None:
        """Have all parameters at their defaults."""
        self._set_parameters(dict.fromkeys(PARAMETERS))
        self.tell("All parameters have their defaults.")

    def command_settings_reset(self, argument: str) -> None:
        """Have the named parameters, or all, at their defaults."""
        names = argument.replace(",", " ").split()
        if not names:
            self.action_settings_reset()
            return
        try:
            self._set_parameters({parameter(name).name: None for name in names})
        except ParameterError as error:
            self.tell(f"{_sentence(error)}", severity="warning")

    def action_settings_set(self) -> None:
        """Put the cursor into the first field for a parameter."""
        if not self.has_class("-sidebar"):
            self.action_sidebar_toggle()
        if (field := self.sidebar.field(next(iter(PARAMETERS)))) is not None:
            self.set_focus(field.query_one(ValueInput))

    def command_settings_set(self, argument: str) -> None:
        """Set parameters from flags, as in `temperature=0.7 top_k=40`."""
        try:
            values = read_flags(split_words(argument))
        except ParameterError as error:
            self.tell(_sentence(error), title="Nothing was set", severity="warning")
            return
        self._set_parameters(values)
        said = (f"{name} = {format_value(value) or 'default'}" for name, value in values.items())
        self.tell(f"{', '.join(said)}: from the next reply.")

    def _set_parameters(self, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            if value is None:
                self.parameters.pop(name, None)
                self._origins.pop(name, None)
            else:
                self.parameters[name] = value
                self._origins[name] = Origin.CHAT
        self.sidebar.show_parameters(self.parameters)
        self.remember()

    # -- switches of the template

    def show_model(self) -> None:
        """Show the model and the switches of its template."""
        super().show_model()
        self._show_switches()

    def _show_switches(self) -> None:
        info = None if self.model.loading else self.model.info
        self.sidebar.show_switches(info.template_switches if info else (), self.template)

    @on(SwitchField.Changed)
    def _switch_chosen(self, event: SwitchField.Changed) -> None:
        if event.value is None:
            self.template.pop(event.name, None)
        else:
            self.template[event.name] = event.value
        self.context_tokens = None

    # -- the system prompt

    @on(Sidebar.SystemPromptChanged)
    def _prompt_typed(self) -> None:
        self._prompt_changed()

    def show_conversation(self, *, follow: bool = True) -> None:
        """Show the chat, and from where its system prompt holds."""
        super().show_conversation(follow=follow)
        self._prompt_changed()

    def show_growth(self) -> None:
        """Show a chat that has grown; with a message, a changed system prompt has come into force."""
        super().show_growth()
        self._prompt_changed()

    def _prompt_changed(self) -> None:
        if self._prompt_timer is not None:
            self._prompt_timer.stop()
        self._prompt_timer = self.set_timer(_COUNT_S, self._count_prompt)
        self._show_prompt_note(0)

    def _count_prompt(self) -> None:
        if self.system_prompt and self.model.ready and not self.worker.busy:
            prompt = self.system_prompt

            def counted(pieces: tuple[str, ...]) -> None:
                if prompt == self.system_prompt:
                    self._show_prompt_note(len(pieces))

            self.split_text(prompt, counted)

    def _show_prompt_note(self, tokens: int) -> None:
        parts = [f"{tokens:,} token{'' if tokens == 1 else 's'}"] if tokens else []
        replies = sum(turn.role == ASSISTANT for turn in self.conversation.path)
        if replies and self.system_prompt != self.conversation.system_prompt:
            parts.append(f"changed: holds from reply {replies + 1} on")
        self.sidebar.show_prompt_note(" · ".join(parts))

    def _set_prompt(self, text: str) -> None:
        self.system_prompt = text
        self.sidebar.show_system_prompt(text)
        self.remember()
        self._prompt_changed()

    def action_system_edit(self) -> None:
        """Put the cursor into the system prompt."""
        if not self.has_class("-sidebar"):
            self.action_sidebar_toggle()
        self.set_focus(self.query_one("#system-prompt", SystemPrompt))

    def command_system_edit(self, argument: str) -> None:
        """Set the system prompt to a text."""
        if not argument:
            self.action_system_edit()
            return
        self._set_prompt("" if argument.lower() == "none" else argument)
        self.tell("The system prompt holds from the next reply.")

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
                self._set_prompt(await asyncio.to_thread(library.prompt, name))
            except PresetError as error:
                self.tell(_sentence(error), severity="warning")
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
            self.tell(_sentence(error), severity="warning")
            return False
        self.tell(f"Written: {path}" if path else "Done.")
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
            self.tell(_sentence(error), severity="warning")
            return
        self.apply_preset(preset)

    def apply_preset(self, preset: Preset, *, with_model: bool = True) -> None:
        """Have the chat set as a preset says; the model is loaded if it is another one."""
        self._set_parameters({**dict.fromkeys(PARAMETERS), **preset.parameters})
        self.template = dict(preset.template)
        if preset.system_prompt is not None:
            self._set_prompt(preset.system_prompt)
        self._show_switches()
        quantization = preset.quantization or self.quantization
        wanted, have = (preset.model, quantization), (self.model.model, self.model.quantization)
        if with_model and preset.model and wanted != have:
            self.choose_model(LoadRequest(preset.model, quantization))
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
        defaults = dict(self.preferences.value("presets"))
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
            AskText("Write the preset to a file", str(Path.cwd() / "preset.toml"))
        )
        if name:
            path = Path(name.strip()).expanduser()
            path = path if path.suffix else path.with_suffix(".toml")
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

    # -- the model

    def command_model_choose(self, argument: str) -> None:
        """Load the named model; ask for one without a name."""
        if argument:
            self.choose_model(LoadRequest(argument, self.quantization))
        else:
            self.action_model_choose()

    def command_chat_rename(self, argument: str) -> None:
        """Give the chat a title; ask for one without it."""
        if argument:
            self._rename(argument)
        else:
            self.action_chat_rename()

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
        from tui.settings.config import ConfigError
        from tui.settings.schema import SettingError

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
        self.settings_were_changed()

    def settings_were_changed(self) -> None:
        """Hold by another configuration."""
        self.post_message(self.SettingsChanged())
        for name in PARAMETERS:
            key = f"{GENERATION}{name}"
            if self._origins.get(name) is not Origin.CHAT and self.preferences.origin(key) in (
                Origin.FILE,
                Origin.ENVIRONMENT,
            ):
                self.parameters[name] = self.preferences.value(key)
                self._origins[name] = self.preferences.origin(key)
            elif self._origins.get(name) is Origin.FILE:
                self.parameters.pop(name, None)
                self._origins.pop(name)
        self.sidebar.show_parameters(self.parameters)

    # -- status

    def action_settings_status(self) -> None:
        """Show what is in force and where each value comes from."""
        self.app.push_screen(StatusView(self._status_rows()))

    def _status_rows(self) -> list[StatusRow]:
        parts = {
            "MODEL": self._model_rows(),
            "SYSTEM PROMPT": self._prompt_rows(),
            **self._parameter_rows(),
            "TEMPLATE SWITCHES": [
                StatusRow(name, format_value(one), Origin.CHAT.value)
                for name, one in self.template.items()
            ],
            "SETTINGS": [
                StatusRow(key, format_value(one) or "none", origin.value)
                for key, one, origin in self.preferences.items()
                if origin is not Origin.DEFAULT and not key.startswith(_SAID_ABOVE)
            ],
        }
        return [row for title, rows in parts.items() if rows for row in (StatusRow(title), *rows)]

    def _model_rows(self) -> list[StatusRow]:
        info = self.model.info
        if info is None:
            return [StatusRow("model", "none")]
        is_said = info.model == self.preferences.value("model.name")
        origin = self.preferences.origin("model.name") if is_said else Origin.CHAT
        facts = f"{info.dtype}, quantization {info.quantization}, on {info.device}"
        return [
            StatusRow("model", info.model, origin.value),
            StatusRow("held as", facts),
            StatusRow("context", f"{info.context_tokens:,} tokens"),
        ]

    def _prompt_rows(self) -> list[StatusRow]:
        is_said = self.system_prompt == self.preferences.value("chat.system_prompt")
        origin = self.preferences.origin("chat.system_prompt") if is_said else Origin.CHAT
        return [StatusRow("prompt", self.system_prompt or "none", origin.value)]

    def _parameter_rows(self) -> dict[str, list[StatusRow]]:
        """Return for each group what is set, what the model itself wants, and the common ones."""
        defaults = self.model.info.defaults if self.model.info else {}
        force = in_force(self.parameters, defaults)
        rows: dict[str, list[StatusRow]] = {}
        for group, members in grouped():
            rows[group.upper()] = found = []
            for known in members:
                name = known.name
                is_set = self.parameters.get(name) is not None
                whose = Origin.MODEL if defaults.get(name) is not None else Origin.DEFAULT
                origin = self._origins.get(name, Origin.CHAT) if is_set else whose
                if is_set or force[name] is not None or known.is_common:
                    shown = format_value(force[name]) or ("random" if name == "seed" else "off")
                    found.append(StatusRow(name, shown, origin.value))
        return rows


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '?')) else '.'}"
