"""Precomputes the known part of the next prompt (everything before the next message) while the user reads and types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tui.conversation.turn import USER, Message
from tui.engine.attempts import never
from tui.engine.base import Cancelled, GenerateRequest, GenerationError, IsCancelled
from tui.engine.local.loaded import LoadedModel
from tui.engine.local.prefix_cache import common_prefix
from tui.engine.local.prompt import PromptBuilder
from tui.engine.local.soundness import NotFiniteError
from tui.json_types import Json

_POSSIBLE: Final = ("7", "Why")
"""Two next messages. What their prompts have in common, the prompt of any message has."""
_LEAST_TOKENS: Final = 8
"""Fewer are not worth the trouble."""


def prepare(loaded: LoadedModel, request: GenerateRequest, cancelled: IsCancelled) -> bool:
    """Compute ahead; see `Engine.prepare`.

    Raises:
        Exception: an error from torch or the model.
    """
    import torch

    if not loaded.cache.is_usable:
        return True
    try:
        ids = certain_start(loaded.prompts, request.messages, request.template, cancelled)
    except Cancelled:
        return False
    except GenerationError:
        # The next message will say so.
        return True
    context = loaded.info.context_tokens
    if (context and len(ids) >= context) or not loaded.beyond.keys().isdisjoint(ids):
        return True
    rotary = loaded.cache.rotary
    if rotary.key(len(ids)) != rotary.key(len(ids) + _LEAST_TOKENS):
        # A longer prompt requires other frequencies.
        return True
    if len(ids) - loaded.cache.covers((*ids, -1)) < _LEAST_TOKENS:
        return True
    lent = loaded.cache.take((*ids, -1))
    with torch.inference_mode():
        prompt = torch.tensor([ids], device=loaded.input_device)
        try:
            done = loaded.prefill(prompt, lent.cache, lent.tokens, len(ids), cancelled)
        except NotFiniteError:
            # The next reply will say it; nothing of this is kept.
            return True
    loaded.cache.keep(lent.cache, ids, done.tokens, start=len(ids))
    return done.tokens == len(ids)


def certain_start(
    prompts: PromptBuilder,
    messages: Sequence[Message],
    template: Mapping[str, Json] | None = None,
    cancelled: IsCancelled = never,
) -> tuple[int, ...]:
    """Return the ids that the prompt of any next message begins with; none when there can't be a next message now.

    Raises:
        Cancelled: `cancelled` returned True.
    """
    try:
        one, other = (
            prompts.build((*messages, Message(USER, text)), False, template, cancelled).ids
            for text in _POSSIBLE
        )
    except GenerationError:
        return ()
    return one[: common_prefix(one, other)]
