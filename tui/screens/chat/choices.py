"""What a chat is set to: parameters and where they come from, the template's switches, system prompts, presets, colours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from textual import on, work
from textual.timer import Timer

from tui.conversation import ASSISTANT
from tui.flags import read_flags, split_words
from tui.parameters import PARAMETERS, ParameterError, format_value, grouped, in_force, parameter
from tui.screens.chat.reading import Reading
from tui.screens.status_view import StatusRow, StatusView
from tui.sessions import Loaded
from tui.settings.preferences import Origin
from tui.settings.schema import GENERATION
from tui.settings.state import AppState
from tui.widgets.parameter_field import ParameterField
from tui.widgets.sidebar import Sidebar
from tui.widgets.switch_field import SwitchField

_COUNT_S: Final = 0.3
_SAID_ABOVE: Final = (GENERATION, "template", "chat.system_prompt", "model.name")
_KEPT: Final = (Origin.CHAT, Origin.REMEMBERED)
"""What was changed in the app is remembered; what a file or the command line says is not, or it would outlive that."""


class Choices(Reading):
    """Changes what replies are made with."""

    _prompt_timer: Timer | None = None
    _origins: dict[str, Origin]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._origins = {}
        self._last_state = self.preferences.remembered
        self._take_settings(self.conversation.settings, is_start=True)

    def on_mount(self) -> None:
        """Show what is chosen."""
        self.sidebar.show_switches((), self.template)
        self._prompt_changed()

    def _take_settings(self, settings: Mapping[str, Any], *, is_start: bool = False) -> None:
        """Take over what the chat that is shown was set to, or what files and command line say where it is new.

        At the start the command line goes before the chat's own: it was typed just now, for this chat.
        """
        stored = settings.get("config")
        has_own = isinstance(stored, Mapping) and bool(stored)
        for name in PARAMETERS:
            key = f"{GENERATION}{name}"
            origin = self.preferences.origin(key)
            value = self.preferences.values.generation.get(name)
            is_asked_for = is_start and origin is Origin.COMMAND_LINE
            if is_asked_for or (not has_own and origin not in (*_KEPT, Origin.DEFAULT)):
                self.parameters[name] = value
                self._origins[name] = origin
            elif name in self.parameters:
                self._origins[name] = Origin.CHAT if has_own else origin
                if origin is Origin.DEFAULT:
                    self._origins[name] = Origin.CHAT
        template = settings.get("template")
        if isinstance(template, Mapping) and template:
            self.template = {str(name): value for name, value in template.items()}
        elif has_own or not self.template:
            self.template = dict(self.preferences.values.template)

    def open_conversation(self, opened: Loaded) -> None:
        """Go on with another chat, and with what it is set to."""
        super().open_conversation(opened)
        self._origins = {}
        self._take_settings(opened.conversation.settings)
        self.sidebar.show_parameters(self.parameters)
        self.show_switches()
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

    @property
    def _shows_sidebar(self) -> bool:
        return super()._shows_sidebar and not self.preferences.values.screen.plain

    def close_overlay(self) -> None:
        """Hide the sidebar where it takes the chat's place."""
        super().close_overlay()
        if self.preferences.values.screen.plain:
            self.remove_class("-sidebar")

    # -- parameters

    @on(ParameterField.Changed)
    def _parameter_chosen(self, event: ParameterField.Changed) -> None:
        self._origins[event.name] = Origin.CHAT
        if event.value is None:
            # Once all have heard of it: the field then shows what holds instead.
            self.call_later(self.set_parameters, {event.name: None})

    @on(Sidebar.ResetPressed)
    def action_settings_reset(self) -> None:
        """Have all parameters as they are without what was set in this chat."""
        self.set_parameters(dict.fromkeys(PARAMETERS))
        kept = sorted(name for name in self.parameters if name in self._origins)
        more = f" The configuration or command line sets {', '.join(kept)}." if kept else ""
        self.tell(f"All parameters have their defaults.{more}")

    def command_settings_reset(self, argument: str) -> None:
        """Have the named parameters, or all, at their defaults."""
        names = argument.replace(",", " ").split()
        if not names:
            self.action_settings_reset()
            return
        try:
            self.set_parameters({parameter(name).name: None for name in names})
        except ParameterError as error:
            self.tell(f"{sentence_of(error)}", severity="warning")

    def action_settings_set(self) -> None:
        """Put the cursor into the first field for a parameter."""
        if not self.has_class("-sidebar"):
            self.action_sidebar_toggle()
        self.sidebar.focus_on(next(iter(PARAMETERS)))

    def command_settings_set(self, argument: str) -> None:
        """Set parameters from flags, as in `temperature=0.7 top_k=40`, or one as in `temperature 0.7`."""
        try:
            words = split_words(argument)
            if len(words) == 2 and "=" not in argument:
                # As it is in other programs' `/set`.
                words = ["=".join(words)]
            values = read_flags(words)
        except ParameterError as error:
            self.tell(sentence_of(error), title="Nothing was set", severity="warning")
            return
        self.set_parameters(values)
        said = (
            f"{name} = {parameter(name).shown(value) or 'default'}"
            for name, value in values.items()
        )
        self.tell(f"{', '.join(said)}: from the next reply.")

    def set_parameters(self, values: Mapping[str, Any]) -> None:
        """Set parameters for this chat; None goes back to what holds without the chat's own: a file's value, or the default."""
        for name, value in values.items():
            origin = self.preferences.origin(f"{GENERATION}{name}")
            if value is not None:
                self.parameters[name] = value
                self._origins[name] = Origin.CHAT
            elif origin not in (*_KEPT, Origin.DEFAULT):
                self.parameters[name] = self.preferences.values.generation[name]
                self._origins[name] = origin
            else:
                self.parameters.pop(name, None)
                self._origins.pop(name, None)
        self.sidebar.show_parameters(self.parameters)
        self.remember()

    # -- switches of the template

    def show_model(self) -> None:
        """Show the model and the switches of its template."""
        super().show_model()
        self.show_switches()

    def show_switches(self) -> None:
        """Show the switches of the model's template."""
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

    @work(exclusive=True, group="count-prompt")
    async def _count_prompt(self) -> None:
        if self.system_prompt and self.model.ready and not self.worker.busy:
            prompt = self.system_prompt
            pieces = await self.side.split(prompt)
            if prompt == self.system_prompt:
                self._show_prompt_note(len(pieces))

    def _show_prompt_note(self, tokens: int) -> None:
        parts = [f"{tokens:,} token{'' if tokens == 1 else 's'}"] if tokens else []
        replies = sum(turn.role == ASSISTANT for turn in self.conversation.path)
        if replies and self.system_prompt != self.conversation.system_prompt:
            parts.append(f"changed: holds from reply {replies + 1} on")
        self.sidebar.show_prompt_note(" · ".join(parts))

    def set_prompt(self, text: str) -> None:
        """Have another system prompt from the next reply on."""
        self.keep_prompt()
        self.system_prompt = text
        self.sidebar.show_system_prompt(text)
        self.remember()
        self._prompt_changed()

    def action_system_edit(self) -> None:
        """Put the cursor into the system prompt."""
        if not self.has_class("-sidebar"):
            self.action_sidebar_toggle()
        self.sidebar.focus_on("system-prompt")

    def command_system_edit(self, argument: str) -> None:
        """Set the system prompt to a text."""
        if not argument:
            self.action_system_edit()
            return
        self.set_prompt("" if argument.lower() == "none" else argument)
        self.tell("The system prompt holds from the next reply.")

    # -- the model

    def command_model_choose(self, argument: str) -> None:
        """Load the named model; ask for one without a name."""
        if argument:
            self.get_model(self.request_for(argument))
        else:
            self.action_model_choose()

    def command_chat_rename(self, argument: str) -> None:
        """Give the chat a title; ask for one without it."""
        if argument:
            self._rename(argument)
        else:
            self.action_chat_rename()

    # -- the configuration

    def take_configuration(self) -> None:
        """Hold by another configuration, but for what was changed in this chat."""
        self.presenter.user = self.preferences.values.chat.user
        for name in PARAMETERS:
            key = f"{GENERATION}{name}"
            origin = self.preferences.origin(key)
            if self._origins.get(name) is Origin.CHAT:
                continue
            if origin in (Origin.FILE, Origin.ENVIRONMENT, Origin.COMMAND_LINE):
                self.parameters[name] = self.preferences.values.generation[name]
                self._origins[name] = origin
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
        is_said = info.model == self.preferences.values.model.name
        origin = self.preferences.origin("model.name") if is_said else Origin.CHAT
        facts = f"{info.dtype}, quantization {info.quantization}, on {info.device}"
        return [
            StatusRow("model", info.model, origin.value),
            StatusRow("held as", facts),
            StatusRow(
                "context", f"{info.context_tokens:,} tokens" if info.context_tokens else "no limit"
            ),
        ]

    def _prompt_rows(self) -> list[StatusRow]:
        is_said = self.system_prompt == self.preferences.values.chat.system_prompt
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
                    shown = known.shown(force[name]) or known.blank
                    found.append(StatusRow(name, shown, origin.value))
        return rows


def sentence_of(error: Exception) -> str:
    """Return what an error says as a whole sentence."""
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '?')) else '.'}"
