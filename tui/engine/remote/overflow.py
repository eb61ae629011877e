"""What a server says of a chat that is too long for it, as the figures that the app makes room with."""

from __future__ import annotations

import re
from typing import Final

from tui.conversation.turn import Message
from tui.engine.base import ContextOverflowError, Overflow
from tui.engine.remote.problems import ServerError, error_code, figures

_TOO_LONG: Final = re.compile(
    r"context[ _-]?(?:length|size|window)|maximum (?:context|model length|prompt length)|exceed_context|prompt (?:is )?too long"
    r"|longer than the model|from the initial prompt is greater than",
    re.IGNORECASE,
)
_LIMITS: Final = (
    r"n_ctx\D{0,5}(\d[\d,]*)",
    r"(?:context|model|prompt) length[^\d\n]{0,40}?(\d[\d,]*)",
    r"context (?:size|window)[^\d\n]{0,40}?(\d[\d,]*)",
    r"> (\d[\d,]*) maximum",
)
_PROMPTS: Final = (
    r"n_keep: (\d[\d,]*)",
    r"(\d[\d,]*)\s*(?:tokens?\s*)?(?:in the messages|input tokens|from the input|of (?:text )?input|prompt tokens)",
    r"prompt \(length (\d[\d,]*)\)",
    r"(?:messages resulted in|keep the first) (\d[\d,]*)",
    r"(?:input|prompt|request)[^\d\n]{0,20}\(?(\d[\d,]*)\s*tokens",
)
"""The words that figures stand beside, the ones first that say the most surely what they are."""
_LEAST_ROOM_TOKENS: Final = 16
"""What a reply needs at least."""
_BYTES_A_TOKEN: Final = 3
_AROUND: Final = 8
"""Tokens that a template puts around a message, about."""


def estimate(message: Message) -> int:
    """Return how many tokens a message takes, about."""
    return len(message.content.encode("utf-8", "replace")) // _BYTES_A_TOKEN + _AROUND


def most_tokens(messages: tuple[Message, ...]) -> int:
    """Return more tokens than messages can well have."""
    return sum(3 * estimate(message) // 2 + _AROUND for message in messages)


def overflow_of(messages: tuple[Message, ...], prompt_tokens: int, context_tokens: int) -> Overflow:
    """Return by how much messages are too long; what each takes is estimated from their lengths."""
    guessed = [estimate(message) for message in messages]
    total = sum(guessed) or 1
    each = tuple(max(1, prompt_tokens * one // total) for one in guessed)
    return Overflow(prompt_tokens, context_tokens, each)


def limit(
    messages: tuple[Message, ...], prompt_tokens: int, context_tokens: int, wanted: int
) -> int:
    """Return how many tokens a reply may have, where that is less than what was asked for; 0 for no other limit.

    Args:
        messages: of the chat.
        prompt_tokens: that it takes.
        context_tokens: that there are.
        wanted: tokens that were asked for; 0 for any number.

    Raises:
        ContextOverflowError: the chat leaves no room.
    """
    room = context_tokens - prompt_tokens
    if room < min(_LEAST_ROOM_TOKENS, wanted or _LEAST_ROOM_TOKENS):
        raise ContextOverflowError(overflow_of(messages, prompt_tokens, context_tokens))
    return room if wanted > room else 0


def told_by(
    error: ServerError, messages: tuple[Message, ...], context_tokens: int
) -> Overflow | None:
    """Return what an error says of a chat that is too long; None where it is about something else."""
    said = error.message
    if not (_TOO_LONG.search(said) or error_code(error.body) == "exceed_context_size_error"):
        return None
    prompt, limit = figures(error.body, "n_prompt_tokens", "n_ctx")
    limit = limit or _figure(_LIMITS, said) or context_tokens
    prompt = prompt or _figure(_PROMPTS, said) or sum(map(estimate, messages))
    if not limit:
        return None
    return overflow_of(messages, max(prompt, limit), limit)


def _figure(patterns: tuple[str, ...], said: str) -> int:
    found = (re.search(pattern, said, re.IGNORECASE) for pattern in patterns)
    digits = next((one[1] for one in found if one), "")
    return int(digits.replace(",", "")[:12] or 0)
