"""What a chat is set to: the parameters and where each comes from, the template's switches, the system prompt, the quantization.

The layers below the chat are `Preferences`'; what is changed in the app for this chat is the layer above them, and what of it the
next start should know goes into the remembered state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import Enum, auto
from typing import Any, Final

from tui.chat.requests import ReplySettings
from tui.chat.signal import Signal
from tui.conversation import Conversation
from tui.conversation.context import OverflowPolicy
from tui.dataclass import dataclass
from tui.engine.base import LoadRequest, ModelInfo, Speculation
from tui.json_types import Json
from tui.parameters import PARAMETERS, Value, readable
from tui.settings.preferences import Origin, Preferences
from tui.settings.schema import GENERATION
from tui.settings.state import AppState

_IN_APP: Final = (Origin.CHAT, Origin.REMEMBERED)
"""What was changed in the app is remembered; what a file or the command line says is not, or it would outlive that."""
_SAID: Final = (Origin.FILE, Origin.ENVIRONMENT, Origin.COMMAND_LINE)
_NOT_SAID: Final = (*_IN_APP, Origin.DEFAULT)
_ASKED_FOR: Final = (Origin.COMMAND_LINE, Origin.PRESET, Origin.ENVIRONMENT)
"""What was named when the app was started."""
_REMEMBERED: Final = (
    ("chat.system_prompt", "system_prompt"),
    ("screen.theme", "theme"),
    ("chat.when_full", "overflow"),
)


class Area(Enum):
    """What of the settings is another."""

    ALL = auto()
    """Another chat was opened."""
    PARAMETERS = auto()
    TEMPLATE = auto()
    PROMPT = auto()
    QUANTIZATION = auto()
    OVERFLOW = auto()
    SPECULATION = auto()
    CONFIGURATION = auto()
    """The configuration file was changed."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a chat is set to at one moment, to go back to.

    Attributes:
        parameters: those that are set.
        origins: where each of them comes from.
        template: what is chosen of the template's switches.
        system_prompt: its text.
        overflow: what happens when the chat no longer fits the context.
        speculation: how tokens are drafted.
        quantization: what models are loaded with.
    """

    parameters: Mapping[str, Value]
    origins: Mapping[str, Origin]
    template: Mapping[str, Any]
    system_prompt: str
    overflow: OverflowPolicy
    speculation: Speculation
    quantization: str


class ChatSettings:
    """The settings of the open chat. Whoever changes one goes through here; `changed` says so."""

    def __init__(
        self,
        preferences: Preferences,
        chat: Conversation | None = None,
        *,
        quantization: str = "",
        keep: Callable[[AppState], object] = lambda _state: None,
    ) -> None:
        """Make them for the chat that the app begins with.

        Args:
            preferences: every layer below the chat.
            chat: a chat to go on with; None for a new one.
            quantization: of the model to begin with; empty for the one in force.
            keep: called with the state that the next start should know.
        """
        self.preferences = preferences
        self.changed: Signal[Area] = Signal()
        self.state = preferences.remembered
        """What the next start should know."""
        self.model = ""
        """The model that is loaded; empty for none."""
        self.schema: Json = None
        """The JSON Schema that replies have to fit; None for any text. It is not kept with the chat."""
        self.is_touched = False
        """Whether anything was set since the chat was opened."""
        self._keep = keep
        in_force = preferences.state()
        stored = chat.settings if chat is not None else {}
        own = stored.get("config")
        self._parameters = readable(own if isinstance(own, Mapping) else in_force.parameters)
        self._origins: dict[str, Origin] = {}
        self._template: dict[str, Any] = {}
        self.system_prompt = chat.system_prompt if chat is not None else in_force.system_prompt
        self.quantization = quantization or in_force.quantization
        self.overflow = next(
            (one for one in OverflowPolicy if one.value == in_force.overflow), OverflowPolicy.ASK
        )
        self.speculation = next(
            (one for one in Speculation if one.value == in_force.speculation), Speculation.AUTO
        )
        self._take_stored(stored, is_start=True)
        self._note_inherited()

    # -- what is in force

    @property
    def parameters(self) -> Mapping[str, Value]:
        """The generation parameters that are set."""
        return self._parameters

    @property
    def template(self) -> Mapping[str, Any]:
        """What is chosen of the chat template's switches."""
        return self._template

    def origin(self, parameter: str) -> Origin:
        """Return where the value of a parameter that is set comes from."""
        return self._origins.get(parameter, Origin.CHAT)

    def is_said(self, key: str) -> bool:
        """Return whether the file, the environment or the command line sets something, by its key as in the file."""
        return self.preferences.origin(key) in _SAID

    def is_inherited(self, key: str) -> bool:
        """Return whether a parameter or the system prompt, by its key as in the file, is still as it was when the chat was opened."""
        return key in self._inherited and self._inherited[key] == self._own_values().get(key)

    def _own_values(self) -> dict[str, Any]:
        parameters = {f"{GENERATION}{name}": value for name, value in self._parameters.items()}
        return {**parameters, "chat.system_prompt": self.system_prompt}

    def _note_inherited(self) -> None:
        self._inherited: Mapping[str, Any] = self._own_values()

    def snapshot(self, parameters: Mapping[str, Value] | None = None) -> ReplySettings:
        """Return what replies are made with now, or with other parameters, as copies."""
        used = self._parameters if parameters is None else parameters
        return ReplySettings(
            dict(used), dict(self._template), self.speculation, self.system_prompt, self.schema
        )

    def load_request(self, model: str, quantization: str = "") -> LoadRequest:
        """Return what loads a model as the settings have it, in the quantization in force if none is named."""
        return LoadRequest(
            model, quantization or self.quantization, **self.preferences.load_options
        )

    def for_file(self, chat: Conversation, info: ModelInfo | None) -> Mapping[str, Any]:
        """Return what the file of a chat says of the model and parameters in force."""
        settings = {
            **chat.settings,
            "config": dict(self._parameters),
            "template": dict(self._template),
        }
        if info is not None:
            settings |= {
                "model_id": info.model,
                "model_name": info.name,
                "quantization": info.quantization,
            }
        return settings

    # -- changing one

    def set(self, values: Mapping[str, Value]) -> None:
        """Set parameters for this chat; None goes back to what holds without the chat's own: a file's value, or the default."""
        for name, value in values.items():
            key = f"{GENERATION}{name}"
            origin = self.preferences.origin(key)
            if value is not None:
                self._parameters[name] = value
                self._origins[name] = Origin.CHAT
            elif origin not in _NOT_SAID:
                self._parameters[name] = self.preferences.values.generation.get(name)
                self._origins[name] = origin
            else:
                self._parameters.pop(name, None)
                self._origins.pop(name, None)
        self.is_touched = True
        self._changed(Area.PARAMETERS)

    def set_switch(self, name: str, value: Any) -> None:
        """Choose one of the template's switches; None leaves it to the template."""
        if value is None:
            self._template.pop(name, None)
        else:
            self._template[name] = value
        self._touched(Area.TEMPLATE)

    def set_template(self, values: Mapping[str, Any]) -> None:
        """Choose all of the template's switches anew."""
        self._template = dict(values)
        self._touched(Area.TEMPLATE)

    def set_prompt(self, text: str) -> None:
        """Have another system prompt from the next reply on."""
        self.system_prompt = text
        self.is_touched = True
        self._changed(Area.PROMPT)

    def show_prompt_of(self, chat: Conversation) -> None:
        """Take over the system prompt of the chat as it is, as after undo; it is not remembered."""
        if self.system_prompt != chat.system_prompt:
            self.system_prompt = chat.system_prompt
            self.changed.emit(Area.PROMPT)

    def held(self) -> Held:
        """Return what is set now, as copies."""
        return Held(
            dict(self._parameters),
            dict(self._origins),
            dict(self._template),
            self.system_prompt,
            self.overflow,
            self.speculation,
            self.quantization,
        )

    def go_back(self, now: Held, before: Held) -> None:
        """Undo a change that led from one state to another; what was set otherwise since then stays.

        The quantization stays too: going back to it loads a model, which is the loader's.
        """
        self._parameters = _gone_back(self._parameters, now.parameters, before.parameters)
        self._origins = _gone_back(self._origins, now.origins, before.origins)
        self._template = _gone_back(self._template, now.template, before.template)
        self._changed(Area.PARAMETERS)
        self._touched(Area.TEMPLATE)
        if self.system_prompt == now.system_prompt != before.system_prompt:
            self.set_prompt(before.system_prompt)
        if self.overflow == now.overflow != before.overflow:
            self.set_overflow(before.overflow)
        if self.speculation == now.speculation != before.speculation:
            self.set_speculation(before.speculation)

    def set_quantization(self, name: str, *, remembers: bool = True) -> None:
        """Have models loaded in another quantization."""
        self.quantization = name
        if remembers:
            self.remember()
        self.changed.emit(Area.QUANTIZATION)

    def set_overflow(self, policy: OverflowPolicy) -> None:
        """Have something else happen when the chat no longer fits the context."""
        self.overflow = policy
        self._changed(Area.OVERFLOW)

    def set_speculation(self, choice: Speculation) -> None:
        """Have tokens drafted in another way."""
        self.speculation = choice
        self._changed(Area.SPECULATION)

    @property
    def for_draft(self) -> Mapping[str, Any]:
        """What was set in a chat that has not begun, to be kept with its draft; empty where nothing was."""
        if not self.is_touched:
            return {}
        kept = {
            name: value for name, value in self._parameters.items() if self.origin(name) in _IN_APP
        }
        return {
            "config": kept,
            "template": dict(self._template),
            "system_prompt": self.system_prompt,
        }

    def take_from_draft(self, kept: Mapping[str, Any], *, is_start: bool = False) -> None:
        """Take over what `for_draft` returned; at the start, what was asked for in starting the app goes before it."""

        def is_asked_for(key: str) -> bool:
            return is_start and self.preferences.origin(key) in _ASKED_FOR

        config = readable(kept.get("config"))
        others = {name for name in self._parameters if self.origin(name) in _IN_APP}
        self.set(
            {
                name: config.get(name)
                for name in {*config, *others}
                if not is_asked_for(f"{GENERATION}{name}")
            }
        )
        template, prompt = kept.get("template"), kept.get("system_prompt")
        if isinstance(template, Mapping):
            self.set_template(template)
        if isinstance(prompt, str) and not is_asked_for("chat.system_prompt"):
            self.set_prompt(prompt)

    def _touched(self, area: Area) -> None:
        self.is_touched = True
        self.changed.emit(area)

    def _changed(self, area: Area) -> None:
        self.remember()
        self.changed.emit(area)

    # -- the layers around the chat's own

    def open(self, chat: Conversation) -> None:
        """Take over what another chat is set to."""
        own = chat.settings.get("config")
        if isinstance(own, Mapping):
            # Where nothing is set in it, the defaults hold, not what the chat before was set to.
            self._parameters = readable(own)
        self._origins = {}
        self.is_touched = False
        self.system_prompt = chat.system_prompt
        self._take_stored(chat.settings)
        self._note_inherited()
        self.changed.emit(Area.ALL)

    def _take_stored(self, stored: Mapping[str, Any], *, is_start: bool = False) -> None:
        """Take over what the chat's file says, or what files and command line say where the chat is new.

        At the start the command line goes before the chat's own: it was typed just now, for this chat.
        """
        config = stored.get("config")
        has_own = isinstance(config, Mapping) and bool(config)
        for name in PARAMETERS:
            key = f"{GENERATION}{name}"
            origin = self.preferences.origin(key)
            value = self.preferences.values.generation.get(name)
            is_asked_for = is_start and origin is Origin.COMMAND_LINE
            if is_asked_for or (not has_own and origin not in _NOT_SAID):
                self._parameters[name] = value
                self._origins[name] = origin
            elif name in self._parameters:
                is_own = has_own or origin is Origin.DEFAULT
                self._origins[name] = Origin.CHAT if is_own else origin
        template = stored.get("template")
        if isinstance(template, Mapping) and template:
            self._template = {str(name): value for name, value in template.items()}
        elif isinstance(config, Mapping) or not self._template:
            self._template = dict(self.preferences.values.template)

    def take_configuration(self) -> None:
        """Follow a changed configuration, but for what was changed in this chat."""
        for name in PARAMETERS:
            key = f"{GENERATION}{name}"
            origin = self.preferences.origin(key)
            if self._origins.get(name) is Origin.CHAT:
                continue
            if origin in _SAID:
                self._parameters[name] = self.preferences.values.generation.get(name)
                self._origins[name] = origin
            elif self._origins.get(name) is Origin.FILE:
                self._parameters.pop(name, None)
                self._origins.pop(name)
        self.changed.emit(Area.CONFIGURATION)

    def remember(self, **changes: Any) -> None:
        """Keep for the next start what was chosen in the app.

        Args:
            changes: fields of the state that are not settings of a chat, such as `theme` or `favorites`.
        """
        before = self.state
        kept = {
            name: value for name, value in self._parameters.items() if self.origin(name) in _IN_APP
        }
        now = replace(
            before,
            **{
                "model": self.model,
                "quantization": self.quantization,
                "parameters": kept,
                "system_prompt": self.system_prompt,
                "overflow": self.overflow.value,
                "speculation": self.speculation.value,
                **changes,
            },
        )
        for key, attribute in _REMEMBERED:
            is_said = self.preferences.origin(key) not in _NOT_SAID
            if is_said and getattr(now, attribute) == self.preferences.value(key):
                now = replace(now, **{attribute: getattr(before, attribute)})
        self.state = now
        self.preferences.remember_look(now)
        self._keep(now)


def _gone_back(
    values: Mapping[str, Any], now: Mapping[str, Any], before: Mapping[str, Any]
) -> dict[str, Any]:
    """Return values with those of `before` in place of those that are still as they are in `now`."""
    result = dict(values)
    for name in {*now, *before}:
        if values.get(name) == now.get(name):
            result.pop(name, None)
            if name in before:
                result[name] = before[name]
    return result
