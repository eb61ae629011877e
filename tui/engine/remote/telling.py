"""Makes the events of a reply from what its dialect has read of it: words, reasoning, figures, texts that end it.

Shared by all engines that speak a dialect, wherever the model is.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from tui.conversation.reasoning_marks import PLAIN
from tui.conversation.thoughts import Piece, ThinkSplitter
from tui.conversation.turn import USER, Message, ReplyStats
from tui.engine.base import (
    Emit,
    Finished,
    GenerateRequest,
    Progress,
    PromptReady,
    ReasoningDelta,
    ReasoningFound,
    StopReason,
    TextDelta,
)
from tui.engine.remote.dialect import Dialect, Ended, Reading, Said, Usage, Words
from tui.engine.remote.problems import ServerError
from tui.engine.stop_texts import StopTexts
from tui.parameters import Value

MOST_CHARACTERS: Final = 20_000_000
"""Of a reply."""
_GREATEST_SEED: Final = 2**31 - 1


def fitting(request: GenerateRequest, dialect: Dialect) -> tuple[GenerateRequest, list[str]]:
    """Return a request with nothing in it that a dialect doesn't support, and the names of the parameters that were left out."""
    values = {
        name: value
        for name, value in request.parameters.items()
        if value is not None and name in dialect.parameters
    }
    if "seed" in dialect.parameters and "seed" not in values:
        # So that the reply can be made again.
        values["seed"] = random.SystemRandom().randint(0, _GREATEST_SEED)
    dropped = [
        name
        for name, value in request.parameters.items()
        if value is not None and name not in dialect.parameters
    ]
    return replace(request, messages=joined(request.messages), parameters=values), dropped


def joined(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Return messages of which no two in a row are the user's, as when a reply failed: many chat templates refuse that."""
    found: list[Message] = []
    for message in messages:
        before = found[-1] if found else None
        if before is not None and before.role == message.role == USER:
            content = f"{before.content}\n\n{message.content}"
            found[-1] = replace(before, content=content, parts=(*before.parts, *message.parts))
        else:
            found.append(message)
    return tuple(found)


class Telling:
    """Tells one reply: takes what is read of it, and emits its events."""

    def __init__(
        self,
        request: GenerateRequest,
        emit: Emit,
        notes: tuple[str, ...] = (),
        splitter: ThinkSplitter | None = None,
    ) -> None:
        """Tell nothing yet.

        Args:
            request: as it is sent; see `fitting`.
            emit: takes the events.
            notes: as in `PromptReady`.
            splitter: separates reasoning that the server leaves in the text, if the prompt says more of it than the text does.
        """
        self._values = request.parameters
        self._notes = notes
        self._emit = emit
        said = request.messages[-1].content if request.continue_last else ""
        self._splitter: ThinkSplitter | None = splitter or ThinkSplitter(marks=PLAIN, said=said)
        # Some servers leave the text that ended a reply in it, and some know of no such texts.
        self._stops = StopTexts(_texts(self._values.get("stop_strings")), emit)
        self._usage = Usage()
        self._pieces = self._thoughts = self._characters = 0
        self._start = self._first = self._last = 0.0
        self.prompt_tokens = -1
        self.ended: Ended | None = None

    def start(self) -> None:
        """Begin to measure."""
        self._start = time.monotonic()

    @property
    def has_begun(self) -> bool:
        """Whether anything was said."""
        return self._pieces > 0

    @property
    def has_stopped(self) -> bool:
        """Whether a text was said that ends the reply, whatever the server has to say of that."""
        return self._stops.found

    @property
    def stats(self) -> ReplyStats:
        """What it cost, as the server says, and where it doesn't, as it was measured here."""
        usage = self._usage
        return ReplyStats(
            prompt_tokens=usage.prompt_tokens or max(0, self.prompt_tokens),
            cached_tokens=usage.cached_tokens,
            new_tokens=usage.new_tokens or self._pieces,
            reasoning_tokens=usage.reasoning_tokens or self._thoughts,
            drafted_tokens=usage.drafted_tokens,
            accepted_tokens=usage.accepted_tokens,
            ttft_s=max(0.0, self._first - self._start),
            prefill_s=usage.prefill_s,
            decode_s=usage.decode_s or max(0.0, self._last - self._first),
        )

    def tell_prompt(self, tokens: int = 0, cached: int = 0) -> None:
        """Tell that the prompt is ready.

        Args:
            tokens: of it; 0 for those in `prompt_tokens`.
            cached: of these that were computed before.
        """
        self.prompt_tokens = tokens or max(0, self.prompt_tokens)
        self._emit(PromptReady(self.prompt_tokens, cached, dict(self._values), notes=self._notes))

    def tell_rest(self) -> None:
        """Emit what was held back, as nothing more comes."""
        self._tell(self._splitter.finish() if self._splitter else [])
        self._stops.finish()

    def finished(self, reason: StopReason) -> Finished:
        """Return the end of the reply."""
        self.tell_rest()
        return Finished(self.stats, reason)

    def take(self, said: Said) -> None:
        """Take the next of what was read.

        Raises:
            ServerError: the reply has become too long.
        """
        match said:
            case Words():
                self._hear(said)
            case Usage():
                self._usage = said
                if said.prompt_tokens and said.prompt_tokens != self.prompt_tokens:
                    self.tell_prompt(said.prompt_tokens, said.cached_tokens)
            case Reading(done, total, cached):
                if done < total:
                    self._emit(
                        Progress("Reading the chat", done - cached, total - cached, "tokens")
                    )
            case Ended() if not self.has_stopped:
                self.ended = said

    def _hear(self, words: Words) -> None:
        self._characters += len(words.text)
        if self._characters > MOST_CHARACTERS:
            raise ServerError(
                f"The reply was stopped because it exceeded {MOST_CHARACTERS:,} characters."
            )
        self._pieces += 1
        self._last = time.monotonic()
        self._first = self._first or self._last
        if words.is_reasoning:
            # Where the server parts the reply, the marks in the answer are words that are spoken about.
            self._tell(self._splitter.finish() if self._splitter else [])
            self._splitter = None
            self._thoughts += 1
            self._stops.take(ReasoningDelta(words.text))
        elif self._splitter is not None:
            self._thoughts += self._splitter.in_reasoning
            self._tell(self._splitter.feed(words.text))
        else:
            self._stops.take(TextDelta(words.text))
        if self._stops.found and self.ended is None:
            self.ended = Ended(StopReason.END)

    def _tell(self, pieces: Iterable[Piece]) -> None:
        for piece in pieces:
            if piece.tag:
                self._thoughts = self._pieces
                self._stops.take(ReasoningFound(piece.text, piece.tag))
            elif piece.text:
                made = ReasoningDelta if piece.is_reasoning else TextDelta
                self._stops.take(made(piece.text))


def _texts(value: Value) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
