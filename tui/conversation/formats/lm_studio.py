"""LM Studio conversation: a list of turns, each with its versions. The file is undocumented, so reading it is lenient."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from tui.conversation.conversation import Conversation
from tui.conversation.formats.base import Format, Node, chats_in, grow
from tui.conversation.formats.content import Said, kind_of, said
from tui.conversation.formats.nodes import node_of, time_of
from tui.conversation.formats.problems import Problems
from tui.conversation.formats.values import list_of, mapping_of, role_of, some, text_of
from tui.conversation.parts import Part, others
from tui.conversation.turn import ASSISTANT

_SILENT_STEPS: Final = ("toolstatus", "debuginfoblock")
"""Steps that only say how another went."""
_SYSTEM_PROMPT: Final = "llm.prediction.systemPrompt"


def _is_chat(entry: Mapping[str, Any]) -> bool:
    return some(
        entry.get("messages"),
        lambda message: isinstance(message.get("versions"), list),
    )


def _read(document: Any, problems: Problems) -> list[Conversation]:
    return chats_in(
        document, problems, lambda entry: isinstance(entry.get("messages"), list), _chat
    )


def _chat(entry: Mapping[str, Any], problems: Problems) -> Conversation:
    nodes: list[Node] = []
    at: str | None = None
    for index, message in enumerate(entry["messages"]):
        versions = _versions(message, problems)
        if not versions:
            continue
        chosen = mapping_of(message).get("currentlySelected")
        shown = chosen if isinstance(chosen, int) and 0 <= chosen < len(versions) else -1
        added = [
            _node(f"{index}_{number}", at, version, problems)
            for number, version in enumerate(versions)
        ]
        nodes += added
        at = added[shown].id
    problems.note("unsent drafts", 1 if text_of(entry.get("clientInput")).strip() else 0)
    model = text_of(mapping_of(entry.get("lastUsedModel")).get("identifier"))
    return grow(
        nodes,
        problems,
        current=at,
        system_prompt=_system_prompt(entry),
        title=text_of(entry.get("name")),
        created_at=time_of(entry),
        settings={"model_id": model} if model else None,
    )


def _system_prompt(entry: Mapping[str, Any]) -> str:
    fields = mapping_of(entry.get("perChatPredictionConfig")).get("fields")
    for field in fields if isinstance(fields, list) else []:
        if mapping_of(field).get("key") == _SYSTEM_PROMPT and mapping_of(field).get("value"):
            return text_of(mapping_of(field).get("value"))
    return text_of(entry.get("systemPrompt"))


def _versions(message: Any, problems: Problems) -> list[Mapping[str, Any]]:
    """Return the versions of a message, itself where it has none; notes those that can't be read."""
    if not isinstance(message, Mapping):
        problems.note("messages that can't be read")
        return []
    if not isinstance(message.get("versions"), list):
        return [message]
    listed = message["versions"]
    found = [version for version in listed if isinstance(version, Mapping)]
    problems.note("alternative versions of messages", len(listed) - len(found))
    if not listed:
        problems.note("messages without text")
    return found


def _node(key: str, parent: str | None, version: Mapping[str, Any], problems: Problems) -> Node:
    if version.get("type") != "multiStep" and "steps" not in version:
        model = text_of(mapping_of(version.get("senderInfo")).get("senderName"))
        node = node_of(version, problems)
        return replace(node, id=key, parent=parent, model=model or node.model)
    pieces: list[str | Part] = []
    thoughts: list[str] = []
    model = text_of(mapping_of(version.get("senderInfo")).get("senderName"))
    for block in _blocks(version, problems):
        content = said(block.get("content"), problems)
        is_thought = mapping_of(block.get("style")).get("type") == "thinking"
        (thoughts if is_thought else pieces).append(content.text)
        thoughts.append(content.reasoning)
        pieces += others(content.parts)
        model = text_of(mapping_of(block.get("genInfo")).get("identifier")) or model
    pieces = [piece for piece in pieces if piece != ""]
    return Node(
        key,
        parent,
        role_of(version.get("role")) if version.get("role") else ASSISTANT,
        "\n\n".join(piece for piece in pieces if isinstance(piece, str)),
        "\n\n".join(text.strip() for text in thoughts if text.strip()),
        model=model,
        parts=Said(pieces).parts,
    )


def _blocks(version: Mapping[str, Any], problems: Problems) -> Iterator[Mapping[str, Any]]:
    """Yield the content blocks among the steps of a reply; what the tools did in between is noted."""
    for step in list_of(version.get("steps")):
        kind = kind_of(mapping_of(step))
        if kind == "contentblock":
            yield step
        elif kind not in _SILENT_STEPS:
            problems.note("steps of replies")


LM_STUDIO: Final = Format(
    "lm-studio",
    "LM Studio conversation",
    (".json",),
    lambda document: some(document, _is_chat),
    _read,
)
