"""The settings in force, in words: each value, where it comes from, and what would apply without it.

The settings screen and `/status` show these rows. No other code determines what is in force. No widgets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import Enum, auto
from typing import Final

from tui.chat.loader import ModelLoader
from tui.chat.settings import ChatSettings
from tui.dataclass import dataclass
from tui.engine.base import ModelInfo
from tui.json_types import Json
from tui.parameters import PARAMETERS, Parameter, in_force
from tui.sanitize import sanitize_line
from tui.settings.preferences import Origin
from tui.settings.schema import GENERATION, Setting, settings_by_group
from tui.widgets.defaults import UNKNOWN, Defaults

_SOURCES: Final[Mapping[Origin, str]] = {
    Origin.DEFAULT: "default",
    Origin.MODEL: "model's default",
    Origin.REMEMBERED: "last used",
    Origin.PRESET: "preset",
    Origin.FILE: "configuration file",
    Origin.ENVIRONMENT: "environment",
    Origin.COMMAND_LINE: "command line",
    Origin.CHAT: "this chat",
}
_SESSION: Final = "this session"
_UNSAID: Final = (Origin.DEFAULT, Origin.REMEMBERED)
_OF_CHAT: Final = ("chat.system_prompt", "template")
_THEME: Final = "screen.theme"
"""An empty value means the app's theme. For everything else, the layers tell the value in force."""


class Keeper(Enum):
    """Where a change of a setting is stored."""

    FILE = auto()
    """In the configuration file."""
    CHAT = auto()
    """In the open chat."""
    APP = auto()
    """Applied at once, and remembered for the next start."""


@dataclass(frozen=True, slots=True)
class Row:
    """One value in force.

    Attributes:
        title: the setting's name for people.
        group: the title of the group that it is listed in.
        value: the value in words; never empty.
        source: where the value comes from, in words; empty for a property of the model.
        is_set: whether anything but a default sets the value.
        origin: the layer of the value; values set in the app count as the chat's.
        setting: the description of the setting; None for a property of the model, which can't be changed.
        keeper: where a change is stored.
        below: the value and source that would apply without the topmost value, if they differ.
        refusal: why the setting has no effect now; empty if it has.
    """

    title: str
    group: str
    value: str
    source: str = ""
    is_set: bool = False
    origin: Origin = Origin.DEFAULT
    setting: Setting | None = None
    keeper: Keeper = Keeper.FILE
    below: tuple[str, str] | None = None
    refusal: str = ""

    @property
    def searched(self) -> str:
        """The text that the filter searches, in lower case."""
        known = f"{self.setting.key} {self.setting.help}" if self.setting else ""
        return f"{self.title} {self.group} {known}".casefold()


class SettingRows:
    """Determines the settings in force, including the chat's own values and the model's defaults."""

    def __init__(
        self,
        settings: ChatSettings,
        loader: ModelLoader,
        held: Mapping[str, Callable[[], Json]],
    ) -> None:
        """Create it.

        Args:
            settings: the settings of the open chat.
            loader: owns the model.
            held: the values in force of settings that the app itself keeps, by setting key.
        """
        self._settings = settings
        self._loader = loader
        self._held: Mapping[str, Callable[[], Json]] = {
            "model.name": lambda: loader.info.model if loader.info else "",
            "model.quantization": lambda: settings.quantization,
            "chat.system_prompt": lambda: settings.system_prompt,
            "chat.when_full": lambda: settings.overflow.value,
            "template": lambda: dict(settings.template),
            **held,
        }

    def all(self) -> list[Row]:
        """Return a row for every setting, group by group, and for the properties of the model."""
        rows: list[Row] = []
        for members in settings_by_group().values():
            for setting in members:
                rows.append(self.row(setting))
                if setting.key == "model.quantization":
                    rows += self._facts()
        return rows

    def value(self, key: str) -> Json:
        """Return the value in force of a setting; for a parameter, the model's defaults count."""
        if key.startswith(GENERATION):
            info = self._loader.info
            defaults = info.defaults if info else {}
            return in_force(dict(self._settings.parameters), defaults)[key.removeprefix(GENERATION)]
        return self._held[key]() if key in self._held else self._settings.preferences.value(key)

    def keeper(self, key: str) -> Keeper:
        """Return where a change of a setting is stored."""
        if key.startswith(GENERATION) or key in _OF_CHAT:
            return Keeper.CHAT
        return Keeper.APP if key in self._held else Keeper.FILE

    def row(self, setting: Setting) -> Row:
        """Return the row of a setting."""
        if setting.key.startswith(GENERATION):
            return self._parameter_row(setting)
        key, value = setting.key, self.value(setting.key)
        given, origin = (
            self._settings.preferences.value(key),
            self._settings.preferences.origin(key),
        )
        is_above = self._is_above(setting, value, given, origin)
        source = _SOURCES[origin]
        if is_above:
            source = _SOURCES[Origin.CHAT] if key in _OF_CHAT else _SESSION
        elif value != given and key != _THEME:
            source = _SOURCES[Origin.DEFAULT]
        says_otherwise = is_above and origin not in _UNSAID
        return Row(
            setting.title,
            setting.group,
            sanitize_line(setting.shown(value), 400) or "none",
            source,
            source != _SOURCES[Origin.DEFAULT],
            Origin.CHAT if is_above else origin,
            setting,
            self.keeper(key),
            (sanitize_line(setting.shown(given), 60), _SOURCES[origin]) if says_otherwise else None,
            self._locked if key == "model.quantization" else "",
        )

    @staticmethod
    def _is_above(setting: Setting, value: Json, given: Json, origin: Origin) -> bool:
        """Whether a value was set in the app, above the files, the environment and the command line."""
        if value == given or setting.key == _THEME:
            return False
        is_empty = value in (setting.default, "none", "", {})
        return not (is_empty and origin in _UNSAID)

    @property
    def _locked(self) -> str:
        """Why the quantization can't be changed; empty if it can."""
        info = self._loader.info
        if info is not None and info.server:
            return "The server chooses the quantization."
        return info.quantization_locked if info is not None else ""

    def _parameter_row(self, setting: Setting) -> Row:
        settings, known = self._settings, PARAMETERS[setting.name]
        defaults, value = Defaults.of(self._loader.info), settings.parameters.get(setting.name)
        without = (defaults.text(known), _default_source(defaults, known))
        shown, source, below = *without, None
        if value is not None:
            shown, source = known.shown(value), _SOURCES[settings.origin(known.name)]
            below = self._below(setting) or without
        return Row(
            setting.title,
            setting.group,
            sanitize_line(shown, 400) or known.blank,
            source,
            value is not None,
            settings.origin(known.name) if value is not None else Origin.DEFAULT,
            setting,
            Keeper.CHAT,
            below,
            defaults.refusal(known),
        )

    def _below(self, setting: Setting) -> tuple[str, str] | None:
        """Return the value and source below the chat for a parameter that the chat sets."""
        preferences = self._settings.preferences
        origin = preferences.origin(setting.key)
        if self._settings.origin(setting.name) is not Origin.CHAT or origin in _UNSAID:
            return None
        given = preferences.values.generation.get(setting.name)
        return PARAMETERS[setting.name].shown(given), _SOURCES[origin]

    def _facts(self) -> Iterator[Row]:
        """Yield the properties of the loaded model, which can't be set."""
        info = self._loader.info
        if info is None:
            return
        group = "Model"
        if info.server:
            yield Row("Runs on", group, f"the server {sanitize_line(info.server, 200)}")
        else:
            how = f"in {info.engine}" if info.engine else f"quantization {info.quantization}"
            facts = f"{info.dtype} on {info.device}, {how}"
            yield Row("Loaded as", group, sanitize_line(facts, 200))
        yield Row("Context", group, _context(info))


def _context(info: ModelInfo) -> str:
    if info.context_tokens:
        return f"{info.context_tokens:,} tokens"
    return "unknown" if info.server else "no limit"


def _default_source(defaults: Defaults, known: Parameter) -> str:
    if defaults.is_own(known):
        if defaults.engine:
            return f"{defaults.engine}'s default"
        return _SOURCES[Origin.MODEL]
    is_servers = bool(defaults.server) and defaults.text(known) == UNKNOWN
    return "server's default" if is_servers else _SOURCES[Origin.DEFAULT]
