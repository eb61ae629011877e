"""Splits a streaming reply into reasoning and answer, by the tokenizer's response template or the model's known marks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from tui.conversation.reasoning_marks import PLAIN, TABLE, Marks, marks_in
from tui.conversation.thoughts import Piece
from tui.engine.attempts import StuckError
from tui.engine.base import Cancelled
from tui.engine.local.encoding import token_id

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_REASONING_FIELDS: Final = ("reasoning_content", "reasoning", "thinking")


class Splitter(Protocol):
    """Splits a stream of text; the result doesn't depend on the chunking."""

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


class TemplateSplitter:
    """Parts a reply as the response template of a model's tokenizer says; its text must hold the special tokens."""

    def __init__(self, parser: Any) -> None:
        """Start a reply.

        Args:
            parser: a transformers `ResponseParser` that has seen the prompt, or what looks like one.
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
        except (ValueError, StuckError, Cancelled):
            # The reply ended before a part that the template requires, or in the middle of one that never ends; what there was has
            # been told.
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


def marks_of(tokenizer: PreTrainedTokenizerBase) -> tuple[Marks, ...]:
    """Return the marks of reasoning that a model writes, the likeliest first; none where nothing is known.

    Its response template goes before its chat template and its vocabulary, where the marks may be special tokens or ordinary ones.
    """
    said = _texts(getattr(tokenizer, "chat_template", None))
    named = _named_by(getattr(tokenizer, "response_template", None))
    found = marks_in(said, lambda text: token_id(tokenizer, text) is not None, _added(tokenizer))
    return (*named, *(one for one in found if one not in named))


def _added(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    try:
        return list(tokenizer.get_added_vocab())
    except Exception:  # noqa: BLE001 - a tokenizer may be a program of somebody else
        return []


def _named_by(response_template: Any) -> tuple[Marks, ...]:
    """Return the marks that a response template names as plain text."""
    fields = response_template.get("fields") if isinstance(response_template, Mapping) else None
    if not isinstance(fields, Mapping):
        return ()
    for name in _REASONING_FIELDS:
        field = fields.get(name)
        if isinstance(field, Mapping) and (opening := _literals(field.get("open"))):
            closings = _literals(field.get("close"))
            content = fields.get("content")
            answer = _literals(content.get("open")) if isinstance(content, Mapping) else ()
            same = (
                row
                for row in (*PLAIN, *TABLE)
                if (row.opening, row.closings[:1]) == (opening[0], closings[:1])
            )
            own = Marks(opening[0], closings, answer[0] if answer else "") if closings else None
            return tuple(row for row in (next(same, own),) if row is not None)
    return ()


def _literals(value: Any) -> tuple[str, ...]:
    texts = value if isinstance(value, list | tuple) else (value,)
    return tuple(text.strip() for text in texts if isinstance(text, str) and text.strip())


def _texts(template: Any) -> str:
    """Return a chat template, or all of several, as one text."""
    return (
        template
        if isinstance(template, str)
        else json.dumps(template, ensure_ascii=False, default=str)
    )
