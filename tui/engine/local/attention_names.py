"""Checks the attention implementation requested by the user or a model's config.

What the user names is taken or refused before the former model goes; what a config names is a wish.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from tui.engine.base import ModelLoadError
from tui.json_types import Json
from tui.sanitize import sanitize_line

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

_COMMON: Final = ("sdpa", "eager")
_WISHES: Final = ("attn_implementation", "_attn_implementation", "_attn_implementation_internal")
_LONGEST: Final = 60
_HINT: Final = "Use sdpa or eager, or leave it empty for the best available one."


def check(named: str, device: str) -> None:
    """Check that an attention implementation that the user named is there, and runs on a device.

    Raises:
        ModelLoadError: it isn't, or doesn't.
    """
    if not named or named in _COMMON:
        return
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
    from transformers.utils import import_utils

    shown = sanitize_line(named, _LONGEST)
    keys: Callable[[], list[str]] = ALL_ATTENTION_FUNCTIONS.valid_keys
    if named not in keys():
        raise ModelLoadError(f"The attention implementation {shown!r} isn't available.", _HINT)
    if not named.startswith("flash_attention"):
        return
    available: Any = getattr(import_utils, f"is_flash_attn_{named[-1]}_available", None)
    if not device.startswith("cuda") or available is None or not available():
        raise ModelLoadError(
            f"The attention implementation {shown} requires its own package and an NVIDIA GPU, so it can't run on this machine.",
            _HINT,
        )


def wished_attention(raw: Mapping[str, Json]) -> str:
    """Return the attention implementation that a config.json asks for, itself or in a part of it; empty when it asks for none."""
    for part in (raw, *(value for value in raw.values() if isinstance(value, Mapping))):
        for name in _WISHES:
            wish = part.get(name)
            if isinstance(wish, str) and wish:
                return sanitize_line(wish, _LONGEST)
    return ""


def note(wished: str, config: PreTrainedConfig) -> str:
    """Return what a user should know of the attention that a config asked for and didn't get; empty when there is nothing."""
    used = getattr(config, "_attn_implementation", None)
    if wished in ("", used, *_COMMON) or not isinstance(used, str):
        return ""
    # Its own kernels are of the same kind, and no name that anybody knows.
    known = used if used in (*_COMMON, "flash_attention_2") else "the best available one"
    return (
        f"The config.json of this model specifies the attention implementation {wished}, which isn't available on every machine. Using {known} instead. "
        f"To use {wished} anyway, choose it in the settings."
    )
