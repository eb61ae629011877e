"""Claude export, `conversations.json`: a list of chats with their messages, each made of blocks of text, thoughts and tools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from tui.conversation.conversation import Conversation
from tui.conversation.formats.base import Format, Node, chats_in, grow
from tui.conversation.formats.nodes import node_of, nodes_of, second_wording, time_of
from tui.conversation.formats.problems import Problems
from tui.conversation.formats.values import key_of, list_of, seconds, some, text_of

_PLACEHOLDER: Final = "This block is not supported on your current device yet."
"""What `text` says where a block of a tool is."""


def _is_chat(entry: Mapping[str, Any]) -> bool:
    return isinstance(entry.get("chat_messages"), list)


def _read(document: Any, problems: Problems) -> list[Conversation]:
    return chats_in(document, problems, _is_chat, _chat)


def _chat(entry: Mapping[str, Any], problems: Problems) -> Conversation:
    model = text_of(entry.get("model"))
    return grow(
        nodes_of(entry["chat_messages"], problems, _node),
        problems,
        current=key_of(entry.get("current_leaf_message_uuid")),
        title=text_of(entry.get("name")),
        created_at=time_of(entry),
        updated_at=seconds(entry.get("updated_at")),
        settings={"model_id": model} if model else None,
    )


def _node(message: Mapping[str, Any], problems: Problems) -> Node:
    whole = text_of(message.get("text"))
    node = node_of({key: value for key, value in message.items() if key != "text"}, problems)
    if not node.text.strip():
        return replace(node, text=whole, hidden=node.hidden and not whole)
    if list_of(message.get("content")):
        # The whole holds the blocks in fences of its own where they are no text.
        plain = whole.replace(_PLACEHOLDER, "").replace("```", "")
        second_wording(plain, node.text.replace("```", ""), problems)
    return node


CLAUDE: Final = Format(
    "claude",
    "Claude conversations.json",
    (".json",),
    lambda document: some(document, _is_chat),
    _read,
)
