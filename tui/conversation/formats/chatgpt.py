"""ChatGPT `conversations.json`: a list of chats, each a mapping of nodes that form a tree, hidden ones among them.

DeepSeek's export is made after it; there a message has fragments instead of a content.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tui.conversation.conversation import Conversation
from tui.conversation.formats.base import Format, Node, chats_in, grow
from tui.conversation.formats.content import Said, said
from tui.conversation.formats.nodes import time_of
from tui.conversation.formats.others import ATTACHMENT, CALL, RESULT, attached
from tui.conversation.formats.problems import Problems
from tui.conversation.formats.values import (
    TOOL,
    key_of,
    keys_of,
    list_of,
    mapping_of,
    role_of,
    seconds,
    some,
    text_of,
)
from tui.conversation.parts import ImagePart, Part, ToolCallPart, ToolResultPart, others
from tui.conversation.turn import ASSISTANT, USER

_HIDDEN_KINDS: Final = {
    "user_editable_context": "custom instructions",
    "model_editable_context": "memories from other chats",
    "reasoning_recap": "notes on how long the model reasoned",
}
"""Kinds of content that are no turns, and what they are called where they say something."""
_CONTEXT_KEYS: Final = ("user_profile", "user_instructions", "model_set_context")

_PEOPLE: Final = ("", "all", "user", "assistant")
"""Whom a message may be addressed to other than a tool."""


def _is_chat(entry: Mapping[str, Any]) -> bool:
    return isinstance(entry.get("mapping"), Mapping)


def _read(document: Any, problems: Problems) -> list[Conversation]:
    return chats_in(document, problems, _is_chat, _chat)


def _chat(entry: Mapping[str, Any], problems: Problems) -> Conversation:
    nodes = []
    for key, node in entry["mapping"].items():
        if isinstance(node, Mapping):
            nodes.append(_node(key, node, problems))
        else:
            problems.note("messages that can't be read")
    model = text_of(entry.get("default_model_slug"))
    return grow(
        nodes,
        problems,
        current=key_of(entry.get("current_node")),
        title=text_of(entry.get("title")),
        created_at=time_of(entry),
        updated_at=seconds(entry.get("update_time", entry.get("updated_at"))),
        settings={"model_id": model} if model else None,
    )


def _node(key: str, node: Mapping[str, Any], problems: Problems) -> Node:
    message = mapping_of(node.get("message"))
    metadata = mapping_of(message.get("metadata"))
    content = mapping_of(message.get("content"))
    kind = text_of(content.get("content_type"))
    role = role_of(mapping_of(message.get("author")).get("role"))
    words = _said(content, problems)
    text, reasoning = words.text, words.reasoning
    for fragment in list_of(message.get("fragments")):
        role, text, reasoning = _with_fragment(fragment, (role, text, reasoning), problems)
    parts = words.parts
    for file in list_of(metadata.get("attachments")):
        # An image of the message stands among them, too.
        if not _is_among(text_of(mapping_of(file).get("id")), parts):
            parts += tuple(attached(file, ATTACHMENT, problems))
    is_structure = not message or (role == "system" and not text)
    step = _step(role, message)
    is_kept_away = (
        metadata.get("is_visually_hidden_from_conversation") is True
        or message.get("weight") in (0, 0.0)
        or kind in _HIDDEN_KINDS
    )
    if step and not is_kept_away and (made := _step_part(step, message, text)):
        text, parts = "", (made, *others(parts))
    return Node(
        key,
        key_of(node.get("parent")),
        role,
        text,
        reasoning,
        created_at=time_of(message),
        model=text_of(metadata.get("model_slug") or message.get("model")),
        children=keys_of(node.get("children")),
        # The next reply takes the reasoning and the step of a tool over.
        hidden=is_structure or is_kept_away or bool(step) or bool(reasoning and not text),
        passed_over=_HIDDEN_KINDS.get(kind) or step or "hidden messages",
        parts=() if is_kept_away else parts,
    )


def _step(role: str, message: Mapping[str, Any]) -> str:
    """Return what a message is called that a tool is asked with, or answers with; empty for one between the user and the model."""
    if role == TOOL:
        return RESULT
    recipient = text_of(message.get("recipient")).strip().lower()
    return CALL if role == ASSISTANT and recipient not in _PEOPLE else ""


def _is_among(file_id: str, parts: tuple[Part, ...]) -> bool:
    links = [part.extra.get("url", "") for part in parts if isinstance(part, ImagePart)]
    return bool(file_id) and any(file_id in link for link in links)


def _step_part(step: str, message: Mapping[str, Any], text: str) -> Part | None:
    """Return what a tool was asked, or answered, as a part; None where nothing is said."""
    if not text.strip():
        return None
    if step == RESULT:
        return ToolResultPart("", text_of(mapping_of(message.get("author")).get("name")), text)
    return ToolCallPart("", text_of(message.get("recipient")).strip(), text)


def _said(content: Mapping[str, Any], problems: Problems) -> Said:
    """Return what a message says, whatever its kind of content."""
    kind = text_of(content.get("content_type"))
    if kind == "thoughts":
        thoughts = [mapping_of(thought) for thought in list_of(content.get("thoughts"))]
        parts = [
            said(thought.get(key), problems).text
            for thought in thoughts
            for key in ("summary", "content")
        ]
        return Said([], [part for part in parts if part])
    if kind in _HIDDEN_KINDS:
        parts = [text_of(content.get(key)) for key in (*_CONTEXT_KEYS, "content", "text")]
        return Said(["\n".join(filter(None, parts))])
    if kind == "code":
        code = said(content.get("text"), problems).text
        language = text_of(content.get("language")).replace("unknown", "")
        return Said([f"```{language}\n{code}\n```"] if code else [])
    # Its type is another than a part has, but what it holds is found as in a part.
    plain = {key: value for key, value in content.items() if key not in ("content_type", "type")}
    found = said(plain, problems)
    if not found.pieces:
        found = Said([*filter(None, [text_of(content.get("result"))])], found.thoughts)
    return found


def _with_fragment(
    fragment: Any, message: tuple[str, str, str], problems: Problems
) -> tuple[str, str, str]:
    """Return the role, text and reasoning of a message with one more of its fragments."""
    _, text, reasoning = message
    kind = text_of(mapping_of(fragment).get("type")).upper()
    words = said(mapping_of(fragment).get("content"), problems).text
    if kind == "THINK":
        return ASSISTANT, text, f"{reasoning}\n\n{words}".strip()
    if kind in ("REQUEST", "RESPONSE"):
        return USER if kind == "REQUEST" else ASSISTANT, f"{text}\n\n{words}".strip(), reasoning
    problems.note("steps of replies")
    return message


CHATGPT: Final = Format(
    "chatgpt",
    "ChatGPT conversations.json",
    (".json",),
    lambda document: some(document, _is_chat),
    _read,
)
