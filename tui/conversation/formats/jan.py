"""Jan threads: `messages.jsonl`, a message a line, with the `thread.json` beside it where there is one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tui.conversation.conversation import Conversation
from tui.conversation.formats.base import Format, chain
from tui.conversation.formats.nodes import nodes_of, time_of
from tui.conversation.formats.problems import Problems
from tui.conversation.formats.values import each, list_of, mapping_of, seconds, some, text_of

MESSAGES_FILE: Final = "messages.jsonl"
THREAD_FILE: Final = "thread.json"


def joined(thread: Any, messages: Any) -> dict[str, Any]:
    """Return the two files of a thread as one document."""
    return {"object": "thread", "thread": thread, "messages": list(each(messages))}


def is_thread(document: Any) -> bool:
    """Whether a document is a `thread.json`, which has no messages itself."""
    return (
        isinstance(document, Mapping)
        and document.get("object") == "thread"
        and ("assistants" in document or "title" in document)
        and not document.get("messages")
    )


def _is_message(entry: Mapping[str, Any]) -> bool:
    return entry.get("object") == "thread.message" or (
        "thread_id" in entry and "role" in entry and "content" in entry
    )


def _is_chat(entry: Mapping[str, Any]) -> bool:
    return entry.get("object") == "thread" and isinstance(entry.get("messages"), list)


def _matches(document: Any) -> bool:
    return some(document, _is_message) or some(document, _is_chat)


def _read(document: Any, problems: Problems) -> list[Conversation]:
    if not some(document, _is_message):
        chats = []
        for entry in each(document):
            if isinstance(entry, Mapping) and _is_chat(entry):
                thread = mapping_of(entry.get("thread")) or entry
                chats.append(_chat(thread, list_of(entry["messages"]), problems))
            else:
                problems.note("entries that aren't chats")
        return chats
    threads: dict[str, list[Any]] = {}
    for entry in each(document):
        threads.setdefault(text_of(mapping_of(entry).get("thread_id")), []).append(entry)
    return [_chat({}, messages, problems) for messages in threads.values()]


def _chat(thread: Mapping[str, Any], messages: list[Any], problems: Problems) -> Conversation:
    assistants = list_of(thread.get("assistants"))
    assistant = mapping_of(assistants[0]) if assistants else {}
    model = text_of(mapping_of(assistant.get("model") or thread.get("model")).get("id"))
    return chain(
        nodes_of(messages, problems),
        problems,
        title=text_of(thread.get("title")),
        system_prompt=text_of(assistant.get("instructions")),
        created_at=seconds(thread.get("created")) or time_of(thread),
        updated_at=seconds(thread.get("updated")),
        settings={"model_id": model} if model else None,
    )


JAN: Final = Format("jan", "Jan thread", (".jsonl",), _matches, _read)
