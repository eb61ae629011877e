"""The settings of one reply: which parameters are in force, and what `generate` is given for them."""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping
from typing import Any, Final

from tui.engine.base import ContextOverflowError, GenerateRequest, Overflow
from tui.engine.local.loading import LoadedModel
from tui.engine.local.prompt import Prompt
from tui.parameters import Value, in_force

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


def in_force_for(loaded: LoadedModel, request: GenerateRequest, prompt: Prompt) -> dict[str, Value]:
    """Return the parameters in force: a seed drawn if none was set, the limit cut to the context's rest.

    Raises:
        ContextOverflowError: the prompt leaves no room for a reply.
    """
    values = in_force(request.parameters, loaded.info.defaults)
    if values["seed"] is None:
        values["seed"] = random.SystemRandom().randint(0, _GREATEST_SEED)
    context = loaded.info.context_tokens
    if context:
        room = context - len(prompt.ids)
        wanted = int(values["max_new_tokens"] or _LEAST_ROOM_TOKENS)
        if room < min(wanted, _LEAST_ROOM_TOKENS, max(1, context // 8)):
            costs = loaded.prompts.costs(request.messages)
            raise ContextOverflowError(Overflow(len(prompt.ids), context, costs))
        values["max_new_tokens"] = min(int(values["max_new_tokens"] or room), room)
    return values


def generation_config(loaded: LoadedModel, values: Mapping[str, Value]) -> Any:
    """Return the generation config of one reply.

    It is made from the model's own without its sampling settings: what is in force is in `values`, and left-overs of a
    sampling setting make `generate` warn or sample where it should not.
    """
    from transformers import GenerationConfig

    greedy = not values["temperature"]
    make: Any = GenerationConfig
    config = make(
        eos_token_id=sorted(loaded.end_ids) or None,
        max_new_tokens=values["max_new_tokens"],
        do_sample=not greedy,
        repetition_penalty=values["repetition_penalty"],
        use_cache=True,
    )
    for name in _KEPT_SETTINGS:
        value = getattr(loaded.model_settings, name, None)
        if value is not None:
            setattr(config, name, copy.deepcopy(value))
    if config.pad_token_id is None:
        config.pad_token_id = min(loaded.end_ids, default=0)
    if not greedy:
        config.temperature = values["temperature"]
        config.top_k = int(values["top_k"] or 0)
        config.top_p = values["top_p"]
        config.min_p = values["min_p"] or None
    return config
