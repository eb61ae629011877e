"""What APIs were asked and what they answered: choices, candidates, and answers that came piece by piece, as chats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tui.conversation.formats.values import list_of, mapping_of, text_of
from tui.conversation.turn import ASSISTANT

_PIECE: Final = "chat.completion.chunk"
_TEXT_FIELDS: Final = ("content", "thinking", "reasoning_content", "reasoning")


def as_chats(document: Any) -> Any:
    """Return a document in which each answer of an API is a chat of messages; any other document as it is."""
    if isinstance(document, list):
        return [_as_chat(entry) for entry in _whole(document)]
    return _as_chat(document)


def _as_chat(entry: Any) -> Any:
    if not isinstance(entry, Mapping):
        return entry
    asked = _body(entry.get("request"))
    answered = _body(entry.get("response")) or entry
    replies = [*_replies(answered)]
    if not replies:
        return entry
    messages = [*list_of(asked.get("messages")), *list_of(asked.get("contents"))]
    first = len(messages)
    # Several answers to one question become variants.
    placed = [
        {**mapping_of(one), "id": str(place), "parentId": str(place - 1) if place else None}
        for place, one in enumerate(messages)
    ]
    above = str(first - 1) if first else None
    placed += [
        {**reply, "id": str(first + number), "parentId": above}
        for number, reply in enumerate(replies)
    ]
    system = asked.get("system_instruction", asked.get("systemInstruction"))
    about = {key: answered[key] for key in ("model", "created") if key in answered}
    return {**about, "instructions": system, "messages": placed, "currentId": str(first)}


def _body(value: Any) -> Mapping[str, Any]:
    found = mapping_of(value)
    return mapping_of(found["body"]) if "body" in found else found


def _replies(answered: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for choice in list_of(answered.get("choices")):
        if message := mapping_of(mapping_of(choice).get("message")):
            yield message
    for candidate in list_of(answered.get("candidates")):
        if content := mapping_of(mapping_of(candidate).get("content")):
            yield {"role": ASSISTANT, **content}


def _whole(entries: list[Any]) -> list[Any]:
    """Return the lines of a log with an answer that came in pieces as one message."""
    result: list[Any] = []
    open_fields: dict[str, list[str]] | None = None
    for entry in entries:
        piece = _piece(entry)
        if piece is None:
            open_fields = None
            result.append(entry)
            continue
        if open_fields is None:
            open_fields = {key: [] for key in _TEXT_FIELDS}
            about = {"model": entry.get("model"), "created_at": entry.get("created_at")}
            result.append((about, open_fields))
        for key, texts in open_fields.items():
            texts.append(text_of(piece.get(key)))
        if entry.get("done") is True:
            open_fields = None
    return [_message(*one) if isinstance(one, tuple) else one for one in result]


def _message(about: Mapping[str, Any], fields: Mapping[str, list[str]]) -> dict[str, Any]:
    said = {key: "".join(texts) for key, texts in fields.items()}
    return {"role": ASSISTANT, **about, **{key: text for key, text in said.items() if text}}


def _piece(entry: Any) -> Mapping[str, Any] | None:
    """Return what a line of a stream adds to the answer; None where it is none."""
    if not isinstance(entry, Mapping):
        return None
    if isinstance(entry.get("done"), bool) and isinstance(entry.get("message"), Mapping):
        return mapping_of(entry["message"])
    choices = list_of(entry.get("choices"))
    if choices and isinstance(mapping_of(choices[0]).get("delta"), Mapping):
        return mapping_of(choices[0]["delta"])
    if entry.get("object") == _PIECE:
        return {}
    return None
