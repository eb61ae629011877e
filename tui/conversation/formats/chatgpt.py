"""ChatGPT `conversations.json`: a list of chats, each a mapping of nodes that form a tree, hidden ones among them."""

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
    role_of,
    seconds,
    some,
    text_content,
    text_of,
)

_HIDDEN_KINDS: Final = ("user_editable_context", "model_editable_context", "reasoning_recap")


def _is_chat(entry: Mapping[str, Any]) -> bool:
    return isinstance(entry.get("mapping"), Mapping)


def _read(document: Any, problems: Problems) -> list[Conversation]:
    chats = []
    for entry in each(document):
        if isinstance(entry, Mapping) and _is_chat(entry):
            chats.append(_chat(entry, problems))
        else:
            problems.note("an entry that is no chat")
    return chats


def _chat(entry: Mapping[str, Any], problems: Problems) -> Conversation:
    nodes = []
    for key, node in entry["mapping"].items():
        if isinstance(node, Mapping):
            nodes.append(_node(key, node, problems))
        else:
            problems.note("a message that can't be read")
    return grow(
        nodes,
        problems,
        current=key_of(entry.get("current_node")),
        title=text_of(entry.get("title")),
        created_at=seconds(entry.get("create_time")),
        updated_at=seconds(entry.get("update_time")),
    )


def _node(key: str, node: Mapping[str, Any], problems: Problems) -> Node:
    message = mapping_of(node.get("message"))
    metadata = mapping_of(message.get("metadata"))
    content = mapping_of(message.get("content"))
    text, reasoning = _said(content, problems)
    children = node.get("children")
    hidden = (
        not text
        or metadata.get("is_visually_hidden_from_conversation") is True
        or message.get("weight") in (0, 0.0)
        or content.get("content_type") in _HIDDEN_KINDS
    )
    return Node(
        key,
        key_of(node.get("parent")),
        role_of(mapping_of(message.get("author")).get("role")),
        text,
        reasoning,
        created_at=seconds(message.get("create_time")),
        model=text_of(metadata.get("model_slug")),
        children=[str(child) for child in children] if isinstance(children, list) else (),
        hidden=hidden,
    )


def _said(content: Mapping[str, Any], problems: Problems) -> tuple[str, str]:
    """Return the text and the reasoning of a message, whatever its kind of content."""
    kind = content.get("content_type")
    if kind == "thoughts":
        thoughts = content.get("thoughts")
        listed = [mapping_of(thought) for thought in thoughts] if isinstance(thoughts, list) else []
        parts = [text_of(thought.get(key)) for thought in listed for key in ("summary", "content")]
        return "", "\n\n".join(part for part in parts if part)
    if kind == "code":
        code = text_of(content.get("text"))
        language = text_of(content.get("language")).replace("unknown", "")
        return (f"```{language}\n{code}\n```" if code else ""), ""
    if isinstance(content.get("parts"), list):
        return text_content(content["parts"], problems), ""
    said = (text_of(content.get(key)) for key in ("text", "result"))
    return next((text for text in said if text), ""), ""


CHATGPT: Final = Format(
    "chatgpt",
    "ChatGPT conversations.json",
    (".json",),
    lambda document: some(document, _is_chat),
    _read,
)
