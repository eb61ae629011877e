"""Open WebUI export: a list of chats, each a tree of messages with the id of the current one."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any, Final

from tui.conversation.conversation import Conversation
from tui.conversation.formats.base import (
    Format,
    Node,
    Problems,
    chain,
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
from tui.conversation.turn import ASSISTANT

_REASONING: Final = re.compile(r"\s*<details\s[^>]*type=\"reasoning\"[^>]*>")
_SUMMARY: Final = re.compile(r"\s*<summary>[^<]*</summary>\s*")
_END: Final = "</details>"


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
    chats = []
    for entry in each(document):
        if isinstance(entry, Mapping) and _is_chat(entry):
            chats.append(_chat(entry, problems))
        else:
            problems.note("an entry that is no chat")
    return chats


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
    found = mapping_of(history.get("messages"))
    if not found:
        listed = objects(inner.get("messages"), problems, "a message that can't be read")
        return chain([_node("", message, problems) for message in listed], problems, **fields)
    problems.note(
        "a message that can't be read",
        sum(not isinstance(message, Mapping) for message in found.values()),
    )
    nodes = [
        _node(key, message, problems)
        for key, message in found.items()
        if isinstance(message, Mapping)
    ]
    return grow(nodes, problems, current=key_of(history.get("currentId")), **fields)


def _node(key: str, message: Mapping[str, Any], problems: Problems) -> Node:
    role = role_of(message.get("role"))
    text, reasoning = text_content(message.get("content"), problems), ""
    if role == ASSISTANT:
        reasoning, text = _split_details(text)
    files = message.get("files")
    problems.note("an attachment", len(files) if isinstance(files, list) else 0)
    children = message.get("childrenIds")
    return Node(
        key,
        key_of(message.get("parentId")),
        role,
        text,
        reasoning or text_of(message.get("reasoning_content")),
        created_at=seconds(message.get("timestamp")),
        model=text_of(message.get("model")),
        children=[str(child) for child in children] if isinstance(children, list) else (),
    )


def _split_details(text: str) -> tuple[str, str]:
    """Return the reasoning and the rest of a reply that starts with a folded block of quoted reasoning."""
    opening = _REASONING.match(text)
    if opening is None:
        return "", text
    body, ended, rest = text[opening.end() :].partition(_END)
    if not ended:
        return "", text
    lines = _SUMMARY.sub("", body, count=1).strip().splitlines()
    if any(line.startswith("&gt;") for line in lines):
        lines = [html.unescape(line) for line in lines]
    return "\n".join(line.removeprefix(">").removeprefix(" ") for line in lines), rest.lstrip("\n")


OPEN_WEBUI: Final = Format(
    "open-webui",
    "Open WebUI export",
    (".json",),
    lambda document: some(document, _is_chat),
    _read,
)
