"""Cherry Studio backup: chats, what their messages say and what they are called stand in three places, and are joined here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from tui.conversation.formats.problems import Problems
from tui.conversation.formats.values import list_of, mapping_of, text_of

_STATE: Final = "persist:cherry-studio"


def joined(document: Any, problems: Problems) -> Any:
    """Return the chats of a backup, each with its title, its system prompt and whole messages; any other document as it is."""
    saved = mapping_of(mapping_of(document).get("indexedDB"))
    topics = [topic for topic in list_of(saved.get("topics")) if isinstance(topic, Mapping)]
    if not topics:
        return document
    problems.note("entries that aren't chats", len(saved["topics"]) - len(topics))
    listed = [mapping_of(block) for block in list_of(saved.get("message_blocks"))]
    blocks = {text_of(block.get("id")): block for block in listed}
    about = _about(mapping_of(document.get("localStorage")))
    named: set[str] = set()
    chats = [
        {
            **about.get(text_of(topic.get("id")), {}),
            **topic,
            "messages": [
                _message(message, blocks, named) for message in list_of(topic.get("messages"))
            ],
        }
        for topic in topics
    ]
    problems.note(
        "parts of messages that are missing from the file", len(listed) - len(named & blocks.keys())
    )
    return chats


def _message(message: Any, blocks: Mapping[str, Any], named: set[str]) -> Any:
    """Return a message with its parts instead of their ids, which are added to those that are `named`."""
    if not isinstance(message, Mapping) or not list_of(message.get("blocks")):
        return message
    ids = [text_of(one) for one in message["blocks"]]
    named.update(ids)
    return {**message, "blocks": [blocks.get(one, {"type": "gone"}) for one in ids]}


def _about(stored: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return titles and system prompts by the ids of topics; they stand as JSON in JSON."""
    try:
        state = mapping_of(json.loads(text_of(stored.get(_STATE)) or "{}"))
        state = mapping_of(json.loads(text_of(state.get("assistants")) or "{}"))
    except (ValueError, RecursionError):
        return {}
    assistants = [mapping_of(assistant) for assistant in list_of(state.get("assistants"))]
    return {
        text_of(mapping_of(topic).get("id")): {
            "title": text_of(mapping_of(topic).get("name")),
            "system": text_of(assistant.get("prompt")),
        }
        for assistant in assistants
        for topic in list_of(assistant.get("topics"))
    }
