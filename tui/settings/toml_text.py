"""Reading TOML that may come from anybody: settings, presets, themes. It knows nothing of what the tables mean."""

from __future__ import annotations

import tomllib
from typing import Any, Final

from tui.pattern import pattern

# The parser's time grows with the square of a key's parts: some ten thousand keep it busy for seconds.
_ENDLESS_KEY: Final = pattern(
    r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){100,}+"""
)


_MOST: Final = 2**63
"""Whole numbers that lie further from zero are none that TOML promises to hold."""


class TomlError(ValueError):
    """A text is no TOML that is read here. Its message says why, as a part of the sentence in which its reader tells a person."""


def parse_toml(text: str) -> dict[str, Any]:
    """Return what a text in TOML says.

    Raises:
        TomlError: it is not valid, nested too deeply, or holds a number or a key that is too long.
    """
    if _ENDLESS_KEY.search(text):
        raise TomlError("a key has more than 100 parts")
    try:
        read = tomllib.loads(text)
        _check_numbers(read)
    except RecursionError as error:
        raise TomlError("it is nested too deeply") from error
    except ValueError as error:
        raise TomlError(str(error)) from error
    return read


def _check_numbers(value: Any) -> None:
    """Refuse a number that can be neither shown nor counted with: in hexadecimal it may have any length."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            _check_numbers(one)
    elif isinstance(value, int) and not -_MOST <= value < _MOST:
        raise ValueError("a number is too large")
