"""LM Studio conversation: a list of turns, each with its versions. The file is undocumented, so reading it is lenient."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from tui.conversation.conversation import Conversation
from tui.conversation.formats.base import (
    Format,
    Node,
    Problems,
    each,
    grow,
    mapping_of,
    objects,
    role_of,
    seconds,
    some,
    text_content,
    text_of,
)

_SYSTEM_PROMPT: Final = "llm.prediction.systemPrompt"


def _is_chat(entry: Mapping[str, Any]) -> bool:
    return some(
        entry.get("messages"),
        lambda message: isinstance(message.get("versions"), list),
    )


def _read(document: Any, problems: Problems) -> list[Conversation]:
    chats = []
    for entry in each(document):
        if isinstance(entry, Mapping) and isinstance(entry.get("messages"), list):
            chats.append(_chat(entry, problems))
        else:
            problems.note("an entry that is no chat")
    return chats


def _chat(entry: Mapping[str, Any], problems: Problems) -> Conversation:
    nodes: list[Node] = []
    at: str | None = None
    for index, message in enumerate(objects(entry["messages"], problems, "a message")):
        versions = objects(message.get("versions"), problems, "a version of a message")
        if not versions:
            problems.note("a message that can't be read")
            continue
        chosen = message.get("currentlySelected")
        shown = chosen if isinstance(chosen, int) and 0 <= chosen < len(versions) else -1
        added = [
            _node(f"{index}_{number}", at, version, problems)
            for number, version in enumerate(versions)
        ]
        nodes += added
        at = added[shown].id
    model = text_of(mapping_of(entry.get("lastUsedModel")).get("identifier"))
    return grow(
        nodes,
        problems,
        current=at,
        system_prompt=_system_prompt(entry),
        title=text_of(entry.get("name")),
        created_at=seconds(entry.get("createdAt")),
        settings={"model_id": model} if model else None,
    )


def _system_prompt(entry: Mapping[str, Any]) -> str:
    fields = mapping_of(entry.get("perChatPredictionConfig")).get("fields")
    for field in fields if isinstance(fields, list) else []:
        if mapping_of(field).get("key") == _SYSTEM_PROMPT and mapping_of(field).get("value"):
            return text_of(mapping_of(field).get("value"))
    return text_of(entry.get("systemPrompt"))


def _node(key: str, parent: str | None, version: Mapping[str, Any], problems: Problems) -> Node:
    texts: list[str] = []
    thoughts: list[str] = []
    model = text_of(mapping_of(version.get("senderInfo")).get("senderName"))
    for block in _blocks(version, problems):
        text = text_content(block.get("content"), problems)
        is_thought = mapping_of(block.get("style")).get("type") == "thinking"
        (thoughts if is_thought else texts).append(text)
        model = text_of(mapping_of(block.get("genInfo")).get("identifier")) or model
    return Node(
        key,
        parent,
        role_of(version.get("role")),
        "\n\n".join(text for text in texts if text),
        "\n\n".join(text.strip() for text in thoughts if text.strip()),
        model=model,
    )


def _blocks(version: Mapping[str, Any], problems: Problems) -> Iterator[Mapping[str, Any]]:
    """Yield what a version says: itself, or the content blocks among its steps."""
    if version.get("type") != "multiStep" and "steps" not in version:
        yield version
        return
    for step in objects(version.get("steps"), problems, "a step of a reply"):
        if step.get("type") == "contentBlock":
            yield step
        elif "tool" in text_of(step.get("type")).lower():
            problems.note("a tool call")


LM_STUDIO: Final = Format(
    "lm-studio",
    "LM Studio conversation",
    (".json",),
    lambda document: some(document, _is_chat),
    _read,
)
