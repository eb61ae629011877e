"""text-generation-webui history: rows of a user's text and a reply, with the versions of a reply in the metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tui.conversation.conversation import Conversation
from tui.conversation.formats import content
from tui.conversation.formats.base import Format, Node, chats_in, grow
from tui.conversation.formats.problems import Problems
from tui.conversation.formats.values import (
    list_of,
    mapping_of,
    some,
    text_of,
    unescaped,
)
from tui.conversation.turn import ASSISTANT, USER

_GREETING: Final = "<|BEGIN-VISIBLE-CHAT|>"
"""Stands for the user's text in a row whose reply is the character's greeting."""


def _rows(entry: Mapping[str, Any]) -> Any:
    """The rows as they were said; `visible` and `data_visible` are escaped for HTML."""
    return entry.get("internal", entry.get("data"))


def _is_chat(entry: Mapping[str, Any]) -> bool:
    rows = _rows(entry)
    if not isinstance(rows, list):
        return False
    return any(_is_row(row) for row in rows[:100]) or ("visible" in entry and not rows)


def _is_row(row: Any) -> bool:
    return isinstance(row, list) and len(row) >= 2 and all(isinstance(x, str) for x in row[:2])


def _said(entry: Mapping[str, Any], index: int, row: list[Any], problems: Problems) -> list[str]:
    """Return the user's text and the reply of a row; where one is missing, what was shown for it."""
    shown = list_of(entry.get("visible", entry.get("data_visible")))
    beside = list_of(shown[index]) if index < len(shown) else []
    texts = []
    for place in range(2):
        said = text_of(row[place]) if place < len(row) else ""
        seen = text_of(beside[place]) if place < len(beside) else ""
        texts.append(said or unescaped(seen))
        if place < len(row) and not isinstance(row[place], str | None):
            problems.note("parts that can't be read")
    problems.note("parts that can't be read", max(0, len(row) - 2))
    return texts


def _read(document: Any, problems: Problems) -> list[Conversation]:
    return chats_in(document, problems, lambda entry: isinstance(_rows(entry), list), _chat)


def _chat(entry: Mapping[str, Any], problems: Problems) -> Conversation:
    metadata = mapping_of(entry.get("metadata"))
    nodes: list[Node] = []
    at: str | None = None
    for index, row in enumerate(_rows(entry)):
        if not isinstance(row, list):
            problems.note("rows that can't be read")
            continue
        for role, said in zip((USER, ASSISTANT), _said(entry, index, row, problems), strict=True):
            about = mapping_of(metadata.get(f"{role}_{index}"))
            problems.note("attachments", len(list_of(about.get("attachments"))))
            if role == USER and said == _GREETING:
                continue
            versions, shown = _versions(about, said, problems)
            # A greeting has no question, and a question may wait for its reply.
            if not versions:
                continue
            added = [
                Node(f"{role}_{index}_{number}", at, role, text)
                for number, text in enumerate(versions)
            ]
            nodes += added
            at = added[shown].id
    rows = len(_rows(entry))
    for key, about in metadata.items():
        place = key.rpartition("_")[2]
        if not (place.isdecimal() and len(place) < 10 and int(place) < rows):
            problems.note(
                "alternative versions of messages",
                len(list_of(mapping_of(about).get("versions"))),
            )
    return grow(nodes, problems, current=at)


def _versions(metadata: Mapping[str, Any], said: str, problems: Problems) -> tuple[list[str], int]:
    """Return the texts of a turn, the oldest first, and the place of the one that the rows hold."""
    versions = [
        text
        for version in list_of(metadata.get("versions"))
        if (text := content.said(mapping_of(version).get("content"), problems).text)
    ]
    if not said:
        return versions, len(versions) - 1
    chosen = metadata.get("current_version_index")
    if isinstance(chosen, int) and 0 <= chosen < len(versions) and versions[chosen] == said:
        return versions, chosen
    if said in versions:
        return versions, versions.index(said)
    return [*versions, said], len(versions)


TEXT_GENERATION_WEBUI: Final = Format(
    "text-generation-webui",
    "text-generation-webui history",
    (".json",),
    lambda document: some(document, _is_chat),
    _read,
)
