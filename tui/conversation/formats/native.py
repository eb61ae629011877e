"""The app's own session file, and the `!save` file of `transformers chat`, which is one branch of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, Final

from tui.conversation import codec
from tui.conversation.content import history_content
from tui.conversation.conversation import Conversation
from tui.conversation.entries import ChatFormatError
from tui.conversation.formats.base import Format, chain, one_or_list, to_json
from tui.conversation.formats.nodes import nodes_of
from tui.conversation.formats.problems import Problems
from tui.conversation.formats.values import each, mapping_of, some, text_of
from tui.conversation.parts import ToolCallPart, ToolResultPart, told_text
from tui.conversation.turn import Message

_MODEL_KEYS: Final = ("model_id", "model_name_or_path_or_id", "model_name_or_path", "model")


def _has_tree(entry: Mapping[str, Any]) -> bool:
    return isinstance(mapping_of(entry.get("tree")).get("turns"), list)


def _has_history(entry: Mapping[str, Any]) -> bool:
    return isinstance(entry.get("chat_history"), list)


def _read(document: Any, problems: Problems) -> list[Conversation]:
    chats = []
    for entry in each(document):
        try:
            decoded = codec.decode(entry)
        except ChatFormatError:
            if not isinstance(document, list):
                raise
            problems.note("chats that can't be read")
            continue
        for sentence in (*decoded.problems, *decoded.notes):
            problems.say(sentence)
        if decoded.is_newer:
            problems.say(
                "It was written by a newer version of chat-tui, so parts of it may be missing"
            )
        chats.append(decoded.conversation.recovered())
    return chats


def _read_transformers(document: Any, problems: Problems) -> list[Conversation]:
    chats = []
    for entry in each(document):
        if not isinstance(entry, Mapping) or not _has_history(entry):
            problems.note("entries that aren't chats")
        elif "format" in entry:
            # A file of this app that lost its tree.
            chats += _read(entry, problems)
        else:
            # Cohere's API takes the newest message apart from those before it.
            newest = text_of(entry.get("message"))
            messages = [
                *entry["chat_history"],
                *([{"role": "user", "content": newest}] if newest else []),
            ]
            nodes = nodes_of(messages, problems)
            settings = _settings(mapping_of(entry.get("settings")))
            system = text_of(entry.get("preamble"))
            chats.append(chain(nodes, problems, settings=settings, system_prompt=system))
    return chats


def _settings(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return settings as this app keeps them; before 5.0 they held every command line argument side by side."""
    model = next((text for key in _MODEL_KEYS if (text := text_of(given.get(key)))), "")
    config = given.get("config")
    if not isinstance(config, Mapping):
        config = {key: value for key, value in given.items() if key not in _MODEL_KEYS}
    kept = {key: value for key, value in given.items() if key == "base_url" and value}
    return {**kept, "model_id": model, "config": dict(config)} if given else {}


def _write(chats: Sequence[Conversation]) -> str:
    return to_json(one_or_list([codec.encode(chat) for chat in chats]))


def _write_transformers(chats: Sequence[Conversation]) -> str:
    return to_json(one_or_list([_transformers_document(chat) for chat in chats]))


def _transformers_document(chat: Conversation) -> dict[str, Any]:
    return {
        "settings": {
            "base_url": text_of(chat.settings.get("base_url")),
            "model_id": text_of(chat.settings.get("model_id")),
            "config": dict(mapping_of(chat.settings.get("config"))),
        },
        "chat_history": message_entries(chat),
    }


def message_entries(chat: Conversation) -> list[dict[str, Any]]:
    """Return the active path as messages: the reasoning and the calls of tools in fields of their own, their results apart."""
    return [
        entry
        for message in chat.history_messages()
        for part in _between_results(message)
        for entry in _entries(part)
    ]


def _between_results(message: Message) -> Iterator[Message | ToolResultPart]:
    """Yield a message in the pieces that the results of tools divide it into, and those results."""
    reasoning = message.reasoning
    for is_result, parts in groupby(message.parts, lambda part: isinstance(part, ToolResultPart)):
        if is_result:
            yield from (part for part in parts if isinstance(part, ToolResultPart))
        else:
            own = tuple(parts)
            yield Message(message.role, told_text(own), reasoning, own)
            reasoning = ""
    if not message.parts:
        yield message


def _entries(message: Message | ToolResultPart) -> Iterator[dict[str, Any]]:
    if isinstance(message, ToolResultPart):
        about = {"tool_call_id": message.call_id, "name": message.name}
        known = {key: value for key, value in about.items() if value}
        yield {"role": "tool", **known, "content": message.content}
        return
    calls = [_call(part) for part in message.parts if isinstance(part, ToolCallPart)]
    said = tuple(part for part in message.parts if not isinstance(part, ToolCallPart))
    content = history_content(replace(message, parts=said))
    yield {
        "role": message.role,
        "content": content if content or not calls else None,
        **({"reasoning_content": message.reasoning} if message.reasoning else {}),
        **({"tool_calls": calls} if calls else {}),
    }


def _call(part: ToolCallPart) -> dict[str, Any]:
    arguments = part.arguments
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)
    function = {"name": part.name, "arguments": arguments}
    return {"id": part.id, "type": "function", "function": function}


NATIVE: Final = Format(
    "chat-tui",
    "chat-tui chat (with all branches)",
    (".json",),
    lambda document: some(document, _has_tree),
    _read,
    _write,
)
TRANSFORMERS: Final = Format(
    "transformers",
    "transformers chat",
    (".json",),
    lambda document: some(document, _has_history),
    _read_transformers,
    _write_transformers,
)
