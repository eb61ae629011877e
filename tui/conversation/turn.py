"""The values a chat is made of: turns, and what is known about how a reply came to be.

Everything here is an immutable plain value; nothing touches a disk, a model or a screen.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from enum import StrEnum
from typing import Any, Final

from tui.conversation.parts import (
    Part,
    label_of,
    others,
    reasoning_of,
    saying,
    text_of,
    told_text,
)
from tui.dataclass import dataclass

USER: Final = "user"
ASSISTANT: Final = "assistant"
SYSTEM: Final = "system"


class Status(StrEnum):
    """How a turn ended."""

    COMPLETE = "complete"
    STREAMING = "streaming"
    """Still being written. Found in a file, it means that the app died: see `INTERRUPTED`."""
    STOPPED = "stopped"
    """The user stopped the reply; its text is kept."""
    TRUNCATED = "truncated"
    """The reply reached its limit of new tokens, or the end of the context."""
    FAILED = "failed"
    """The engine failed; `Turn.error` has the reason, and the partial text is kept."""
    INTERRUPTED = "interrupted"
    """The app ended, or a server was lost, while the reply was being written; what there was is kept."""


@dataclass(frozen=True, slots=True)
class ReplyStats:
    """Token counts and timings of one reply. Zero means unknown."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    """Prompt tokens that were found in the KV cache and not computed again."""
    dropped_tokens: int = 0
    """Tokens that the KV cache held and that were given up, since this prompt does not go on from them."""
    rewritten_tokens: int = 0
    """Of these, tokens of the last reply that the chat template writes otherwise now that it is history."""
    new_tokens: int = 0
    reasoning_tokens: int = 0
    drafted_tokens: int = 0
    """Tokens that were drafted and checked by the model at once; of these `accepted_tokens` were right."""
    accepted_tokens: int = 0
    ttft_s: float = 0.0
    """Seconds from the request to the first new token."""
    prefill_s: float = 0.0
    """Seconds that the model took to compute the prompt, without waiting and template."""
    decode_s: float = 0.0
    """Seconds from the first to the last new token."""
    reasoning_s: float = 0.0

    @property
    def tokens_per_s(self) -> float:
        """Decoding speed; the first token belongs to the prefill and is not counted."""
        if self.decode_s <= 0 or self.new_tokens < 2:
            return 0.0
        return (self.new_tokens - 1) / self.decode_s

    @property
    def prefill_tokens_per_s(self) -> float:
        """Speed at which the part of the prompt was read that the KV cache lacked."""
        read = self.prompt_tokens - self.cached_tokens
        return read / self.prefill_s if self.prefill_s > 0 and read > 0 else 0.0

    @property
    def context_tokens(self) -> int:
        """Tokens that the chat takes in the context after this reply."""
        return self.prompt_tokens + self.new_tokens


@dataclass(frozen=True, slots=True)
class Generation:
    """How a reply was generated: enough to display and reproduce it."""

    model: str = ""
    """The model identifier for loading it again: a Hub ID, a path, or `demo`."""
    name: str = ""
    """The model's name for people, where it differs."""
    quantization: str = "none"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """The parameters in force, the seed that was used included."""
    start_text: str = ""
    """The text that the reply was made to start with."""
    continued: bool = False
    """Whether it was continued later, so that the seed and parameters only apply to its last part."""
    stats: ReplyStats = field(default_factory=ReplyStats)
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Keys of the file that this version does not know, those of the figures under `stats`; written back as they were."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a chat, and its place in the tree.

    It is made of `parts`; `text` and `reasoning` are views of them that are always equal to what they say. Whoever sets those
    (`replace(turn, text=...)`) changes the parts as `parts.saying` tells and keeps all others; `with_parts` sets the parts.
    """

    id: str
    parent: str | None
    role: str
    text: str
    created_at: float
    """Unix time in seconds."""
    reasoning: str = ""
    status: Status = Status.COMPLETE
    error: str = ""
    origin: str | None = None
    """The turn that this one was edited from, if any."""
    generation: Generation | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Keys of the file that this version does not know; written back as they were."""
    parts: tuple[Part, ...] = ()
    """What it is made of, in the order in which it came; left empty, it is made of the text and the reasoning."""

    def __post_init__(self) -> None:
        """Have the parts say the text and the reasoning."""
        object.__setattr__(self, "parts", saying(self.parts, self.text, self.reasoning))

    def with_parts(self, parts: Iterable[Part]) -> Turn:
        """Return the turn made of these parts instead."""
        return replace(self, **part_fields(parts))

    @property
    def others(self) -> tuple[Part, ...]:
        """The parts that are neither text nor reasoning."""
        return others(self.parts)

    @property
    def content(self) -> str:
        """The content sent to the model: the text, and files as text."""
        return told_text(self.parts) if self.others else self.text

    @property
    def gist(self) -> str:
        """The text, or where there is none what stands for the other parts."""
        return self.text or ", ".join(map(label_of, self.others))

    @property
    def is_empty(self) -> bool:
        """Whether the turn is empty, such as a reply that failed before its first token."""
        return not (self.text or self.reasoning or self.others)


def part_fields(parts: Iterable[Part]) -> dict[str, Any]:
    """Return the fields of a turn that is made of these parts, for `Turn` or `replace`."""
    given = tuple(parts)
    return {"text": text_of(given), "reasoning": reasoning_of(given), "parts": given}


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of what a chat template is given.

    Attributes:
        content: what of it is text, files included.
        parts: what it is made of where that is more than text and reasoning; empty otherwise.
    """

    role: str
    content: str
    reasoning: str = ""
    parts: tuple[Part, ...] = ()


def message_of(turn: Turn) -> Message:
    """Return what a chat template is given of a turn."""
    if not turn.others:
        return Message(turn.role, turn.text, turn.reasoning)
    return Message(turn.role, turn.content, turn.reasoning, turn.parts)


def new_id() -> str:
    """Return an opaque id: 32 hexadecimal digits, safe as a file name."""
    return uuid.uuid4().hex


def now() -> float:
    """Return the Unix time in seconds, rounded to the millisecond as files keep it."""
    return round(time.time(), 3)
