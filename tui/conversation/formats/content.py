"""What a message of another tool says, in whatever it is wrapped: strings, parts, lists in lists, items with an output.

All text of a message is collected, reasoning apart, with the images, files and steps of tools in it; what can't be kept is noted
by its kind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from itertools import groupby
from typing import Any, Final

from tui.conversation.formats.others import (
    ATTACHMENT,
    CALL,
    IMAGE,
    RESULT,
    attached,
    without_repeats,
)
from tui.conversation.formats.problems import Problems
from tui.conversation.formats.values import mapping_of, text_of
from tui.conversation.messages import REASONING_KEYS
from tui.conversation.parts import Part, TextPart, others
from tui.dataclass import dataclass

WRAPPERS: Final = (
    "content",
    "text",
    "value",
    "parts",
    "contents",
    "output",
    "items",
    "message",
    "mes",
    "body",
    "refusal",
    "transcript",
    "output_text",
    "contentChunks",
    "contentParts",
    "content_list",
    "blocks",
    "fragments",
    "part",
    "say",
)
"""The fields in which tools keep what is said, or what it is wrapped in."""
THOUGHT_KEYS: Final = (
    *REASONING_KEYS,
    "reasoningContent",
    "reasoning_details",
    "thoughts",
    "thought",
    "thinking_trace",
    "aText",
    "think",
    "reasoning_text",
    "reasoningText",
)
_THOUGHT_WRAPPERS: Final = (*WRAPPERS, *THOUGHT_KEYS, "summary", "subject", "description")
THOUGHT_KINDS: Final = ("thinking", "think", "reasoning", "thought", "thoughts", "reasoning_text")
TEXT_KINDS: Final = (
    "",
    "text",
    "input_text",
    "output_text",
    "summary_text",
    "message",
    "refusal",
    "code",
    "audio_transcription",
    "multimodal_text",
    "contentblock",
    "root",
    "user",
    "assistant",
    "system",
    "user_message",
    "assistant_message",
    "user-prompt",
)
_KIND_KEYS: Final = ("type", "content_type", "part_kind", "block_type", "pt")
_ABOUT: Final = frozenset(
    [
        *_KIND_KEYS,
        "id",
        "role",
        "index",
        "name",
        "status",
        "state",
        "annotations",
        "citations",
        "metadata",
        "meta",
        "language",
        "timestamp",
        "signature",
        "cache_control",
    ]
)
"""Fields of a part that say nothing themselves."""
_GOING_ON: Final = ".,;:!?)"
_FEW: Final = 64
_MOST_COMPARED: Final = 1 << 20
"""Characters that are looked through for the texts of one field."""
EMPTY: Final[tuple[Any, ...]] = (None, "", [], {}, "[]", False)


@dataclass(slots=True)
class Said:
    """What a message says.

    Attributes:
        pieces: the parts of its text, and what stands among them, in their order.
        thoughts: the parts of its reasoning.
    """

    pieces: list[str | Part] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)

    @property
    def texts(self) -> list[str]:
        """The parts of its text."""
        return [piece for piece in self.pieces if isinstance(piece, str)]

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts of a turn that says this, those of its text included; none where there is nothing but text."""
        parts: list[Part] = []
        for is_text, pieces in groupby(self.pieces, lambda piece: isinstance(piece, str)):
            run = [*pieces]
            if is_text:
                parts.append(TextPart(Said(run).text))
            else:
                parts += [piece for piece in run if not isinstance(piece, str)]
        return tuple(parts) if others(parts) else ()

    @property
    def text(self) -> str:
        """The text as one: parts that a sentence goes through are joined as they are, others stand on lines of their own."""
        return "".join(_joints(self.texts))

    @property
    def reasoning(self) -> str:
        """The reasoning as one."""
        return "\n\n".join(part for part in map(str.strip, self.thoughts) if part)


def _joints(texts: Sequence[str]) -> Iterator[str]:
    last = ""
    for text in texts:
        goes_on = not last or last[-1].isspace() or text[0].isspace() or text[0] in _GOING_ON
        yield text if goes_on else f"\n{text}"
        last = text


def said(value: Any, problems: Problems) -> Said:
    """Return what a value says that stands for the content of a message, and note what in it is no text."""
    result = Said()
    _collect(value, result, problems, is_thought=False)
    return result


def thoughts_of(part: Mapping[str, Any], problems: Problems) -> Said:
    """Return what a part says that holds what was thought before the answer."""
    result = Said()
    _collect_part(part, result, problems, is_thought=True)
    return result


def _collect(value: Any, result: Said, problems: Problems, *, is_thought: bool) -> None:
    if isinstance(value, str):
        if value:
            if is_thought:
                result.thoughts.append(value)
            else:
                result.pieces.append(value)
    elif isinstance(value, list):
        for part in value:
            _collect(part, result, problems, is_thought=is_thought)
    elif isinstance(value, Mapping):
        _collect_part(value, result, problems, is_thought=is_thought)
    elif value is not None and not isinstance(value, bool):
        problems.note("parts that can't be read")


def _collect_part(
    part: Mapping[str, Any], result: Said, problems: Problems, *, is_thought: bool
) -> None:
    kind = kind_of(part)
    other = other_part(part, kind, problems)
    if other is not None:
        result.pieces += other
        # A transcript may be stored with the audio.
        _collect(text_of(part.get("transcript")), result, problems, is_thought=is_thought)
        return
    is_thought = is_thought or is_reasoning(part, kind)
    thoughts_before = len(result.thoughts)
    before = len(result.pieces) + thoughts_before
    noted_before = problems.count
    said_before: list[str] = []
    for key in _THOUGHT_WRAPPERS if is_thought else WRAPPERS:
        if part.get(key) is None:
            continue
        inner = Said()
        _collect(part[key], inner, problems, is_thought=is_thought)
        # Don't duplicate text: many tools store the text in addition to its parts.
        texts = _not_in(said_before, inner.texts)
        thoughts = _not_in(said_before, inner.thoughts)
        said_before += (*texts, *thoughts)
        result.pieces += _new(inner.pieces, texts, result.pieces)
        result.thoughts += thoughts
    for key in () if is_thought else THOUGHT_KEYS:
        inner = Said()
        _collect(part.get(key), inner, problems, is_thought=True)
        # A thought that the answer repeats is one nevertheless.
        result.thoughts += _not_in(result.thoughts[thoughts_before:], inner.thoughts)
    if len(result.pieces) + len(result.thoughts) > before:
        return
    if part.get("encrypted_content") not in EMPTY:
        problems.note("blocks of encrypted or hidden reasoning")
    elif not kind:
        is_unread = problems.count == noted_before and _holds_more(part)
        problems.note("parts that can't be read", 1 if is_unread else 0)
    elif kind not in (*TEXT_KINDS, *THOUGHT_KINDS):
        problems.note(f"parts of type {kind[:40]!r}")


def _holds_more(part: Mapping[str, Any]) -> bool:
    """Whether a part has fields in which something may be said that is not looked for there."""
    known = (*WRAPPERS, *THOUGHT_KEYS, *_ABOUT)
    return any(
        isinstance(value, str | list | Mapping) and value not in EMPTY and key not in known
        for key, value in part.items()
    )


def _new(
    pieces: Sequence[str | Part], texts: Sequence[str], known: Sequence[str | Part]
) -> Iterator[str | Part]:
    """Yield the pieces that are among the texts, or are parts that are not known."""
    left = Counter(texts)
    for piece in pieces:
        if not isinstance(piece, str):
            yield from without_repeats(known, [piece])
        elif left[piece] > 0:
            left[piece] -= 1
            yield piece


def _not_in(said_before: list[str], texts: list[str]) -> list[str]:
    """Return the texts that other fields don't have; where that takes long, each is only compared as a whole."""
    if not said_before:
        return texts
    size = sum(map(len, said_before))
    if len(texts) <= _FEW and len(texts) * size <= _MOST_COMPARED:
        whole = "\n".join(said_before)
        return [text for text in texts if text not in whole]
    known = set(said_before)
    return [text for text in texts if text not in known]


def kind_of(part: Mapping[str, Any]) -> str:
    """Return what a part or an item calls itself, in lower case."""
    return (
        next((kind for key in _KIND_KEYS if (kind := text_of(part.get(key)))), "").strip().lower()
    )


def is_reasoning(part: Mapping[str, Any], kind: str) -> bool:
    """Whether a part holds what was thought before the answer."""
    return (
        kind in THOUGHT_KINDS
        or part.get("thought") is True
        or part.get("isThought") is True
        or mapping_of(part.get("style")).get("type") == "thinking"
        or part.get("phase") == "think"
    )


def other_part(part: Mapping[str, Any], kind: str, problems: Problems) -> list[Part] | None:
    """Return what a part or an item is that is no text but an image, a file or a step of a tool; None for text.

    What can't be kept is noted, and the list is empty then.
    """
    what = _name_of(part, kind)
    return attached(part, what, problems) if what else None


def _name_of(part: Mapping[str, Any], kind: str) -> str:
    if kind in TEXT_KINDS:
        kind = next(
            (key.lower() for key in PART_KEYS if key in part and not text_of(part.get("text"))), ""
        )
    elif kind in THOUGHT_KINDS or is_reasoning(part, kind):
        return ""
    return called(kind)


def called(kind: str) -> str:
    """Return what a part or an item of a type is called that is no text; empty for any other type."""
    return next((what for word, what in _KINDS if word in kind), "")


_KINDS: Final = (
    ("encrypted", "blocks of encrypted or hidden reasoning"),
    ("redacted_thinking", "blocks of encrypted or hidden reasoning"),
    ("call_output", RESULT),
    ("result", RESULT),
    ("tool_response", RESULT),
    ("tool-return", RESULT),
    ("functionresponse", RESULT),
    ("tool", CALL),
    ("function", CALL),
    ("executablecode", CALL),
    ("_call", CALL),
    ("code_interpreter", "code blocks run by tools"),
    ("mcp_", CALL),
    ("image", IMAGE),
    ("inline", ATTACHMENT),
    ("audio", ATTACHMENT),
    ("video", ATTACHMENT),
    ("file", ATTACHMENT),
    ("document", ATTACHMENT),
    ("attachment", ATTACHMENT),
    ("media", ATTACHMENT),
    ("compaction", "shortened histories"),
    ("item_reference", "references to other chats"),
)
"""Words in the types of parts and items, and what one is called that has them. The first that fits counts."""
PART_KEYS: Final = (
    "image_url",
    "image",
    "inlineData",
    "inline_data",
    "inlineFile",
    "fileData",
    "file_data",
    "driveImage",
    "driveDocument",
    "driveVideo",
    "driveAudio",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "input_audio",
    "tool_call",
    "tool_calls",
    "tool_call_result",
    "toolCall",
    "toolResult",
    "toolUse",
)
"""Fields that tell what a part is which has no type."""
