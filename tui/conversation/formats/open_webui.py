"""Open WebUI export: a list of chats, each a tree of messages with the id of the current one.

A newer one keeps a reply in `output`, as the items of the Responses API, and its text in `content` or nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from tui.conversation.conversation import Conversation
from tui.conversation.formats.base import Format, Node, chats_in, grow
from tui.conversation.formats.citations import without_marks
from tui.conversation.formats.markup import parted
from tui.conversation.formats.nodes import node_of, nodes_of, second_wording, sources_of, steps_of
from tui.conversation.formats.others import without_repeats
from tui.conversation.formats.problems import Problems
from tui.conversation.formats.values import (
    key_of,
    mapping_of,
    seconds,
    some,
    text_of,
)
from tui.conversation.parts import others


def _inner(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """The chat itself; newer exports wrap it with what the server knows about it."""
    wrapped = entry.get("chat")
    return wrapped if isinstance(wrapped, Mapping) else entry


def _is_chat(entry: Mapping[str, Any]) -> bool:
    inner = _inner(entry)
    history = inner.get("history")
    if isinstance(history, Mapping):
        return isinstance(history.get("messages"), Mapping)
    return isinstance(entry.get("chat"), Mapping) and isinstance(inner.get("messages"), list)


def _read(document: Any, problems: Problems) -> list[Conversation]:
    return chats_in(document, problems, _is_chat, _chat)


def _chat(entry: Mapping[str, Any], problems: Problems) -> Conversation:
    inner = _inner(entry)
    history = mapping_of(inner.get("history"))
    models = inner.get("models")
    model = text_of(models[0]) if isinstance(models, list) and models else ""
    system = text_of(mapping_of(inner.get("params")).get("system")) or text_of(inner.get("system"))
    fields: dict[str, Any] = {
        "title": text_of(entry.get("title")) or text_of(inner.get("title")),
        "system_prompt": system,
        "created_at": seconds(entry.get("created_at")) or seconds(inner.get("timestamp")),
        "updated_at": seconds(entry.get("updated_at")),
        "settings": {"model_id": model} if model else None,
    }
    nodes = nodes_of(inner.get("messages"), problems, _node) if not history.get("messages") else []
    for key, message in mapping_of(history.get("messages")).items():
        if isinstance(message, Mapping):
            parent = key_of(message.get("parentId"))
            nodes.append(replace(_node(message, problems), id=key, parent=parent))
        else:
            problems.note("messages that can't be read")
    return grow(nodes, problems, current=key_of(history.get("currentId")), **fields)


def _node(message: Mapping[str, Any], problems: Problems) -> Node:
    output = message.get("output")
    plain = {name: value for name, value in message.items() if name != "output"}
    node = node_of(plain, problems)
    if not isinstance(output, list) or not output:
        return node
    # Editing a reply changes its content, which then is the displayed text.
    thoughts, text = parted(node.text, Problems())
    steps = steps_of(output, problems)
    sources = sources_of(message)
    pieces = [without_marks(one, sources) if isinstance(one, str) else one for one in steps.pieces]
    steps = replace(steps, pieces=[*pieces, *without_repeats(pieces, others(node.parts))])
    if text.strip():
        second_wording(steps.text, text, problems)
    return replace(
        node,
        text=text if text.strip() else "\n\n".join(steps.texts),
        reasoning=steps.reasoning or "\n\n".join(filter(None, (node.reasoning, thoughts))),
        hidden=False,
        parts=steps.parts,
    )


OPEN_WEBUI: Final = Format(
    "open-webui",
    "Open WebUI export",
    (".json",),
    lambda document: some(document, _is_chat),
    _read,
)
