"""Keeps the KV cache of the last prompt and reply, so that the next turn computes only what is new.

`generate` never checks that a cache fits the ids that it is given, and a wrong one gives silently wrong text. So the ids
are kept here beside the cache, and where a cache can't be cut back exactly it is dropped.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from itertools import takewhile
from typing import Any, Final

from tui.engine.local import footprint

_CUTTABLE: Final = ("DynamicLayer", "DynamicSlidingWindowLayer", "DummyLayer")
_CUTTABLE_TYPES: Final = ("full_attention", "sliding_attention", "dummy", "moe", "mlp")


class PrefixCache:
    """One KV cache and the ids whose keys and values it holds."""

    def __init__(self, model: Any) -> None:
        self._config = model.config
        self._cache: Any = None
        self._ids: list[int] = []
        self.bytes = 0
        """What the cache takes in memory; readable from any thread."""
        self.is_usable = _is_cuttable(model)
        """Whether this model's cache can be kept at all; recurrent and hybrid ones can't be cut back."""

    def take(self, ids: Sequence[int]) -> tuple[Any, int]:
        """Return a cache that holds a start of `ids` and how many ids that are; at least the last one is left to compute.

        The caller extends the cache and then calls `keep`, or `drop` after any exception.
        """
        keep = min(common_prefix(self._ids, ids), len(ids) - 1)
        cache, held = self._cache, len(self._ids)
        self.drop()
        if (
            cache is None
            or not keep
            or cache.get_seq_length() != held
            or not _cut(cache, held - keep)
        ):
            cache, keep = self._fresh(), 0
        _record_past(cache)
        return cache, keep

    def keep(self, cache: Any, ids: Sequence[int]) -> None:
        """Keep a cache that holds the start of `ids`, as far as it got."""
        self._cache = cache
        self._ids = list(ids[: cache.get_seq_length()])
        self.bytes = footprint.cache_bytes(cache)

    def drop(self) -> None:
        """Forget the cache; its memory is free when no one else holds it."""
        self._cache = None
        self._ids = []
        self.bytes = 0

    @property
    def tokens(self) -> int:
        """How many tokens the cache holds."""
        return len(self._ids)

    def _fresh(self) -> Any:
        from transformers import DynamicCache

        return DynamicCache(config=self._config)


def common_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many ids at the start of both are the same."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _is_cuttable(model: Any) -> bool:
    from transformers import DynamicCache

    if "past_key_values" not in inspect.signature(model.forward).parameters:
        return False
    if type(model).__module__.startswith("transformers_modules"):
        # Code from a repository may expect a cache of its own making.
        return False
    text_config = model.config.get_text_config()
    if not set(getattr(text_config, "layer_types", None) or ()) <= set(_CUTTABLE_TYPES):
        return False
    if getattr(text_config, "attention_chunk_size", None) is not None:
        return False
    try:
        layers = DynamicCache(config=model.config).layers
    except (AttributeError, KeyError, TypeError, ValueError):
        return False
    return bool(layers) and all(type(layer).__name__ in _CUTTABLE for layer in layers)


def _cut(cache: Any, count: int) -> bool:
    """Take the last `count` tokens off a cache; return False, with the cache unchanged, where that would not be exact."""
    if count == 0:
        return True
    if not all(_reaches_back(layer, count) for layer in cache.layers):
        return False
    cache.crop(-count)
    return True


def _reaches_back(layer: Any, count: int) -> bool:
    """Return whether a layer still has the window of keys that the tokens before the cut look at."""
    window = getattr(layer, "sliding_window", None)
    if window is None or not layer.is_initialized:
        return True
    left = layer.get_seq_length() - count
    return bool(layer.keys.shape[-2] - count >= min(window - 1, left))


def _record_past(cache: Any) -> None:
    """Keep what slides out of the windows until the next cut; without it they could not be moved back."""
    if any(getattr(layer, "sliding_window", None) is not None for layer in cache.layers):
        cache.activate_past_recording()
