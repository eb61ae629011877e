"""The settings of one reply: which parameters are in force, and what `generate` is given for them."""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from tui.engine.base import ContextOverflowError, GenerateRequest, Overflow
from tui.engine.local.loaded import LoadedModel
from tui.engine.local.prompt import Prompt
from tui.parameters import Value, in_force, whole, whole_numbers

if TYPE_CHECKING:
    from transformers import GenerationConfig

_GREATEST_SEED: Final = 2**32 - 1
_LEAST_ROOM_TOKENS: Final = 64
"""A context with less room than this for a reply counts as full, unless the user wants a shorter one or it is tiny."""
_KEPT_SETTINGS: Final = (
    "bos_token_id",
    "pad_token_id",
    "suppress_tokens",
    "begin_suppress_tokens",
    "bad_words_ids",
    "sequence_bias",
    "no_repeat_ngram_size",
)
_DRAWN: Final = ("top_p", "min_p", "typical_p", "top_h", "epsilon_cutoff", "eta_cutoff")
"""Settings that only drawing has a use for, and that are off when they are empty."""
_APART: Final = frozenset(
    (
        *_DRAWN,
        "do_sample",
        "temperature",
        "top_k",
        "max_length",
        "stop_strings",
        "eos_token_id",
        "seed",
        # Its own prompt lookup reads the whole prompt again on top of a cache that holds it: it is done in `speculation`.
        "prompt_lookup_num_tokens",
        "max_matching_ngram_size",
    )
)
"""Settings that are not handed on as they are."""


def in_force_for(loaded: LoadedModel, request: GenerateRequest, prompt: Prompt) -> dict[str, Value]:
    """Return the parameters in force: a seed drawn if none was set, the limit cut to the context's rest.

    Raises:
        ContextOverflowError: the prompt leaves no room for a reply.
    """
    values = in_force(request.parameters, loaded.info.defaults)
    if values["seed"] is None:
        values["seed"] = random.SystemRandom().randint(0, _GREATEST_SEED)
    if (longest := whole(request.parameters, "max_length")) is not None:
        # A model's own says how it was trained or evaluated, not how long a chat may get.
        rest = max(1, longest - len(prompt.ids))
        values["max_new_tokens"] = min(whole(values, "max_new_tokens") or rest, rest)
    context = loaded.info.context_tokens
    if context:
        room = context - len(prompt.ids)
        wanted = whole(values, "max_new_tokens") or _LEAST_ROOM_TOKENS
        if room < min(wanted, _LEAST_ROOM_TOKENS, max(1, context // 8)):
            costs = loaded.prompts.costs(request.messages)
            raise ContextOverflowError(Overflow(len(prompt.ids), context, costs))
        values["max_new_tokens"] = min(whole(values, "max_new_tokens") or room, room)
    return values


def end_ids(loaded: LoadedModel, values: Mapping[str, Value]) -> frozenset[int]:
    """Return the ids that end this reply: those that the user named, else the model's."""
    named = values.get("eos_token_id")
    if not named or named == loaded.info.defaults.get("eos_token_id"):
        return loaded.end_ids
    return frozenset(whole_numbers(values, "eos_token_id"))


def is_greedy(loaded: LoadedModel, values: Mapping[str, Value]) -> bool:
    """Return whether each token is the likeliest one: at temperature 0, and where the user wants no sampling.

    That a model's own config says `do_sample: false` is in its default temperature already, which the user may have changed.
    """
    wanted = values.get("do_sample")
    is_own = wanted == loaded.info.defaults.get("do_sample")
    return not values["temperature"] or (wanted is False and not is_own)


def generation_config(loaded: LoadedModel, values: Mapping[str, Value]) -> GenerationConfig:
    """Return the generation config of one reply.

    It is made from the model's own without its sampling settings: what is in force is in `values`, and left-overs of a
    sampling setting make `generate` warn or sample where it should not.
    """
    from transformers import GenerationConfig

    greedy = is_greedy(loaded, values)
    config = GenerationConfig(
        eos_token_id=sorted(end_ids(loaded, values)) or None,
        do_sample=not greedy,
        use_cache=True,
    )
    for name in _KEPT_SETTINGS:
        value = getattr(loaded.model_settings, name, None)
        if value is not None:
            setattr(config, name, copy.deepcopy(value))
    for name, value in values.items():
        if name not in _APART and value is not None:
            setattr(config, name, copy.deepcopy(value))
    if config.pad_token_id is None:
        config.pad_token_id = min(loaded.end_ids, default=0)
    if not greedy:
        config.temperature = values["temperature"]
        config.top_k = whole(values, "top_k") or 0
        for name in _DRAWN:
            setattr(config, name, values[name] or None)
    return config
