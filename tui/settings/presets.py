"""Presets and named system prompts: small files in the user's configuration folder, one each.

A preset is a model, a system prompt and generation parameters under one name, as TOML; its file is also what is passed on to
others. A prompt is a plain text file. What a model makes of them is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Final

from tui.dataclass import dataclass
from tui.errors import UserError
from tui.files import (
    is_file,
    make_private_folder,
    read_regular,
    reason,
    typed_path,
    write_atomic,
)
from tui.json_types import Json
from tui.parameters import ParameterError, Value, checked, did_you_mean
from tui.pattern import pattern
from tui.settings.toml_text import TomlError, parse_toml

_NAME: Final = pattern(r"[\w][\w .+-]{0,59}")
_KEYS: Final = ("model", "quantization", "system_prompt", "parameters", "template")
_MAX_BYTES: Final = 2_000_000


class PresetError(UserError):
    """A preset or prompt can't be used, found or written."""


@dataclass(frozen=True, slots=True)
class Preset:
    """What a chat can be set to at once. A model, quantization or system prompt that is None or empty is left as it is.

    Attributes:
        name: its file's name without the ending.
        model: as in a load request.
        quantization: its name.
        system_prompt: None to leave it; empty for none.
        parameters: generation parameters.
        template: switches of the chat template.
    """

    name: str
    model: str = ""
    quantization: str = ""
    system_prompt: str | None = None
    parameters: Mapping[str, Value] = field(default_factory=dict)
    template: Mapping[str, Json] = field(default_factory=dict)


def parse_preset(name: str, text: str) -> Preset:
    """Read a preset from TOML.

    Raises:
        PresetError: it is none.
    """
    try:
        document = parse_toml(text)
    except TomlError as error:
        raise PresetError(f"Preset {name} is not valid TOML ({error}).") from error
    for key in document:
        if key not in _KEYS:
            raise PresetError(
                f"Preset {name}: {key[:40]!r} is not a known key.", did_you_mean(key, _KEYS)
            )
    for key in ("model", "quantization", "system_prompt"):
        if not isinstance(document.get(key, ""), str):
            raise PresetError(f"Preset {name}: {key} is not text.")
    for key in ("parameters", "template"):
        if not isinstance(document.get(key, {}), dict):
            raise PresetError(f"Preset {name}: {key} is not a table.")
    try:
        parameters = checked(document.get("parameters", {}))
    except ParameterError as error:
        raise PresetError(f"Preset {name} can't be used. {error.message}", error.hint) from error
    return Preset(
        name,
        document.get("model", ""),
        document.get("quantization", ""),
        document.get("system_prompt"),
        parameters,
        document.get("template", {}),
    )


def preset_text(preset: Preset) -> str:
    """Return a preset as TOML."""
    import tomlkit

    document = tomlkit.document()
    for key in ("model", "quantization"):
        if value := getattr(preset, key):
            document[key] = value
    if preset.system_prompt is not None:
        prompt = preset.system_prompt
        document["system_prompt"] = tomlkit.string(
            prompt, multiline="\n" in prompt and "\r" not in prompt
        )
    for key in ("parameters", "template"):
        if values := getattr(preset, key):
            document[key] = dict(values)
    return str(tomlkit.dumps(document))


def read_preset_file(path: Path) -> Preset:
    """Return the preset in a file.

    Raises:
        PresetError: it can't be read, or is no preset.
    """
    return parse_preset(path.stem, _read(path, "Preset"))


class Library:
    """The presets and prompts of one user, each a file in one of two folders that need not be there."""

    def __init__(self, presets: Path, prompts: Path) -> None:
        self._presets = presets
        self._prompts = prompts

    def preset_names(self) -> list[str]:
        """Return the names of the presets."""
        return _names(self._presets, ".toml")

    def prompt_names(self) -> list[str]:
        """Return the names of the system prompts."""
        return _names(self._prompts, ".txt")

    def preset(self, name: str) -> Preset:
        """Return a preset by its name, or from a file that is named.

        Raises:
            PresetError: there is none, or it can't be read.
        """
        path = self._presets / f"{name}.toml"
        if _NAME.fullmatch(name) and is_file(path):
            return read_preset_file(path)
        given = typed_path(name)
        if given.suffix == ".toml" and is_file(given):
            return read_preset_file(given)
        known = self.preset_names()
        listed = (
            f"Available presets: {', '.join(known)}."
            if known
            else "Save one with /preset-save NAME."
        )
        raise PresetError(f"There is no preset {name[:60]!r}.", did_you_mean(name, known) or listed)

    def prompt(self, name: str) -> str:
        """Return a system prompt by its name.

        Raises:
            PresetError: there is none, or it can't be read.
        """
        path = self._prompts / f"{name}.txt"
        if not (_NAME.fullmatch(name) and is_file(path)):
            raise PresetError(
                f"There is no system prompt {name[:60]!r}.", did_you_mean(name, self.prompt_names())
            )
        return _read(path, "System prompt").rstrip("\n")

    def save_preset(self, preset: Preset) -> Path:
        """Write a preset, in place of one of the same name, and return its file.

        Raises:
            PresetError: its name can't be a file's, or it can't be written.
        """
        return _write(self._presets, preset.name, ".toml", preset_text(preset), "preset")

    def save_prompt(self, name: str, text: str) -> Path:
        """Write a system prompt, in place of one of the same name, and return its file.

        Raises:
            PresetError: its name can't be a file's, or it can't be written.
        """
        return _write(self._prompts, name, ".txt", f"{text}\n", "system prompt")

    def delete_preset(self, name: str) -> None:
        """Take a preset away.

        Raises:
            PresetError: there is none, or it can't be taken away.
        """
        self.preset(name)
        try:
            (self._presets / f"{name}.toml").unlink()
        except OSError as error:
            raise PresetError(f"Preset {name} can't be deleted ({reason(error)}).") from error


def export_preset(preset: Preset, path: Path) -> None:
    """Write a preset to a file that is not there yet.

    Raises:
        PresetError: there is a file already, or it can't be written.
    """
    try:
        if path.exists():
            raise PresetError(f"{path} already exists.", "Choose another name.")
        write_atomic(path, preset_text(preset).encode())
    except OSError as error:
        raise PresetError(f"{path} can't be written ({reason(error)}).") from error


def _names(folder: Path, suffix: str) -> list[str]:
    try:
        return sorted(
            path.stem
            for path in folder.iterdir()
            if path.suffix == suffix and _NAME.fullmatch(path.stem)
        )
    except OSError:
        return []


def _read(path: Path, what: str) -> str:
    try:
        return read_regular(path, most_bytes=_MAX_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise PresetError(f"{what} {path.stem} can't be read ({reason(error)}).") from error
    except UnicodeDecodeError as error:
        raise PresetError(f"{what} {path.stem} is not UTF-8 text.") from error


def _write(folder: Path, name: str, suffix: str, text: str, what: str) -> Path:
    if not _NAME.fullmatch(name):
        raise PresetError(
            f"{name[:60]!r} can't be the name of a {what}.",
            "Use letters, digits, spaces, - + . and _.",
        )
    path = folder / f"{name}{suffix}"
    try:
        make_private_folder(folder)
        write_atomic(path, text.encode(), is_own=True)
    except OSError as error:
        raise PresetError(f"The {what} {name} can't be written ({reason(error)}).") from error
    return path
