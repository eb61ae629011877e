"""llama.cpp web UI export: `{"conv", "messages"}` or a list of them, a tree below a message that only stands for the root."""

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
    key_of,
    mapping_of,
    objects,
    role_of,
    seconds,
    some,
    text_content,
    text_of,
)

_THOUGHTS: Final = ("reasoningContent", "thinking", "reasoning_content")


def _is_chat(entry: Mapping[str, Any]) -> bool:
    return isinstance(entry.get("conv"), Mapping) and isinstance(entry.get("messages"), list)


def _read(document: Any, problems: Problems) -> list[Conversation]:
    chats = []
    for entry in each(document):
        if isinstance(entry, Mapping) and _is_chat(entry):
            chats.append(_chat(entry, problems))
        else:
            problems.note("an entry that is no chat")
    return chats


def _chat(entry: Mapping[str, Any], problems: Problems) -> Conversation:
    conv = mapping_of(entry.get("conv"))
    messages = objects(entry["messages"], problems, "a message that can't be read")
    present = {key_of(message.get("id")) for message in messages}
    nodes = []
    for message in messages:
        key = key_of(message.get("id"))
        if key is None:
            problems.note("a message that can't be read")
        else:
            nodes.append(_node(key, message, present, problems))
    return grow(
        nodes,
        problems,
        current=key_of(conv.get("currNode")),
        title=text_of(conv.get("name")),
        updated_at=seconds(conv.get("lastModified")),
    )


def _node(
    key: str, message: Mapping[str, Any], present: set[str | None], problems: Problems
) -> Node:
    extra = message.get("extra")
    problems.note("an attachment", len(extra) if isinstance(extra, list) else 0)
    calls = message.get("toolCalls")
    problems.note("a tool call", 1 if calls and calls != "[]" else 0)
    text = text_content(message.get("content"), problems)
    children = message.get("children")
    parent = key_of(message.get("parent"))
    if parent == "-1" and parent not in present:
        parent = None
    return Node(
        key,
        parent,
        role_of(message.get("role")),
        text,
        next((text_of(message[name]) for name in _THOUGHTS if message.get(name)), ""),
        created_at=seconds(message.get("timestamp")),
        model=text_of(message.get("model")),
        children=[str(child) for child in children] if isinstance(children, list) else (),
        hidden=message.get("type") == "root",
    )


LLAMA_CPP: Final = Format(
    "llama.cpp",
    "llama.cpp web UI export",
    (".json",),
    lambda document: some(document, _is_chat),
    _read,
)
