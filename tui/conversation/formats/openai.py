"""OpenAI messages: `{"messages": [...]}` or the bare list, items of the Responses API, and JSON Lines with one chat a line.

Many tools write what looks like it, so a message may call its fields otherwise, and may name the message that it follows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from tui.conversation.conversation import Conversation
from tui.conversation.formats.base import Format, Node, grow, one_or_list, to_json
from tui.conversation.formats.content import WRAPPERS, kind_of, said
from tui.conversation.formats.native import message_entries
from tui.conversation.formats.nodes import (
    first_of,
    grouped,
    nodes_of,
    speaker_of,
    time_of,
    unwrapped,
)
from tui.conversation.formats.pairs import is_pair, pair_nodes
from tui.conversation.formats.problems import Problems
from tui.conversation.formats.values import key_of, list_of, mapping_of, seconds, some, text_of
from tui.conversation.messages import REASONING_KEYS

_LISTS: Final = (
    "messages",
    "input",
    "items",
    "data",
    "history",
    "output",
    "responses",
    "conversation",
    "entries",
    "requests",
)
"""The fields in which a chat's messages may stand; those of the Responses API are two."""
_TITLE_KEYS: Final = ("title", "name", "topic", "chatTitle", "userTitle")
_SYSTEM_KEYS: Final = (
    "instructions",
    "system",
    "system_prompt",
    "preprompt",
    "pre_prompt",
    "systemPrompt",
    "systemMessage",
    "promptPrefix",
    "context",
)
_ABOUT_KEYS: Final = ("conversation", "options", "config", "chat")
"""The fields in which a tool may keep what there is to say of the chat as a whole."""
_HEADER_KEYS: Final = (
    "title",
    "name",
    "model",
    "instructions",
    "system",
    "system_prompt",
    "currentId",
    "current_node",
    "currNode",
    "created_at",
    "createdAt",
    "create_time",
    "timestamp",
    "updated_at",
    "updatedAt",
)
"""What a line that isn't a message may say of the chat that follows it."""
_ITEMS: Final = ("message", "reasoning", "function_call", "function_call_output")


def _is_message(entry: Mapping[str, Any]) -> bool:
    entry = unwrapped(entry)
    says = any(key in entry for key in (*WRAPPERS, *REASONING_KEYS, "tool_calls"))
    return (says and speaker_of(entry) is not None) or kind_of(entry) in _ITEMS


def _is_chat(entry: Any) -> bool:
    if not isinstance(entry, Mapping) or _is_message(entry):
        return False
    if "chosen" in entry or "rejected" in entry:
        return False
    messages = entry.get("messages")
    if isinstance(messages, Mapping):
        return some(list(messages.values()), _is_message)
    return (
        isinstance(messages, list)
        or isinstance(entry.get("messageNodes"), list)
        or any(some(entry.get(key), _is_part) for key in _LISTS if isinstance(entry.get(key), list))
    )


def _is_part(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of a chat's list is a message, or a question with its answer."""
    return _is_message(entry) or is_pair(entry)


def _matches(document: Any) -> bool:
    if isinstance(document, list) and any(isinstance(entry, list) for entry in document[:100]):
        return any(some(entry, _is_message) for entry in document[:100] if isinstance(entry, list))
    return some(document, _is_message) or some(document, _is_chat)


def _read(document: Any, problems: Problems) -> list[Conversation]:
    if isinstance(document, list) and some(document, _is_message):
        return [_chat(_with_header(messages), problems) for messages in grouped(document)]
    chats = []
    for entry in document if isinstance(document, list) else [document]:
        if isinstance(entry, list):
            chats.append(_chat({"messages": entry}, problems))
        elif _is_chat(entry):
            chats.append(_chat(entry, problems))
            # Chatbox keeps what was talked about before in the chat itself.
            threads = [one for one in list_of(entry.get("threads")) if _is_chat(one)]
            chats += [_chat(thread, problems) for thread in threads]
        elif isinstance(entry, Mapping) and _is_message(entry):
            chats.append(_chat({"messages": [entry]}, problems))
        else:
            problems.note("entries that aren't chats")
    return chats


def _with_header(entries: list[Any]) -> Mapping[str, Any]:
    """Return the messages of a chat, with what the first line says of it if that is none."""
    first = entries[0]
    if not isinstance(first, Mapping) or _is_message(first):
        return {"messages": entries}
    if said({key: first.get(key) for key in WRAPPERS}, Problems()).texts:
        # A message whose role can't be read.
        return {"messages": entries}
    header = {**first, **mapping_of(first.get("conv")), **mapping_of(first.get("metadata"))}
    about = {key: header[key] for key in _HEADER_KEYS if key in header}
    return {**about, "messages": entries[1:]} if about else {"messages": entries}


def _chat(entry: Mapping[str, Any], problems: Problems) -> Conversation:
    # NextChat keeps the messages that a chat begins with apart.
    messages: list[Any] = [*list_of(mapping_of(entry.get("mask")).get("context"))]
    for key in _LISTS:
        value = entry.get(key)
        # The Responses API takes a plain text for the user's message.
        is_text = key == "input" and isinstance(value, str)
        value = list(value.values()) if key == "messages" and isinstance(value, Mapping) else value
        messages += [{"role": "user", "content": value}] if is_text else list_of(value)
    versions, last_chosen = _versions(entry)
    messages += versions
    header = {**_about(entry), **entry}
    model = text_of(header.get("model"))
    return grow(
        _nodes(messages, problems),
        problems,
        current=last_chosen or key_of(first_of(header, ("currentId", "current_node", "currNode"))),
        system_prompt=said(first_of(header, _SYSTEM_KEYS), problems).text,
        title=text_of(first_of(header, _TITLE_KEYS)),
        created_at=time_of(header),
        updated_at=seconds(first_of(header, ("updated_at", "updatedAt", "modify_time"))),
        settings={"model_id": model} if model else None,
    )


def _versions(entry: Mapping[str, Any]) -> tuple[list[Any], str | None]:
    """Return the messages of a chat of RikkaHub, the versions of one below the chosen one before, and the last chosen one."""
    result: list[Any] = []
    above: str | None = None
    for place, one in enumerate(list_of(entry.get("messageNodes"))):
        listed = [mapping_of(version) for version in list_of(mapping_of(one).get("messages"))]
        ids = [f"{place}.{number}" for number in range(len(listed))]
        result += [
            {**version, "id": own, "parentId": above}
            for own, version in zip(ids, listed, strict=True)
        ]
        chosen = mapping_of(one).get("selectIndex")
        if ids:
            is_there = isinstance(chosen, int) and 0 <= chosen < len(ids)
            above = ids[chosen] if is_there and isinstance(chosen, int) else ids[-1]
    return result, above


def _about(entry: Mapping[str, Any]) -> dict[str, Any]:
    found = [mapping_of(entry.get(key)) for key in _ABOUT_KEYS]
    return {key: value for one in found for key, value in one.items() if key not in _LISTS}


def _nodes(messages: list[Any], problems: Problems) -> list[Node]:
    if not some(messages, lambda one: not _is_message(one) and is_pair(one)):
        return nodes_of(messages, problems)
    nodes: list[Node] = []
    for message in messages:
        before = nodes[-1].id if nodes else None
        if is_pair(message):
            nodes += pair_nodes(message, problems, before)
        else:
            added = nodes_of([message], problems)
            nodes += [replace(node, id=f"+{len(nodes)}", parent=before) for node in added]
    return nodes


def _document(chat: Conversation) -> dict[str, Any]:
    return {"messages": message_entries(chat)}


def _write(chats: Sequence[Conversation]) -> str:
    return to_json(one_or_list([_document(chat) for chat in chats]))


def _write_lines(chats: Sequence[Conversation]) -> str:
    return "".join(to_json(_document(chat), indent=None) + "\n" for chat in chats)


OPENAI: Final = Format("openai", "OpenAI messages", (".json",), _matches, _read, _write)
OPENAI_LINES: Final = Format(
    "openai-jsonl",
    "OpenAI messages (one chat per line)",
    (".jsonl",),
    lambda _: False,
    _read,
    _write_lines,
)
