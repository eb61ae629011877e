"""Chats in the files of other tools: one module per format behind one registry. No disk: text comes in, text goes out."""

from __future__ import annotations

import codecs
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from tui.conversation.codec import ChatFormatError
from tui.conversation.conversation import Conversation
from tui.conversation.formats.base import Format, Problems
from tui.conversation.formats.chatgpt import CHATGPT
from tui.conversation.formats.llama_cpp import LLAMA_CPP
from tui.conversation.formats.lm_studio import LM_STUDIO
from tui.conversation.formats.native import NATIVE, TRANSFORMERS
from tui.conversation.formats.open_webui import OPEN_WEBUI
from tui.conversation.formats.openai import OPENAI, OPENAI_LINES
from tui.conversation.formats.prose import MARKDOWN, PLAIN
from tui.conversation.formats.sharegpt import SHAREGPT
from tui.conversation.formats.text_generation_webui import TEXT_GENERATION_WEBUI

__all__ = [
    "FORMATS",
    "ChatFormatError",
    "Format",
    "Imported",
    "export_text",
    "import_text",
    "selection_of",
]

FORMATS: Final[Mapping[str, Format]] = MappingProxyType(
    {
        known.name: known
        for known in (
            # In the order in which they are tried on a file: from the most telling shape to the plainest.
            NATIVE,
            TRANSFORMERS,
            LLAMA_CPP,
            CHATGPT,
            OPEN_WEBUI,
            LM_STUDIO,
            TEXT_GENERATION_WEBUI,
            SHAREGPT,
            OPENAI,
            OPENAI_LINES,
            MARKDOWN,
            PLAIN,
        )
    }
)


@dataclass(frozen=True, slots=True)
class Imported:
    """What a file held.

    Attributes:
        conversations: at least one, each with at least one turn or a system prompt.
        format: the format that the file was taken for.
        problems: a sentence for each kind of part that could not be taken over.
    """

    conversations: tuple[Conversation, ...]
    format: Format
    problems: tuple[str, ...] = ()


def import_text(data: bytes) -> Imported:
    """Read the chats of a file in any format known, which is found out from what it holds.

    Raises:
        ChatFormatError: there is no chat in it; the message is a sentence for a person.
    """
    problems = Problems()
    try:
        document = _parsed(_text(data), problems)
        known = next((one for one in FORMATS.values() if one.matches(document)), None)
        if known is None or known.read is None:
            names = ", ".join(one.label for one in FORMATS.values() if one.read is not None)
            raise ChatFormatError(f"it holds no chat in a format known here ({names})")
        chats = known.read(document, problems)
    except RecursionError as error:
        raise ChatFormatError("it is nested too deeply") from error
    found = tuple(chat for chat in chats if chat.turns or chat.system_prompt)
    problems.note("a chat without messages", len(chats) - len(found))
    if not found:
        raise ChatFormatError(f"it looks like {known.label}, but there is no message in it")
    return Imported(found, known, problems.sentences())


def export_text(
    conversations: Sequence[Conversation],
    format: Format,  # noqa: A002 - what it is called everywhere
    selection: Collection[str] | None = None,
) -> str:
    """Return the text of a file with these chats.

    Args:
        selection: ids of turns on the active paths; only these are written. None for everything.

    Raises:
        ChatFormatError: the format can't be written, or nothing is there to write.
    """
    if format.write is None:
        raise ChatFormatError(f"{format.label} can be read but not written")
    chats = list(conversations)
    if selection is not None:
        chats = [part for chat in chats if (part := selection_of(chat, selection)).turns]
    if not chats:
        raise ChatFormatError("there is nothing to export")
    return format.write(chats)


def selection_of(chat: Conversation, selection: Collection[str]) -> Conversation:
    """Return a chat of one branch with those turns of the active path, and neither system prompt nor history."""
    turns = {}
    parent: str | None = None
    for turn in chat.path:
        if turn.id in selection:
            turns[turn.id] = replace(turn, parent=parent)
            parent = turn.id
    return Conversation(
        title=chat.title,
        created_at=chat.created_at,
        updated_at=chat.updated_at,
        turns=turns,
        settings=chat.settings,
    )


def _text(data: bytes) -> str:
    if not data.strip():
        raise ChatFormatError("it is empty")
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ChatFormatError("it is not a text file") from error


def _parsed(text: str, problems: Problems) -> Any:
    """Return the JSON value, or the list of those on the lines of a JSON Lines file."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        lines = _lines(text, problems)
        if lines is not None:
            return lines
        where = f"line {error.lineno}, column {error.colno}"
        raise ChatFormatError(f"it is not complete JSON ({error.msg}, {where})") from error
    except ValueError as error:
        raise ChatFormatError(f"its JSON can't be read ({error})") from error


def _lines(text: str, problems: Problems) -> list[Any] | None:
    """Return the values of a JSON Lines file; None when the first line is no JSON object or list."""
    values: list[Any] = []
    broken = 0
    # Not splitlines: a line separator of Unicode may stand inside a JSON string.
    for line in text.split("\n"):
        if not line.strip():
            continue
        try:
            values.append(json.loads(line))
        except ValueError:
            if not values:
                return None
            broken += 1
    if not values or not isinstance(values[0], dict | list):
        return None
    problems.note("a line that is not complete JSON", broken)
    return values
