"""What a server says of a chat that is too long for it, as the figures that the app makes room with."""

from __future__ import annotations

import re
from typing import Final

from tui.conversation.turn import Message
from tui.engine.base import Overflow
from tui.engine.remote.problems import ServerError, error_code, figures

_TOO_LONG: Final = re.compile(
    r"context[ _-]?(?:length|size|window)|maximum (?:context|model length|prompt length)|exceed_context|prompt (?:is )?too long"
    r"|longer than the model|from the initial prompt is greater than",
    re.IGNORECASE,
)
_COUNT: Final = r"(\d[\d,]*)"
_LIMIT: Final = re.compile(
    rf"n_ctx\D{{0,5}}{_COUNT}"
    rf"|(?:(?:context|model|prompt) length|context size|context window)[^\d\n]{{0,40}}?{_COUNT}"
    rf"|> {_COUNT} maximum",
    re.IGNORECASE,
)
_PROMPT: Final = re.compile(
    rf"n_keep: {_COUNT}"
    rf"|{_COUNT}\s*(?:tokens?\s*)?(?:in the messages|input tokens|from the input|of (?:text )?input|prompt tokens)"
    rf"|prompt \(length {_COUNT}\)"
    rf"|messages resulted in {_COUNT}"
    rf"|keep the first {_COUNT}"
    rf"|(?:input|prompt|request)[^\d\n]{{0,20}}\(?{_COUNT}\s*tokens",
    re.IGNORECASE,
)
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


def told_by(
    error: ServerError, messages: tuple[Message, ...], context_tokens: int
) -> Overflow | None:
    """Return what an error says of a chat that is too long; None where it is about something else."""
    said = error.message
    if not (_TOO_LONG.search(said) or error_code(error.body) == "exceed_context_size_error"):
        return None
    prompt, limit = figures(error.body, "n_prompt_tokens", "n_ctx")
    limit = limit or _figure(_LIMIT, said) or context_tokens
    prompt = prompt or _figure(_PROMPT, said) or sum(map(estimate, messages))
    if not limit:
        return None
    return overflow_of(messages, max(prompt, limit), limit)


def _figure(pattern: re.Pattern[str], said: str) -> int:
    found = pattern.search(said)
    digits = next((one for one in found.groups() if one), "") if found else ""
    return int(digits.replace(",", "")[:12] or 0)
