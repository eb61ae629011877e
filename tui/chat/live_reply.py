"""The reply that is being written: what came of it so far, and when it was last put on disk."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any, Final

from tui.conversation import Generation, ReplyStats, Status
from tui.dataclass import dataclass
from tui.engine.base import (
    Event,
    Failed,
    FailureCause,
    Finished,
    Overflow,
    Progress,
    PromptReady,
    ReasoningDelta,
    ReasoningFound,
    StopReason,
    TextDelta,
)
from tui.engine.client import EngineJob

CHECKPOINT_S: Final = 0.5
"""A reply is put on disk this often while it grows."""
SAMPLE_S: Final = 0.5
"""The speed is taken of stretches that are this long at least."""
_MOST_SAMPLES: Final = 64

_STATUS: Final = {
    StopReason.END: Status.COMPLETE,
    StopReason.LENGTH: Status.TRUNCATED,
    StopReason.CANCELLED: Status.STOPPED,
}


@dataclass
class LiveReply:
    """Gathers the events of one reply.

    Attributes:
        turn_id: the assistant turn that it is written into.
        job: the worker's job; None until the chat is on disk and the engine was asked.
        generation: what it is made with.
        stopped_because: what ended it, as a sentence, where that was not the user's wish itself.
        start_text, start_reasoning: what the turn held before, when a reply is continued.
    """

    turn_id: str
    generation: Generation
    start_text: str = ""
    start_reasoning: str = ""
    job: EngineJob | None = None
    stop_wanted: bool = False
    stopped_because: str = ""
    prompt: PromptReady | None = None
    progress: Progress | None = None
    new_tokens: int = 0
    status: Status | None = None
    error: str = ""
    sent: tuple[str, ...] = ()
    """The turns that the engine is sent, oldest first."""
    context_tokens_at_most: int = 0
    """What the model takes; 0 when that is not known."""
    overflow: Overflow | None = None
    """Set when the chat did not fit the context, so that nothing was said."""
    is_hopeless: bool = False
    """Whether leaving turns out would not make it fit either."""
    reasoning_ended: bool = False
    """Whether the last piece of the answer was the first one behind reasoning."""
    _last_was_reasoning: bool = False
    _text: list[str] = field(default_factory=list)
    _reasoning: list[str] = field(default_factory=list)
    _unsaved: tuple[list[str], list[str]] = field(default_factory=lambda: ([], []))
    _started: float = field(default_factory=time.monotonic)
    _first_token: float = 0.0
    _reasoning_end: float = 0.0
    _reasoning_tokens: int = 0
    _speeds: deque[float] = field(default_factory=lambda: deque(maxlen=_MOST_SAMPLES))
    _sample_start: float = 0.0
    _sample_tokens: int = 0
    _saved: float = field(default_factory=time.monotonic)

    @property
    def text(self) -> str:
        """All of the answer so far."""
        return self.start_text + "".join(self._text)

    @property
    def reasoning(self) -> str:
        """All of the reasoning so far."""
        return self.start_reasoning + "".join(self._reasoning)

    @property
    def ended(self) -> bool:
        """Whether the engine is done with it."""
        return self.status is not None

    @property
    def adds_nothing(self) -> bool:
        """Whether a reply that was to be continued ended by itself, and as it was."""
        is_as_before = self.text == self.start_text and self.reasoning == self.start_reasoning
        is_continued = bool(self.start_text or self.start_reasoning) and self.generation.continued
        return is_continued and is_as_before and self.status is Status.COMPLETE

    @property
    def context_tokens(self) -> int:
        """Tokens of prompt and reply so far; 0 before the prompt was made."""
        return self.prompt.prompt_tokens + self.new_tokens if self.prompt else 0

    @property
    def speeds(self) -> tuple[float, ...]:
        """How fast it was written of late, in tokens per second: one figure for each `SAMPLE_S`, oldest first."""
        return tuple(self._speeds)

    @property
    def stats(self) -> ReplyStats:
        """What it cost so far, measured here; the engine's own figures replace it at the end."""
        prompt = self.prompt or PromptReady(0)
        of_prompt = ReplyStats(
            prompt_tokens=prompt.prompt_tokens,
            cached_tokens=prompt.cached_tokens,
            dropped_tokens=prompt.dropped_tokens,
            rewritten_tokens=prompt.rewritten_tokens,
        )
        if not self._first_token:
            return of_prompt
        return replace(
            of_prompt,
            new_tokens=self.new_tokens,
            reasoning_tokens=self._reasoning_tokens,
            ttft_s=self._first_token - self._started,
            decode_s=time.monotonic() - self._first_token,
            reasoning_s=(self._reasoning_end - self._first_token) if self._reasoning else 0.0,
        )

    def asked(self, job: EngineJob) -> None:
        """Note that the engine was asked; the time to the first token runs from here."""
        self.job = job
        self._started = time.monotonic()

    def take(self, event: Event) -> None:
        """Gather one event of the job."""
        match event:
            case PromptReady(parameters=parameters):
                self.prompt = event
                self.progress = None
                self._note_parameters(parameters)
            case Progress():
                self.progress = event
            case TextDelta(text, tokens):
                self._count(tokens)
                self.reasoning_ended = bool(self._reasoning) and self._last_was_reasoning
                self._last_was_reasoning = False
                self._text.append(text)
                self._unsaved[0].append(text)
            case ReasoningDelta(text, tokens):
                self._count(tokens)
                self._reasoning_tokens += tokens
                self._reasoning_end = time.monotonic()
                self._last_was_reasoning = True
                self._reasoning.append(text)
                self._unsaved[1].append(text)
            case ReasoningFound(text, tag, tokens):
                self._count(tokens)
                self._find_reasoning(text, tag)
            case Finished(stats, reason):
                self.status = _STATUS[reason]
                if reason is StopReason.LENGTH:
                    self.error = self._limit(stats)
                self._note_stats(stats)
            case Failed():
                # Where nothing had been said yet there is nothing to go on from.
                is_cut = event.cause is FailureCause.CONNECTION and self.new_tokens > 0
                self.status = Status.INTERRUPTED if is_cut else Status.FAILED
                self.error = f"{event.message} {event.hint}".strip()
                self.overflow = event.overflow
                self._note_stats(event.stats if event.stats.new_tokens else self.stats)

    def cut(self, status: Status) -> None:
        """End it before the engine has, with what was said and measured so far."""
        self.status = status
        self._note_stats(self.stats)

    def _find_reasoning(self, text: str, tag: str) -> None:
        """Take what was the answer so far for reasoning."""
        self.start_text = self.start_reasoning = ""
        self._text.clear()
        self._reasoning[:] = [text]
        self._reasoning_tokens = self.new_tokens
        self._reasoning_end = time.monotonic()
        self._last_was_reasoning = True
        # What is on disk as the answer stays there until the end, as the model wrote it.
        self._unsaved[0].append(f"\n{tag}\n\n")

    def _limit(self, stats: ReplyStats) -> str:
        """Return which limit ended it; empty when that is not known."""
        most = self.context_tokens_at_most
        if most and stats.prompt_tokens and stats.prompt_tokens + stats.new_tokens >= most:
            return f"the context of {most:,} tokens was full."
        limit = self.generation.parameters.get("max_new_tokens")
        if limit and stats.new_tokens >= int(limit):
            return f"the limit of {int(limit):,} new tokens was reached."
        return ""

    def take_unsaved(self) -> tuple[str, str] | None:
        """Return the answer and reasoning that came since the last call, when it is time to put them on disk."""
        now = time.monotonic()
        if now - self._saved < CHECKPOINT_S:
            return None
        text, reasoning = ("".join(pieces) for pieces in self._unsaved)
        if not (text or reasoning):
            return None
        self._saved = now
        self._unsaved = ([], [])
        return text, reasoning

    def _count(self, tokens: int) -> None:
        self.progress = None
        self.new_tokens += tokens
        now = time.monotonic()
        if not self._first_token:
            # The first token belongs to the prompt's reading.
            self._first_token = self._sample_start = now
            return
        self._sample_tokens += tokens
        elapsed = now - self._sample_start
        if elapsed >= SAMPLE_S:
            # A pause takes as many figures as it took time.
            count = min(_MOST_SAMPLES, round(elapsed / SAMPLE_S))
            self._speeds.extend([self._sample_tokens / elapsed] * count)
            self._sample_start, self._sample_tokens = now, 0

    def _note_parameters(self, parameters: Mapping[str, Any]) -> None:
        if parameters:
            self.generation = replace(self.generation, parameters=dict(parameters))

    def __post_init__(self) -> None:
        """Keep what a reply had cost before it is written on."""
        self._before = self.generation.stats

    def _note_stats(self, stats: ReplyStats) -> None:
        measured = self.stats
        if self._reasoning and not stats.reasoning_s:
            stats = replace(
                stats,
                reasoning_s=measured.reasoning_s,
                reasoning_tokens=stats.reasoning_tokens or measured.reasoning_tokens,
            )
        before = self._before
        self.generation = replace(
            self.generation,
            stats=replace(
                stats,
                prompt_tokens=before.prompt_tokens or stats.prompt_tokens,
                cached_tokens=before.cached_tokens if before.prompt_tokens else stats.cached_tokens,
                new_tokens=before.new_tokens + stats.new_tokens,
                reasoning_tokens=before.reasoning_tokens + stats.reasoning_tokens,
                ttft_s=before.ttft_s or stats.ttft_s,
                decode_s=before.decode_s + stats.decode_s,
                drafted_tokens=before.drafted_tokens + stats.drafted_tokens,
                accepted_tokens=before.accepted_tokens + stats.accepted_tokens,
                reasoning_s=before.reasoning_s + stats.reasoning_s,
            ),
        )
