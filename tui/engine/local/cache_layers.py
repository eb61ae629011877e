"""What can be done with a KV cache beside growing it: cut its end off, copy its start, go back after a chunk that was broken off.

Where that would not be exact nothing is done. Which caches are kept, and for how long, is decided in `prefix_cache`.
"""

from __future__ import annotations

import copy
import inspect
from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeGuard

if TYPE_CHECKING:
    from transformers import Cache, PreTrainedConfig, PreTrainedModel
    from transformers.cache_utils import CacheLayerMixin

    from tui.engine.local.growing_layers import GrowingLayer

_CUTTABLE: Final = ("DynamicLayer", "DynamicSlidingWindowLayer", "DummyLayer")
_WHOLE: Final = (
    "LinearAttentionLayer",
    "LinearAttentionAndFullAttentionLayer",
    "LinearAttentionAndSlidingWindowAttentionLayer",
)
_ARGUMENTS: Final = ("past_key_values", "cache_params")


class CacheKind(StrEnum):
    """How much of a model's cache can be used for another prompt."""

    CUTTABLE = "cuttable"
    """Any start of it: there are keys and values for each token."""
    WHOLE = "whole"
    """All or nothing: a state that each token changes, as in recurrent and hybrid models."""
    NONE = "none"


def kind_of(model: PreTrainedModel) -> CacheKind:
    """Return how a model's cache can be used, as far as its config and classes tell."""
    from transformers import DynamicCache

    if not argument_of(model) or type(model).__module__.startswith("transformers_modules"):
        # Custom code may expect its own cache class.
        return CacheKind.NONE
    if getattr(model.config.get_text_config(), "attention_chunk_size", None) is not None:
        return CacheKind.NONE
    try:
        layers = DynamicCache(config=model.config).layers
    except (AttributeError, KeyError, TypeError, ValueError):
        return CacheKind.NONE
    names = {type(layer).__name__ for layer in layers}
    if not names or not names <= {*_CUTTABLE, *_WHOLE}:
        return CacheKind.NONE
    return CacheKind.CUTTABLE if names <= set(_CUTTABLE) else CacheKind.WHOLE


def argument_of(model: PreTrainedModel) -> str:
    """Return the name under which a model's forward pass takes its cache; empty when it takes none."""
    known = inspect.signature(model.forward).parameters
    return next((name for name in _ARGUMENTS if name in known), "")


def fresh(config: PreTrainedConfig) -> Cache:
    """Return an empty cache for a model of this config."""
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

    from tui.engine.local.growing_layers import GrowingLayer, GrowingSlidingLayer

    cache = DynamicCache(config=config)
    for index, layer in enumerate(cache.layers):
        # Layers of other kinds are subclasses of these.
        if type(layer) is DynamicLayer:
            cache.layers[index] = GrowingLayer()
        elif type(layer) is DynamicSlidingWindowLayer:
            cache.layers[index] = GrowingSlidingLayer(layer.sliding_window)
    return cache


def length(cache: Cache) -> int | None:
    """Return how many tokens a cache holds; None when its layers don't agree, or don't count."""
    found = {layer.get_seq_length() for layer in cache.layers if _counts(layer)}
    return found.pop() if len(found) == 1 else None


def cut_to(cache: Cache, tokens: int) -> bool:
    """Keep the first tokens of a cuttable cache; return False, with nothing changed, where that would not be exact.

    Layers that got ahead of the others, as when a chunk was broken off in the middle, are brought back in line.
    """
    if not all(_can_cut(layer, tokens) for layer in cache.layers):
        return False
    for layer in cache.layers:
        if _grows(layer):
            layer.cut_to(tokens)
    return True


def copy_start(cache: Cache, tokens: int) -> Cache | None:
    """Return a copy of the first tokens of a cuttable cache, which stays as it is; None where that would not be exact."""
    if not all(_can_cut(layer, tokens) for layer in cache.layers):
        return None
    copied = copy.copy(cache)
    copied.layers = [
        layer.copy_start(tokens) if _grows(layer) else copy.deepcopy(layer)
        for layer in cache.layers
    ]
    return copied


def copy_whole(cache: Cache) -> Cache:
    """Return a copy of a cache of any kind."""
    return copy.deepcopy(cache)


def forget_past(cache: Cache) -> None:
    """Give up what slid out of the windows, which in a model with many of them is most of what a long prompt takes."""
    for layer in cache.layers:
        if hasattr(layer, "forget_past"):
            layer.forget_past()


def _counts(layer: object) -> TypeGuard[CacheLayerMixin]:
    return hasattr(layer, "get_seq_length") and bool(getattr(layer, "is_initialized", False))


def _grows(layer: object) -> TypeGuard[GrowingLayer]:
    """Return whether a layer holds tokens and can give them up again."""
    return _counts(layer) and hasattr(layer, "cut_to")


def _can_cut(layer: object, tokens: int) -> bool:
    if not _counts(layer):
        # It has no keys of its own, or none yet.
        return True
    held = layer.get_seq_length()
    if held < tokens or not hasattr(layer, "cut_to"):
        return False
    reaches = getattr(layer, "reaches_back_to", None)
    return held == tokens or reaches is None or bool(reaches(tokens))
