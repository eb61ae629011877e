"""Parts a reply into reasoning and answer while it streams. Pure text in, pieces of text out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final, Protocol

OPENING: Final = "<think>"
CLOSING: Final = "</think>"
_REASONING_FIELDS: Final = ("reasoning_content", "reasoning", "thinking")


@dataclass(frozen=True, slots=True)
class Piece:
    """Some text of a reply, and which part of it it belongs to."""

    text: str
    is_reasoning: bool = False


class Splitter(Protocol):
    """Parts a stream of text; all chunkings of the same text give the same two texts."""

    def feed(self, text: str) -> list[Piece]:
        """Return what can be told of the text so far and was not returned before."""
        ...

    def finish(self) -> list[Piece]:
        """Return the rest; the reply has ended."""
        ...

    @property
    def in_reasoning(self) -> bool:
        """Whether the reply is in its reasoning now."""
        ...


class _State(Enum):
    START = auto()
    REASONING_START = auto()
    REASONING = auto()
    ANSWER_START = auto()
    ANSWER = auto()


class ThinkSplitter:
    """Finds the reasoning between `<think>` and `</think>` at the start of a reply.

    The opening tag counts only where nothing but whitespace stands before it, so that an answer may speak about the tag;
    the closing tag counts only inside the reasoning. The tags and the whitespace around them belong to neither part.
    """

    def __init__(self, open_at_start: bool = False) -> None:
        """Start a reply.

        Args:
            open_at_start: the prompt ended with the opening tag, so that the reply starts inside the reasoning.
        """
        self._state = _State.REASONING_START if open_at_start else _State.START
        self._held = ""

    @property
    def in_reasoning(self) -> bool:
        """Whether the reply is in its reasoning now."""
        return self._state in (_State.REASONING_START, _State.REASONING)

    def feed(self, text: str) -> list[Piece]:
        """Return what can be told of the text so far and was not returned before."""
        self._held += text
        pieces: list[Piece] = []
        while self._step(pieces):
            pass
        return pieces

    def finish(self) -> list[Piece]:
        """Return the rest; a reply that ends inside the reasoning is all reasoning."""
        text, self._held = self._held, ""
        if self._state is _State.REASONING_START or not text:
            return []
        return [Piece(text, self._state is _State.REASONING)]

    def _step(self, pieces: list[Piece]) -> bool:
        """Take what can be told from the held text; return whether there may be more to tell."""
        match self._state:
            case _State.START:
                return self._find_opening()
            case _State.REASONING_START | _State.ANSWER_START:
                self._held = self._held.lstrip()
                if not self._held:
                    return False
                in_reasoning = self._state is _State.REASONING_START
                self._state = _State.REASONING if in_reasoning else _State.ANSWER
                return True
            case _State.REASONING:
                return self._find_closing(pieces)
            case _State.ANSWER:
                if self._held:
                    pieces.append(Piece(self._held))
                    self._held = ""
                return False

    def _find_opening(self) -> bool:
        start = self._held.lstrip()
        if start.startswith(OPENING):
            self._held = start[len(OPENING) :]
            self._state = _State.REASONING_START
            return True
        if OPENING.startswith(start):
            return False
        self._state = _State.ANSWER
        return True

    def _find_closing(self, pieces: list[Piece]) -> bool:
        before, tag, after = self._held.partition(CLOSING)
        if tag:
            self._held, self._state = after, _State.ANSWER_START
            told = before.rstrip()
        else:
            told = self._held[: len(self._held) - _partial_length(self._held, CLOSING)].rstrip()
            self._held = self._held[len(told) :]
        if told:
            pieces.append(Piece(told, is_reasoning=True))
        return bool(tag)


class TemplateSplitter:
    """Parts a reply as the response template of a model's tokenizer says; its text must hold the special tokens."""

    def __init__(self, parser: Any) -> None:
        """Start a reply.

        Args:
            parser: a transformers `ResponseParser` that has seen the prompt.
        """
        self._parser = parser
        self._field = ""
        self._pieces(parser.initial_events)

    @property
    def in_reasoning(self) -> bool:
        """Whether the reply is in its reasoning now."""
        return self._field in _REASONING_FIELDS

    def feed(self, text: str) -> list[Piece]:
        """Return what can be told of the text so far and was not returned before."""
        return self._pieces(self._parser.feed(text))

    def finish(self) -> list[Piece]:
        """Return the rest; the reply has ended."""
        try:
            return self._pieces(self._parser.finalize()[1])
        except ValueError:
            # The reply ended before a part that the template requires; what there was has been told.
            return []

    def _pieces(self, events: Sequence[Mapping[str, Any]]) -> list[Piece]:
        pieces = []
        for event in events:
            field = str(event["field"])
            match event["type"]:
                case "region_open":
                    self._field = field
                case "region_chunk":
                    pieces.append(Piece(event["text"], field in _REASONING_FIELDS))
                case "region_close":
                    self._field = ""
        return [piece for piece in pieces if piece.text]


def _partial_length(text: str, tag: str) -> int:
    """Return how many characters at the end of `text` may be the start of `tag`."""
    return next(
        (
            length
            for length in range(min(len(tag), len(text)), 0, -1)
            if text.endswith(tag[:length])
        ),
        0,
    )
