"""OpenAI messages: `{"messages": [...]}` or the bare list, and JSON Lines with one chat a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tui.conversation.conversation import Conversation
from tui.conversation.formats.base import (
    Format,
    Node,
    Problems,
    chain,
    objects,
    one_or_list,
    role_of,
    seconds,
    some,
    text_content,
    text_of,
    to_json,
)
from tui.conversation.formats.native import message_entries
from tui.conversation.messages import REASONING_KEYS


def _is_message(entry: Mapping[str, Any]) -> bool:
    return isinstance(entry.get("role"), str) and "content" in entry


def _is_chat(entry: Any) -> bool:
    return isinstance(entry, Mapping) and isinstance(entry.get("messages"), list)


def _matches(document: Any) -> bool:
    if isinstance(document, list) and any(isinstance(entry, list) for entry in document[:100]):
        return any(some(entry, _is_message) for entry in document[:100] if isinstance(entry, list))
    return some(document, _is_message) or some(document, _is_chat)


def _read(document: Any, problems: Problems) -> list[Conversation]:
    if isinstance(document, list) and some(document, _is_message):
        return [_chat({"messages": document}, problems)]
    chats = []
    for entry in document if isinstance(document, list) else [document]:
        if isinstance(entry, list):
            chats.append(_chat({"messages": entry}, problems))
        elif _is_chat(entry):
            chats.append(_chat(entry, problems))
        elif isinstance(entry, Mapping) and _is_message(entry):
            chats.append(_chat({"messages": [entry]}, problems))
        else:
            problems.note("an entry that is no chat")
    return chats


def _chat(entry: Mapping[str, Any], problems: Problems) -> Conversation:
    messages = objects(entry["messages"], problems, "a message that can't be read")
    model = text_of(entry.get("model"))
    return chain(
        [node for message in messages if (node := _node(message, problems)) is not None],
        problems,
        title=text_of(entry.get("title")),
        created_at=seconds(entry.get("created_at")),
        settings={"model_id": model} if model else None,
    )


def _node(message: Mapping[str, Any], problems: Problems) -> Node | None:
    calls = message.get("tool_calls") or message.get("function_call")
    problems.note("a tool call", 1 if calls else 0)
    text = text_content(message.get("content"), problems)
    reasoning = next((text_of(message[key]) for key in REASONING_KEYS if message.get(key)), "")
    if not (text or reasoning) and calls:
        return None
    return Node("", None, role_of(message.get("role")), text, reasoning)


def _document(chat: Conversation) -> dict[str, Any]:
    return {"messages": message_entries(chat)}


def _write(chats: Sequence[Conversation]) -> str:
    return to_json(one_or_list([_document(chat) for chat in chats]))


def _write_lines(chats: Sequence[Conversation]) -> str:
    return "".join(to_json(_document(chat), indent=None) + "\n" for chat in chats)


OPENAI: Final = Format("openai", "OpenAI messages", (".json",), _matches, _read, _write)
OPENAI_LINES: Final = Format(
    "openai-jsonl",
    "OpenAI messages, one chat a line",
    (".jsonl",),
    lambda _: False,
    _read,
    _write_lines,
)
