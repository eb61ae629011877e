"""text-generation-webui history: rows of a user's text and a reply, with the versions of a reply in the metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tui.conversation.conversation import Conversation
from tui.conversation.formats.base import (
    Format,
    Node,
    Problems,
    each,
    grow,
    mapping_of,
    some,
    text_of,
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


def _read(document: Any, problems: Problems) -> list[Conversation]:
    chats = []
    for entry in each(document):
        if isinstance(entry, Mapping) and isinstance(_rows(entry), list):
            chats.append(_chat(entry, problems))
        else:
            problems.note("an entry that is no chat")
    return chats


def _chat(entry: Mapping[str, Any], problems: Problems) -> Conversation:
    metadata = mapping_of(entry.get("metadata"))
    nodes: list[Node] = []
    at: str | None = None
    for index, row in enumerate(_rows(entry)):
        if not _is_row(row):
            problems.note("a row that can't be read")
            continue
        for role, said in ((USER, row[0]), (ASSISTANT, row[1])):
            if not said or (role == USER and said == _GREETING):
                continue
            versions, shown = _versions(metadata.get(f"{role}_{index}"), said)
            added = [
                Node(f"{role}_{index}_{number}", at, role, text)
                for number, text in enumerate(versions)
            ]
            nodes += added
            at = added[shown].id
    return grow(nodes, problems, current=at)


def _versions(metadata: Any, said: str) -> tuple[list[str], int]:
    """Return the texts of a turn, the oldest first, and the place of the one that the rows hold."""
    listed = mapping_of(metadata).get("versions")
    versions = [
        text
        for version in (listed if isinstance(listed, list) else [])
        if (text := text_of(mapping_of(version).get("content")))
    ]
    chosen = mapping_of(metadata).get("current_version_index")
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
