"""Import and export of other tools' chat files: one module per format behind one registry. No disk access: text in, text out."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from tui.conversation.conversation import Conversation
from tui.conversation.entries import ChatFormatError
from tui.conversation.formats import cherry_studio
from tui.conversation.formats.answers import as_chats
from tui.conversation.formats.base import Format
from tui.conversation.formats.chatgpt import CHATGPT
from tui.conversation.formats.claude import CLAUDE
from tui.conversation.formats.gemini import GEMINI
from tui.conversation.formats.identity import content_id
from tui.conversation.formats.inside import found_inside
from tui.conversation.formats.jan import JAN, is_thread, joined
from tui.conversation.formats.kobold import KOBOLD
from tui.conversation.formats.llama_cpp import LLAMA_CPP
from tui.conversation.formats.lm_studio import LM_STUDIO
from tui.conversation.formats.native import NATIVE, TRANSFORMERS
from tui.conversation.formats.open_webui import OPEN_WEBUI
from tui.conversation.formats.openai import OPENAI, OPENAI_LINES
from tui.conversation.formats.pairs import PAIRS
from tui.conversation.formats.problems import Problems
from tui.conversation.formats.prose import MARKDOWN, PLAIN
from tui.conversation.formats.reading import parsed
from tui.conversation.formats.sharegpt import SHAREGPT
from tui.conversation.formats.silly_tavern import SILLY_TAVERN
from tui.conversation.formats.text_generation_webui import TEXT_GENERATION_WEBUI
from tui.dataclass import dataclass

__all__ = [
    "FORMATS",
    "ChatFormatError",
    "Format",
    "Imported",
    "NoChatError",
    "export_text",
    "import_text",
    "selection_of",
]

FORMATS: Final[Mapping[str, Format]] = MappingProxyType(
    {
        known.name: known
        for known in (
            # In the order in which they are tried on a file: from the most specific format to the most general.
            NATIVE,
            TRANSFORMERS,
            LLAMA_CPP,
            CHATGPT,
            CLAUDE,
            OPEN_WEBUI,
            LM_STUDIO,
            SILLY_TAVERN,
            GEMINI,
            JAN,
            KOBOLD,
            TEXT_GENERATION_WEBUI,
            SHAREGPT,
            OPENAI,
            OPENAI_LINES,
            PAIRS,
            MARKDOWN,
            PLAIN,
        )
    }
)


@dataclass(frozen=True, slots=True)
class Imported:
    """The contents of an imported file.

    Attributes:
        conversations: at least one, each with at least one turn or a system prompt.
        format: the detected format of the file.
        report: what could not be imported.
        origins: the ids that the chats have in the file, in a file of ours.
    """

    conversations: tuple[Conversation, ...]
    format: Format
    report: Problems
    origins: tuple[str, ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """A sentence for each kind of part that could not be imported."""
        return self.report.sentences()


class NoChatError(ChatFormatError):
    """A file is complete but contains something other than chats."""


def import_text(data: bytes, thread: bytes | None = None) -> Imported:
    """Read the chats of a file in any supported format; the format is detected from the content.

    The id of each chat is made of what was said in it, so that it is the same whenever and from whatever file it is read.

    Args:
        thread: the `thread.json` beside a `messages.jsonl` of Jan.

    Raises:
        ChatFormatError: it contains no chat.
    """
    problems = Problems()
    try:
        document = parsed(data, problems)
        if thread is not None:
            document = joined(parsed(thread, problems), document)
        document = cherry_studio.joined(as_chats(document), problems)
        known, chats = _chats(document, problems)
    except RecursionError as error:
        raise ChatFormatError("It is nested too deeply.") from error
    found = [chat for chat in chats if chat.turns or chat.system_prompt]
    if not found:
        first = (
            f"Its format seems to be “{known.label}”, but it contains no messages",
            *problems.sentences()[:5],
        )
        raise ChatFormatError(" ".join(f"{one}." for one in first))
    problems.note("chats without messages", len(chats) - len(found))
    by_id = {content_id(chat): chat for chat in found}
    problems.note("duplicate chats", len(found) - len(by_id))
    return Imported(
        tuple(replace(chat, id=chat_id) for chat_id, chat in by_id.items()),
        known,
        problems,
        tuple(chat.id for chat in by_id.values()),
    )


def _known(document: Any) -> Format | None:
    if not isinstance(document, Mapping | list):
        return None
    return next((one for one in FORMATS.values() if one.matches(document)), None)


def _chats(document: Any, problems: Problems) -> tuple[Format, list[Conversation]]:
    """Return the chats of a document, or of what is inside it, and the format of the first."""
    known = _known(document)
    if known is not None and known.read is not None:
        return known, known.read(document, problems)
    if is_thread(document):
        raise NoChatError("It only describes a Jan thread; the messages are in messages.jsonl.")
    first: Format | None = None
    chats: list[Conversation] = []
    for found, value in found_inside(document, _known):
        if found is None or found.read is None:
            problems.note("entries that aren't chats")
            continue
        first = first or found
        chats += found.read(value, problems)
    if first is None:
        raise NoChatError("It doesn't contain a chat in a supported format.")
    return first, chats


def export_text(
    conversations: Sequence[Conversation],
    format: Format,  # noqa: A002 - what it is called everywhere
    selection: Collection[str] | None = None,
) -> str:
    """Return the text of a file with these chats.

    Args:
        selection: ids of turns on the active paths; only these are written. None for everything.

    Raises:
        ChatFormatError: the format is import-only, or there is nothing to export.
    """
    if format.write is None:
        raise ChatFormatError(f"{format.label} can be imported but not exported.")
    chats = list(conversations)
    if selection is not None:
        chats = [part for chat in chats if (part := selection_of(chat, selection)).turns]
    if not chats:
        raise ChatFormatError("There is nothing to export.")
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
