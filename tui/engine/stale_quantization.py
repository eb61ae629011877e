"""Whether weights are quantized as their config.json says, or were unpacked and the config left as it was.

Whoever merges an adapter or converts a checkpoint often keeps its config. What the files hold counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tui.engine.limits import Shape

_PLAIN: Final = frozenset(("F64", "F32", "F16", "BF16"))
_PACKING: Final = frozenset(("bitsandbytes", "bitsandbytes_4bit", "bitsandbytes_8bit"))
"""Methods whose packed weights transformers can read on every machine, and whose config it takes for true."""


def without(
    config: Mapping[str, Any], tensors: Mapping[str, tuple[str, Shape]]
) -> Mapping[str, Any]:
    """Return a config without what it says of a quantization that its weights don't have; the same one where that is true.

    Args:
        config: what config.json means.
        tensors: of its files, with their dtypes; none where these are not known.
    """
    stored = config.get("quantization_config")
    if not isinstance(stored, Mapping):
        return config
    is_plain = bool(tensors) and all(dtype in _PLAIN for dtype, _ in tensors.values())
    if _is_none(stored) or (is_plain and _method(stored) in _PACKING):
        return {key: value for key, value in config.items() if key != "quantization_config"}
    return config


def note(method: str) -> str:
    """Return what a user should know of a quantization that is only said."""
    return f"The config.json says that the weights are quantized ({method}), but they aren't, so they are loaded as they are."


def _method(stored: Mapping[str, Any]) -> str:
    said = stored.get("quant_method")
    if isinstance(said, str):
        return said.lower()
    return "bitsandbytes" if stored.get("load_in_4bit") or stored.get("load_in_8bit") else ""


def _is_none(stored: Mapping[str, Any]) -> bool:
    """Return whether a config of bitsandbytes says that neither of its quantizations is used."""
    switches = ("load_in_4bit", "load_in_8bit")
    is_named = stored.get("quant_method") in ("bitsandbytes", None)
    return (
        is_named and any(one in stored for one in switches) and not any(map(stored.get, switches))
    )
