"""What a chat is set to, changed by commands; and the list of what is in force and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tui.chat.core import Core
from tui.engine.base import ModelInfo
from tui.flags import read_flags, split_words
from tui.parameters import (
    PARAMETERS,
    ParameterError,
    Value,
    format_value,
    grouped,
    in_force,
    parameter,
)
from tui.screens.chat.places import Places
from tui.screens.chat.ui import ScreenUi
from tui.screens.chat.view import View
from tui.screens.status_view import StatusRow, StatusView
from tui.settings.preferences import Origin
from tui.settings.schema import GENERATION
from tui.widgets.parameter_field import Defaults

_SAID_ABOVE = (GENERATION, "template", "chat.system_prompt", "model.name")

_SENSIBLE_TEMPERATURE: Final = 2


class SettingActions:
    """Changes parameters and the system prompt, and says what is in force."""

    def __init__(self, core: Core, view: View, places: Places, ui: ScreenUi) -> None:
        self._core = core
        self._view = view
        self._places = places
        self._ui = ui

    def reset(self, argument: str = "") -> None:
        """Have the named parameters, or all and the system prompt, as they are without what was set in this chat."""
        settings, names = self._core.settings, argument.replace(",", " ").split()
        try:
            settings.set({parameter(name).name: None for name in names or PARAMETERS})
        except ParameterError as error:
            self._ui.tell(str(error), severity="warning")
            return
        if not names:
            self._reset_prompt()
            kept = sorted(settings.parameters)
            more = f" The configuration or command line sets {', '.join(kept)}." if kept else ""
            self._ui.tell(f"All parameters and the system prompt have their defaults.{more}")

    def _reset_prompt(self) -> None:
        settings = self._core.settings
        is_said = settings.is_said("chat.system_prompt")
        prompt = settings.preferences.values.chat.system_prompt if is_said else ""
        if settings.system_prompt != prompt:
            self._core.session.replace_prompt(prompt)

    def set(self, argument: str = "") -> None:
        """Set parameters from flags, as in `temperature=0.7 top_k=40`, or one as in `temperature 0.7`; go to them without any."""
        if not argument.strip():
            self._places.to_setting(next(iter(PARAMETERS)))
            return
        try:
            words = split_words(argument)
            if len(words) == 2 and "=" not in argument:
                # As it is in other programs' `/set`.
                words = ["=".join(words)]
            values = read_flags(words)
        except ParameterError as error:
            self._ui.tell(str(error), title="Nothing was set", severity="warning")
            return
        self._core.settings.set(values)
        said = (
            f"{name} = {parameter(name).shown(value) or 'default'}"
            for name, value in values.items()
        )
        warning = _makes_little_sense(values)
        self._ui.tell(
            f"{', '.join(said)}: from the next reply.{warning}",
            severity="warning" if warning else "information",
        )

    def set_prompt(self, argument: str = "") -> None:
        """Set the system prompt to a text; put the cursor into it without one."""
        if not argument:
            self._places.to_setting("system-prompt")
            return
        self._core.session.replace_prompt("" if argument.lower() == "none" else argument)
        self._ui.tell("The system prompt holds from the next reply.")

    # -- what is in force

    def show_status(self) -> None:
        """Show what is in force and where each value comes from."""
        self._view.screen.app.push_screen(StatusView(self.status_rows()))

    def status_rows(self) -> list[StatusRow]:
        """Return what is in force, under headings."""
        settings = self._core.settings
        parts = {
            "MODEL": self._model_rows(),
            "SYSTEM PROMPT": self._prompt_rows(),
            **self._parameter_rows(),
            "TEMPLATE SWITCHES": [
                StatusRow(name, format_value(one), Origin.CHAT.value)
                for name, one in settings.template.items()
            ],
            "SETTINGS": [
                StatusRow(key, format_value(one) or "none", origin.value)
                for key, one, origin in settings.preferences.items()
                if origin is not Origin.DEFAULT and not key.startswith(_SAID_ABOVE)
            ],
        }
        return [row for title, rows in parts.items() if rows for row in (StatusRow(title), *rows)]

    def _model_rows(self) -> list[StatusRow]:
        info, preferences = self._core.loader.info, self._core.settings.preferences
        if info is None:
            return [StatusRow("model", "none")]
        is_said = info.model == preferences.values.model.name
        origin = preferences.origin("model.name") if is_said else Origin.CHAT
        facts = f"{info.dtype}, quantization {info.quantization}, on {info.device}"
        if info.server:
            facts = f"on the server {info.server}"
        return [
            StatusRow("model", info.model, origin.value),
            StatusRow("held as", facts),
            StatusRow(
                "context",
                f"{info.context_tokens:,} tokens" if info.context_tokens else _no_limit(info),
            ),
        ]

    def _prompt_rows(self) -> list[StatusRow]:
        settings = self._core.settings
        preferences, prompt = settings.preferences, settings.system_prompt
        is_said = prompt == preferences.values.chat.system_prompt
        origin = preferences.origin("chat.system_prompt") if is_said else Origin.CHAT
        return [StatusRow("prompt", prompt or "none", origin.value)]

    def _parameter_rows(self) -> dict[str, list[StatusRow]]:
        """Return for each group what is set, what the model itself wants, and the common ones."""
        settings, info = self._core.settings, self._core.loader.info
        defaults = info.defaults if info else {}
        force = in_force(dict(settings.parameters), defaults)
        rows: dict[str, list[StatusRow]] = {}
        for group, members in grouped():
            rows[group.upper()] = found = []
            for known in members:
                name = known.name
                is_set = settings.parameters.get(name) is not None
                whose = Origin.MODEL if defaults.get(name) is not None else Origin.DEFAULT
                origin = settings.origin(name) if is_set else whose
                if is_set or force[name] is not None or known.is_common:
                    shown = known.shown(force[name]) or known.blank
                    if not is_set and info is not None:
                        shown = Defaults.of(info).text(known)
                    found.append(StatusRow(name, shown, origin.value))
        return rows


def _no_limit(info: ModelInfo) -> str:
    return "not known" if info.server else "no limit"


def _makes_little_sense(values: Mapping[str, Value]) -> str:
    """Return a warning about values that are allowed and make replies of loose words; empty where there is none."""
    temperature = values.get("temperature")
    is_hot = isinstance(temperature, int | float) and temperature > _SENSIBLE_TEMPERATURE
    return " Above 2 a model writes little that makes sense." if is_hot else ""
