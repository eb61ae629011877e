"""Determines a model's maximum context length from its config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tui.engine import limits

_NAMES: Final = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")
_ROPES: Final = ("rope_parameters", "rope_scaling")
SETTINGS: Final = (*_NAMES, *_ROPES)
"""What `longest` looks at."""


def longest(text: Mapping[str, Any]) -> int:
    """Return the maximum context length in tokens according to a language model's config; 0 if it isn't specified.

    What rotary frequencies are stretched to counts where the config gives the length from before that.
    """
    said = limits.count(text, limits.CONTEXT_TOKENS, *_NAMES)
    if not said:
        return 0
    stretched = max((_stretched(rope, said) for rope in _ropes(text)), default=said)
    return min(max(said, stretched), limits.CONTEXT_TOKENS)


def _ropes(text: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the settings of rotary frequencies, of which there may be one for each type of layers."""
    for name in _ROPES:
        rope = text.get(name)
        if isinstance(rope, Mapping):
            yield rope
            yield from (one for one in rope.values() if isinstance(one, Mapping))


def _stretched(rope: Mapping[str, Any], said: int) -> int:
    kind, factor = rope.get("rope_type", rope.get("type")), rope.get("factor")
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not 1 < factor < said:
        return said
    if kind == "dynamic":
        # It extends positions beyond the declared context.
        return int(said * factor)
    original = limits.count(rope, limits.CONTEXT_TOKENS, "original_max_position_embeddings")
    return int(original * factor) if kind == "yarn" else said
