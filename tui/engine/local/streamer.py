"""Turns token ids into text while they are generated, and the text into events. Never emits half a character."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import Any, Final, Protocol

from tui.engine.base import Emit, ReasoningDelta, TextDelta
from tui.engine.local.reasoning import Splitter

_UNFINISHED: Final = "\ufffd"
_PRIMING_IDS: Final = 8


class Detokenizer(Protocol):
    """Gives the text of one token after the other."""

    def step(self, token: int) -> str:
        """Return the text that is whole now; empty while a character is not."""
        ...


class FastDetokenizer:
    """Uses the stream decoder of the tokenizers library."""

    def __init__(self, backend: Any, before: Sequence[int] = ()) -> None:
        """Start a stream.

        Args:
            backend: a `tokenizers.Tokenizer`.
            before: ids of the text that the stream goes on from, so that a first space is not lost.
        """
        from tokenizers.decoders import DecodeStream

        self._backend = backend
        self._stream: Any = DecodeStream(ids=list(before), skip_special_tokens=False)

    def step(self, token: int) -> str:
        """Return the text that is whole now; empty while a character is not."""
        return self._stream.step(self._backend, token) or ""


class SlowDetokenizer:
    """Decodes a short window again for each token; works with any tokenizer."""

    def __init__(self, tokenizer: Any, before: Sequence[int] = ()) -> None:
        self._tokenizer = tokenizer
        self._ids = list(before)
        self._read = len(self._ids)

    def step(self, token: int) -> str:
        """Return the text that is whole now; empty while a character is not."""
        self._ids.append(token)
        known = self._decode(self._ids[: self._read])
        text = self._decode(self._ids)
        if len(text) <= len(known) or text.endswith(_UNFINISHED):
            return ""
        self._ids = self._ids[self._read :]
        self._read = len(self._ids)
        return text[len(known) :]

    def _decode(self, ids: list[int]) -> str:
        return str(
            self._tokenizer.decode(
                ids, skip_special_tokens=False, clean_up_tokenization_spaces=False
            )
        )


def detokenizer(tokenizer: Any, before: Sequence[int] = ()) -> Detokenizer:
    """Return the detokenizer that fits a transformers tokenizer."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    tail = list(before)[-_PRIMING_IDS:]
    if backend is None or not hasattr(backend, "decoder"):
        return SlowDetokenizer(tokenizer, tail)
    return FastDetokenizer(backend, tail)


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

    def put(self, value: Any) -> None:
        """Take ids from `generate`: first the prompt's, then those of each step."""
        if not self._saw_prompt:
            self._saw_prompt = True
            return
        for token in value.reshape(-1).tolist():
            self.take(token)

    def take(self, token: int) -> None:
        """Take one new token."""
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

    def _send(self, pieces: Sequence[Any]) -> None:
        for piece in pieces:
            tokens, self._waiting_tokens = self._waiting_tokens, 0
            delta = ReasoningDelta if piece.is_reasoning else TextDelta
            if not piece.is_reasoning:
                self._answer.append(piece.text)
            self._emit(delta(piece.text, tokens))

    def _time_reasoning(self, before: bool) -> None:
        inside = self._splitter.in_reasoning
        if before or inside:
            self.reasoning_tokens += 1
        if inside and not self._reasoning_since_s:
            self._reasoning_since_s = self.last_token_s
        elif not inside and self._reasoning_since_s:
            self.reasoning_s += self.last_token_s - self._reasoning_since_s
            self._reasoning_since_s = 0.0
