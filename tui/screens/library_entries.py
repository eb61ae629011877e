"""The list entries of presets and system prompts: what each contains, so that the user need not remember it by name.

Call this on a thread, because it reads files.
"""

from __future__ import annotations

from typing import Final

from tui.chat.loader import short_name
from tui.parameters import PARAMETERS
from tui.screens.picker import Entry
from tui.settings.presets import Library, Preset, PresetError

_MOST: Final = 500
"""How many files are read for one list."""
_START: Final = 200
"""How many characters of a prompt are shown."""


def preset_entries(library: Library, current: str = "") -> list[Entry]:
    """Return an entry for each preset: its model, its temperature, and the start of its system prompt."""
    return [
        _preset_entry(library, name, name == current) for name in library.preset_names()[:_MOST]
    ]


def prompt_entries(library: Library) -> list[Entry]:
    """Return an entry for each system prompt, with its first words."""
    return [_prompt_entry(library, name) for name in library.prompt_names()[:_MOST]]


def _preset_entry(library: Library, name: str, is_current: bool) -> Entry:
    try:
        preset = library.preset(name)
    except PresetError as error:
        return Entry(name, name, error.message, is_current, ("", ""), str(error))
    temperature = preset.parameters.get("temperature")
    return Entry(
        name,
        name,
        (preset.system_prompt or "")[:_START],
        is_current,
        (
            short_name(preset.model) if preset.model else "any model",
            "" if temperature is None else f"temp. {PARAMETERS['temperature'].shown(temperature)}",
        ),
        preset_text(preset),
    )


def preset_text(preset: Preset) -> str:
    """Return the contents of a preset as text."""
    facts = [("Model", preset.model or "any")]
    if preset.quantization not in ("", "none"):
        facts.append(("Quantization", preset.quantization))
    facts += [
        (PARAMETERS[name].label, PARAMETERS[name].shown(value))
        for name, value in preset.parameters.items()
    ]
    facts += [(name, str(value)) for name, value in preset.template.items()]
    width = max(len(name) for name, _ in facts)
    lines = [f"{name:{width}}  {value}" for name, value in facts]
    if preset.system_prompt is not None:
        lines += ["", "System prompt", preset.system_prompt or "none"]
    return "\n".join(lines)


def _prompt_entry(library: Library, name: str) -> Entry:
    try:
        text = library.prompt(name)
    except PresetError as error:
        return Entry(name, name, error.message, preview=str(error))
    return Entry(name, name, text[:_START], preview=text)
