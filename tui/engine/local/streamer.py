"""Turns the text of token ids, as they are generated, into events. What the ids say is the business of `detokenizer`."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from tui.engine.base import Emit, ReasoningDelta, ReasoningFound, TextDelta
from tui.engine.local.reasoning import Splitter

if TYPE_CHECKING:
    from torch import Tensor

    from tui.conversation.thoughts import Piece

_LONGEST_TEXT: Final = 100_000
"""Characters of one token. The longest in use have some hundreds."""


class Detokenizer(Protocol):
    """Gives the text of one token after the other."""

    def step(self, token: int) -> str:
        """Return the text that is complete; empty while a character is incomplete."""
        ...


class ReplyStreamer:
    """The streamer that `generate` is given: emits deltas, keeps the ids and the times.

    The id that ends the turn is counted neither as text nor as a token of the reply.
    """

    def __init__(
        self,
        text: Detokenizer,
        splitter: Splitter,
        emit: Emit,
        *,
        ends: Collection[int],
        silent: Collection[int],
    ) -> None:
        """Start a reply.

        Args:
            text: turns ids into text.
            splitter: parts the text into reasoning and answer.
            emit: takes the deltas.
            ends: ids that end the turn.
            silent: special ids whose text is not shown.
        """
        self._text = text
        self._splitter = splitter
        self._emit = emit
        self._ends = ends
        self._silent = silent
        self._waiting_tokens = 0
        self._saw_prompt = False
        self._reasoning_since_s = 0.0
        self.ids: list[int] = []
        self.ended = False
        self.new_tokens = 0
        self.reasoning_tokens = 0
        self.reasoning_s = 0.0
        self.first_token_s = 0.0
        self.last_token_s = 0.0
        self._answer: list[str] = []

    @property
    def answer(self) -> str:
        """All of the answer so far, without the reasoning."""
        return "".join(self._answer)

    def put(self, value: Tensor) -> None:
        """Take ids from `generate`: first the prompt's, then those of each step."""
        if not self._saw_prompt:
            self._saw_prompt = True
            return
        for token in value.reshape(-1).tolist():
            self.take(token)

    def take(self, token: int) -> None:
        """Take one new token.

        Raises:
            ValueError: its text is longer than that of any token.
        """
        self.ids.append(token)
        if self.ended or token in self._ends:
            self.ended = True
            return
        self.last_token_s = time.perf_counter()
        self.first_token_s = self.first_token_s or self.last_token_s
        self.new_tokens += 1
        self._waiting_tokens += 1
        before = self._splitter.in_reasoning
        if token not in self._silent:
            text = self._text.step(token)
            if len(text) > _LONGEST_TEXT:
                raise ValueError(f"its tokenizer decodes one token to {len(text):,} characters")
            if text:
                self._send(self._splitter.feed(text))
        self._time_reasoning(before)

    def end(self) -> None:
        """Do nothing: `generate` calls this only when all went well; `finish` is called always."""

    def finish(self) -> None:
        """Emit what was held back; the reply has ended, in whichever way."""
        before = self._splitter.in_reasoning
        self._send(self._splitter.finish())
        if before and self._reasoning_since_s:
            self.reasoning_s += time.perf_counter() - self._reasoning_since_s
            self._reasoning_since_s = 0.0

    def _send(self, pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            tokens, self._waiting_tokens = self._waiting_tokens, 0
            if piece.tag:
                self._answer.clear()
                self.reasoning_tokens = self.new_tokens
                self.reasoning_s = self.last_token_s - self.first_token_s
                self._emit(ReasoningFound(piece.text, piece.tag, tokens))
            elif piece.is_reasoning:
                self._emit(ReasoningDelta(piece.text, tokens))
            else:
                self._answer.append(piece.text)
                self._emit(TextDelta(piece.text, tokens))

    def _time_reasoning(self, before: bool) -> None:
        inside = self._splitter.in_reasoning
        if before or inside:
            self.reasoning_tokens += 1
        if inside and not self._reasoning_since_s:
            self._reasoning_since_s = self.last_token_s
        elif not inside and self._reasoning_since_s:
            self.reasoning_s += self.last_token_s - self._reasoning_since_s
            self._reasoning_since_s = 0.0
