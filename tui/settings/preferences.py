"""What is in force of all the settings, and where each value comes from.

From the lowest layer to the highest: defaults, what was remembered from the last time, the configuration file, the environment, the
command line. A preset stands right below the layer that names it, and below the file if none does. What is changed in the app for one
chat is the screen's to keep.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from tui.files import Stamp, stamp, typed_path
from tui.json_types import Json
from tui.settings.config import Config, read_config, read_environment, write_settings
from tui.settings.examples import BUILT_IN, read_examples
from tui.settings.presets import Library, Preset
from tui.settings.schema import GENERATION, SETTINGS, typed_values
from tui.settings.state import AppState
from tui.settings.values import Values

_LOAD_OPTIONS: Final = (
    "dtype", "device", "attention", "max_memory", "double_quant", "kernels", "compile", "threads", "compute_dtype", "gguf", "context",
)  # fmt: skip

_LOOK: Final = ("screen.theme", "screen.sidebar")


class Origin(StrEnum):
    """Where a value comes from; `Preferences` says which goes before which."""

    DEFAULT = "default"
    MODEL = "the model's own"
    REMEMBERED = "remembered"
    PRESET = "preset"
    FILE = "file"
    ENVIRONMENT = "environment"
    COMMAND_LINE = "command line"
    CHAT = "this chat"


_ORDER: Final = (
    Origin.COMMAND_LINE,
    Origin.ENVIRONMENT,
    Origin.FILE,
    Origin.REMEMBERED,
)


class Preferences:
    """The settings in force. Without a file they live as long as the app."""

    def __init__(
        self,
        path: Path | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        command_line: Mapping[str, Json] | None = None,
        state: AppState | None = None,
        library: Library | None = None,
    ) -> None:
        """Read what there is; this never fails.

        Args:
            path: the configuration file; None for none.
            environment: the environment variables.
            command_line: settings by their keys.
            state: what was remembered.
            library: the user's presets and prompts.
        """
        self.path = path
        self.remembered = state or AppState()
        """What was remembered from the last time, and nothing else."""
        self.library = library or Library(Path(os.devnull), Path(os.devnull))
        self._file = Config()
        self._stamp: Stamp | None = None
        variables = read_environment(environment or {})
        self._layers: dict[Origin, Mapping[str, Json]] = {
            Origin.COMMAND_LINE: dict(command_line or {}),
            Origin.ENVIRONMENT: variables.values,
            Origin.REMEMBERED: remembered_values(self.remembered),
        }
        self._values = self._typed()
        self.reload()
        self.problems = (*self._file.problems, *variables.problems)

    # -- reading

    def _order(self) -> Iterator[Origin]:
        """Yield the layers from the top: a preset stands right below what named it."""
        named = next((one for one in _ORDER if self._layers.get(one, {}).get("chat.preset")), None)
        for origin in _ORDER:
            yield origin
            if origin is (named or Origin.FILE):
                yield Origin.PRESET

    @property
    def values(self) -> Values:
        """All settings in force, by section and name; another object when something has changed."""
        return self._values

    def value(self, key: str) -> Json:
        """Return the value in force of a setting that is known by its key alone; others are read from `values`."""
        for origin in self._order():
            found = self._layers.get(origin, {}).get(key)
            if found is not None:
                return found
        return SETTINGS[key].default

    @property
    def load_options(self) -> dict[str, Any]:
        """How models are loaded on this machine, whichever they are, by the names of the fields of a `LoadRequest`."""
        return {name: self.value(f"model.{name}") for name in _LOAD_OPTIONS}

    def origin(self, key: str) -> Origin:
        """Return where a setting's value comes from."""
        for origin in self._order():
            if self._layers.get(origin, {}).get(key) is not None:
                return origin
        return Origin.DEFAULT

    def items(self) -> Iterator[tuple[str, Json, Origin]]:
        """Yield every setting with its value and where that comes from."""
        return ((key, self.value(key), self.origin(key)) for key in SETTINGS)

    @property
    def is_whole(self) -> bool:
        """Whether the configuration file can be written to."""
        return self._file.is_whole

    # -- changing

    def write(self, changes: Mapping[str, Json]) -> None:
        """Set some settings in the file, or take them out where the value is None.

        Raises:
            ConfigError: the file can't be changed.
            SettingError: a value is not allowed.
        """
        if self.path is not None:
            write_settings(self.path, changes)
            self.reload()
            return
        checked = {
            key: None if value is None else SETTINGS[key].check(value)
            for key, value in changes.items()
        }
        self._file = Config({**self._file.values, **checked})
        self._put(Origin.FILE, self._file.values)

    def reload(self) -> bool:
        """Read the file again if it is another one than before; return whether it was."""
        if self.path is None:
            return False
        now = _stamp_of(self.path)
        if now == self._stamp and now is not None:
            return False
        changed = now != self._stamp
        self._stamp = now
        read = read_config(self.path)
        self.problems = read.problems
        if read.is_whole or not self._file.values:
            self._file = read
        else:
            # Half written: what held before goes on to hold until it is whole again.
            self._file = Config(self._file.values, read.problems, is_whole=False)
        self._put(Origin.FILE, self._file.values)
        return changed

    def apply_preset(self, preset: Preset | None) -> None:
        """Have a preset say what nothing above it says."""
        self._put(Origin.PRESET, {} if preset is None else preset_values(preset))

    def remember_look(self, state: AppState) -> None:
        """Take over how the app was made to look meanwhile: it is what was chosen last."""
        before = self._layers[Origin.REMEMBERED]
        now = {key: value for key, value in before.items() if key not in _LOOK}
        now |= {key: one for key, one in remembered_values(state).items() if key in _LOOK}
        if now != before:
            self._put(Origin.REMEMBERED, now)

    def _put(self, origin: Origin, values: Mapping[str, Json]) -> None:
        self._layers[origin] = values
        self._values = self._typed()

    def _typed(self) -> Values:
        found = {key: one.default for key, one in SETTINGS.items()}
        for origin in reversed([*self._order()]):
            layer = self._layers.get(origin, {})
            found |= {key: value for key, value in layer.items() if value is not None}
        return typed_values(found.__getitem__)

    def preset_name(self, model: str) -> str:
        """Return the name of the preset that a chat with a model begins with; empty for none."""
        return self.values.chat.preset or self.values.presets.get(model, "")

    def state(self) -> AppState:
        """Return what was remembered, with what is in force in its place: what the app begins with."""
        values = self.values
        return replace(
            self.remembered,
            model=values.model.name,
            quantization=values.model.quantization or "none",
            parameters=dict(values.generation),
            system_prompt=values.chat.system_prompt,
            theme=values.screen.theme,
            sidebar=values.screen.sidebar,
            overflow=values.chat.when_full,
        )

    # -- examples

    def examples(self) -> Mapping[str, str]:
        """Return the examples to try a model with.

        Raises:
            ExamplesError: the file that is named can't be used.
        """
        named = self.values.chat.examples
        return read_examples(typed_path(named)) if named else BUILT_IN


def _stamp_of(path: Path) -> Stamp | None:
    """Return the stamp of a file, or of what a link to it leads to; None where nothing can be read."""
    try:
        return stamp(path.resolve() if path.is_symlink() else path)
    except (OSError, RuntimeError):
        # A link that leads in a circle, a folder that may not be looked into.
        return None


def preset_values(preset: Preset) -> dict[str, Json]:
    """Return what a preset says, as settings by their keys."""
    values: dict[str, Json] = {
        f"{GENERATION}{name}": one for name, one in preset.parameters.items()
    }
    if preset.model:
        values["model.name"] = preset.model
    if preset.quantization:
        values["model.quantization"] = preset.quantization
    if preset.system_prompt is not None:
        values["chat.system_prompt"] = preset.system_prompt
    if preset.template:
        values["template"] = dict(preset.template)
    return values


def remembered_values(state: AppState) -> dict[str, Json]:
    """Return what was remembered, as settings by their keys; what is as it is by default counts as not remembered."""
    default = AppState()
    values: dict[str, Json] = {
        f"{GENERATION}{name}": value for name, value in state.parameters.items()
    }
    for key, attribute in _REMEMBERED.items():
        value = getattr(state, attribute)
        if value != getattr(default, attribute):
            values[key] = value
    return values


_REMEMBERED: Final = {
    "model.name": "model",
    "model.quantization": "quantization",
    "chat.system_prompt": "system_prompt",
    "chat.when_full": "overflow",
    "screen.theme": "theme",
    "screen.sidebar": "sidebar",
}
