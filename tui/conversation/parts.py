"""What a turn is made of: text, reasoning, images, files, calls of tools and their results, in the order in which they came.

Parts are immutable plain values. How they stand in a file is `content`'s.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from functools import lru_cache
from itertools import takewhile
from typing import Any, Final

from tui.dataclass import dataclass
from tui.pattern import pattern

_FENCE: Final = pattern(r"^`{3,}", re.MULTILINE)
_SHOWN_ARGUMENTS: Final = 200
"""Characters of a call's arguments that its label has at most."""


@dataclass(frozen=True, slots=True)
class TextPart:
    """Text of a message."""

    text: str
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Keys of the file that this version does not know; written back as they were. All parts have it."""


@dataclass(frozen=True, slots=True)
class ReasoningPart:
    """Reasoning before the answer."""

    text: str
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImagePart:
    """An image, without its bytes.

    Attributes:
        media_type: such as `image/png`; empty for unknown.
        sha256: of its bytes, in hexadecimal digits; empty where only its name is known.
        name: of the file that it was.
        alt: what is in it, in words.
    """

    media_type: str = ""
    sha256: str = ""
    name: str = ""
    alt: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FilePart:
    """A text file that goes with a message; the model gets it as text."""

    name: str
    text: str
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolCallPart:
    """A tool call by the model.

    Attributes:
        arguments: a JSON value, or the text that the model wrote for one.
    """

    id: str
    name: str
    arguments: Any = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolResultPart:
    """The result of a tool call.

    Attributes:
        call_id: the `id` of the call that it answers.
        name: of the tool; empty for unknown.
    """

    call_id: str
    name: str
    content: str
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UnknownPart:
    """A part of a kind that this version does not know: its JSON as it was."""

    value: Any


Part = TextPart | ReasoningPart | ImagePart | FilePart | ToolCallPart | ToolResultPart | UnknownPart

_WORDS: Final = (TextPart, ReasoningPart)


# -- parts and their words


def plain_parts(text: str, reasoning: str) -> tuple[Part, ...]:
    """Return the parts of a turn of nothing but text and the reasoning before it."""
    if not reasoning:
        return (TextPart(text),) if text else ()
    return (ReasoningPart(reasoning), TextPart(text)) if text else (ReasoningPart(reasoning),)


def text_of(parts: Iterable[Part]) -> str:
    """Return the text of the parts, each part on separate lines."""
    return "\n".join(part.text for part in parts if isinstance(part, TextPart) and part.text)


def reasoning_of(parts: Iterable[Part]) -> str:
    """Return the reasoning of the parts, separated by part."""
    return "\n\n".join(part.text for part in parts if isinstance(part, ReasoningPart) and part.text)


def others(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Return the parts that are neither text nor reasoning."""
    return tuple([part for part in parts if not isinstance(part, _WORDS)])


def saying(parts: tuple[Part, ...], text: str, reasoning: str) -> tuple[Part, ...]:
    """Return parts that say this text and this reasoning instead, with all other parts kept where they are.

    Of several text parts, the last one grows when the text goes on from what they say; any other text takes the place of the
    first, and the others go. Where there is none, the text stands first, behind the reasoning. So it is with reasoning.
    """
    if not parts:
        return plain_parts(text, reasoning)
    if (before := text_of(parts)) != text:
        thoughts = takewhile(lambda part: isinstance(part, ReasoningPart), parts)
        parts = _put(parts, TextPart(text), before, len(tuple(thoughts)))
    if (before := reasoning_of(parts)) != reasoning:
        parts = _put(parts, ReasoningPart(reasoning), before, 0)
    return parts


def _put(
    parts: tuple[Part, ...], new: TextPart | ReasoningPart, before: str, at: int
) -> tuple[Part, ...]:
    """Return parts of which those of the kind of `new` say what it says; they said `before`, or there were none."""
    kind = type(new)
    words = {n: part for n, part in enumerate(parts) if isinstance(part, _WORDS)}
    own = {n: part for n, part in words.items() if type(part) is kind}
    if not own:
        return (*parts[:at], new, *parts[at:])
    first, last = min(own), max(own)
    end = own[last].text
    if first < last and end and new.text.startswith(before):
        grown = kind(end + new.text[len(before) :], own[last].extra)
        return (*parts[:last], grown, *parts[last + 1 :])
    kept = {first: kind(new.text, own[first].extra)} if new.text else {}
    return tuple(
        kept.get(place, part)
        for place, part in enumerate(parts)
        if place in kept or place not in own
    )


# -- what the model and people are told of them


def told_text(parts: Iterable[Part]) -> str:
    """Return what of parts goes to the model as text: what was said, and each file in a fence, in their order."""
    pieces: list[str] = []
    was_file = False
    for part in parts:
        is_file = isinstance(part, FilePart)
        if isinstance(part, FilePart):
            piece = fenced(part.name, part.text)
        else:
            piece = part.text if isinstance(part, TextPart) else ""
        if piece:
            if pieces:
                pieces.append("\n\n" if is_file or was_file else "\n")
            pieces.append(piece)
            was_file = is_file
    return "".join(pieces)


@lru_cache(maxsize=32)
def fenced(name: str, text: str) -> str:
    """Return a text file as the model gets it: its name, and the text in a fence that it can't close.

    It is kept, since it is counted at every pause of the typing.
    """
    return f"{name}:\n{code_block(text)}"


def code_block(text: str, language: str = "") -> str:
    """Return a text in a fence of Markdown that it can't close."""
    longest = max((len(fence) for fence in _FENCE.findall(text)), default=2)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def label_of(part: Part) -> str:
    """Return what stands for a part on one line, for example "image: cat.png". It is not sanitized."""
    match part:
        case TextPart() | ReasoningPart():
            return part.text
        case FilePart():
            lines = len(part.text.rstrip("\n").split("\n")) if part.text else 0
            return f"{part.name or 'file'} · {lines:,} line{'' if lines == 1 else 's'}"
        case ImagePart():
            what = part.name or part.alt or part.media_type
            return f"image: {what}" if what else "image"
        case ToolCallPart():
            return f"tool call: {part.name}({_brief(part.arguments)})"
        case ToolResultPart():
            what = " ".join(part.content[:_SHOWN_ARGUMENTS].split())
            return f"tool result: {part.name}: {what}" if part.name else f"tool result: {what}"
        case UnknownPart():
            kind = part.value.get("type") if isinstance(part.value, Mapping) else None
            return f"{kind if isinstance(kind, str) and kind else 'something'} (not shown here)"


def _brief(arguments: Any) -> str:
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)
    return " ".join(arguments[:_SHOWN_ARGUMENTS].split())
