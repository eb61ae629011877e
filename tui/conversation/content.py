"""Encode and decode a turn's parts: the value of `content`, which is a string for plain text and otherwise a list of parts.

Reading loses nothing: a part of an unknown kind, or one that lacks what its kind needs, is kept as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from typing import Any, Final

from tui.conversation.parts import (
    FilePart,
    ImagePart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    UnknownPart,
    plain_parts,
    told_text,
)
from tui.conversation.turn import Message, Turn, message_of, part_fields

NESTING_LIMIT: Final = 100
"""The maximum nesting depth of parts that are only preserved."""
_TEXT_KINDS: Final = ("text", "input_text", "output_text")


# -- writing


def encode_content(turn: Turn) -> str | list[Any]:
    """Return the `content` of a turn in the tree: a string if `reasoning_content` contains everything else."""
    if turn.parts == plain_parts(turn.text, turn.reasoning):
        return turn.text
    return [encode_part(part) for part in turn.parts]


def history_content(message: Message) -> str | list[Any]:
    """Return the `content` of a message in `chat_history`, limited to part types that other programs know; files become text."""
    if all(map(is_words, message.parts)):
        return message.content
    content: list[Any] = []
    for are_words, parts in groupby(message.parts, is_words):
        if not are_words:
            content += map(encode_part, parts)
        elif text := told_text(parts):
            content.append({"type": "text", "text": text})
    return content


def history_words(turn: Turn) -> str:
    """Return the text of a turn as written to `chat_history`."""
    return content_text(history_content(message_of(turn))) if turn.others else turn.text


def is_words(part: Part) -> bool:
    """Whether a part becomes text in `chat_history`, or is reasoning, which is omitted there."""
    return isinstance(part, TextPart | ReasoningPart | FilePart)


def encode_part(part: Part) -> Any:
    """Return the JSON value of a part, without redundant empty fields."""
    match part:
        case TextPart():
            return {"type": "text", **part.extra, "text": part.text}
        case ReasoningPart():
            entry = {"type": "reasoning", "text": part.text}
        case ImagePart():
            entry = {"type": "image", "sha256": part.sha256, "media_type": part.media_type}
            entry |= {"name": part.name} if part.name else {}
            entry |= {"alt": part.alt} if part.alt else {}
        case FilePart():
            entry = {"type": "file", "name": part.name, "text": part.text}
        case ToolCallPart():
            entry = {"type": "tool_call", "id": part.id, "name": part.name}
            entry["arguments"] = part.arguments
        case ToolResultPart():
            entry = {"type": "tool_result", "call_id": part.call_id, "name": part.name}
            entry["content"] = part.content
        case UnknownPart():
            return part.value
    return {**part.extra, **entry}


# -- reading


def decode_content(content: str | list[Any]) -> tuple[Part, ...]:
    """Return the parts of a `content`."""
    if isinstance(content, str):
        return plain_parts(content, "")
    return tuple(map(decode_part, content))


def content_fields(content: str | list[Any], reasoning: str = "") -> dict[str, Any]:
    """Return the fields of a turn with this `content` and with reasoning stored in a separate field."""
    if isinstance(content, str):
        return {"text": content, "reasoning": reasoning}
    return part_fields((*plain_parts("", reasoning), *decode_content(content)))


def decode_part(value: Any) -> Part:
    """Return the part that a JSON value represents."""
    if isinstance(value, str):
        return TextPart(value)
    if not isinstance(value, Mapping):
        return UnknownPart(value)
    kind = value.get("type", "text")
    if kind in _TEXT_KINDS and isinstance(value.get("text"), str):
        known = ("type", "text") if kind == "text" else ("text",)
        return TextPart(value["text"], _extra(value, known))
    read = _READERS.get(kind) if isinstance(kind, str) else None
    return (read(value) if read is not None else None) or UnknownPart(value)


def is_flat(value: Any) -> bool:
    """Return whether a JSON value is within the nesting limit for preserved values."""
    level: list[Any] = [value]
    for _ in range(NESTING_LIMIT):
        level = [
            inner
            for outer in level
            if isinstance(outer, Mapping | list)
            for inner in (outer.values() if isinstance(outer, Mapping) else outer)
        ]
        if not level:
            return True
    return False


def content_text(content: Any) -> str:
    """Return a message's content as text, files included."""
    if isinstance(content, str):
        return content
    return told_text(decode_content(content)) if isinstance(content, list) else ""


def _texts(value: Mapping[str, Any], needed: Iterable[str], optional: Iterable[str] = ()) -> bool:
    return all(isinstance(value.get(key), str) for key in needed) and all(
        isinstance(value.get(key, ""), str) for key in optional
    )


def _extra(value: Mapping[str, Any], known: Iterable[str]) -> dict[str, Any]:
    return {str(key): inner for key, inner in value.items() if key not in known}


def _reasoning(value: Mapping[str, Any]) -> Part | None:
    if not _texts(value, ["text"]):
        return None
    return ReasoningPart(value["text"], _extra(value, ["type", "text"]))


def _image(value: Mapping[str, Any]) -> Part | None:
    needed, optional = ("sha256", "media_type"), ("name", "alt")
    if not _texts(value, needed, optional):
        return None
    extra = _extra(value, ["type", *needed, *optional])
    name, alt = value.get("name", ""), value.get("alt", "")
    return ImagePart(value["media_type"], value["sha256"], name, alt, extra)


def _file(value: Mapping[str, Any]) -> Part | None:
    if not _texts(value, ["name", "text"]):
        return None
    return FilePart(value["name"], value["text"], _extra(value, ["type", "name", "text"]))


def _tool_call(value: Mapping[str, Any]) -> Part | None:
    if not (_texts(value, ["id", "name"]) and "arguments" in value):
        return None
    extra = _extra(value, ["type", "id", "name", "arguments"])
    return ToolCallPart(value["id"], value["name"], value["arguments"], extra)


def _tool_result(value: Mapping[str, Any]) -> Part | None:
    if not _texts(value, ["call_id", "name", "content"]):
        return None
    extra = _extra(value, ["type", "call_id", "name", "content"])
    return ToolResultPart(value["call_id"], value["name"], value["content"], extra)


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Part | None]]] = {
    "reasoning": _reasoning,
    "image": _image,
    "file": _file,
    "tool_call": _tool_call,
    "tool_result": _tool_result,
}
