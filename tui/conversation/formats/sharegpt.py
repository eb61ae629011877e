"""ShareGPT: `{"conversations": [{"from", "value"}]}`, one, a list, or one a line. The reasoning stands in the text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tui.conversation.conversation import Conversation
from tui.conversation.formats.base import (
    Format,
    Node,
    Problems,
    chain,
    each,
    objects,
    one_or_list,
    role_of,
    some,
    text_content,
    text_of,
    to_json,
)
from tui.conversation.turn import ASSISTANT, USER, Message

_NAMES: Final = {USER: "human", ASSISTANT: "gpt"}


def _is_chat(entry: Mapping[str, Any]) -> bool:
    return some(entry.get("conversations"), lambda message: "from" in message or "role" in message)


def _read(document: Any, problems: Problems) -> list[Conversation]:
    chats = []
    for entry in each(document):
        if isinstance(entry, Mapping) and isinstance(entry.get("conversations"), list):
            chats.append(_chat(entry, problems))
        else:
            problems.note("an entry that is no chat")
    return chats


def _chat(entry: Mapping[str, Any], problems: Problems) -> Conversation:
    nodes = [
        Node(
            "",
            None,
            role_of(message.get("from", message.get("role"))),
            text_content(message.get("value", message.get("content")), problems),
        )
        for message in objects(entry["conversations"], problems, "a message that can't be read")
    ]
    return chain(
        nodes,
        problems,
        title=text_of(entry.get("title")),
        system_prompt=text_of(entry.get("system")),
    )


def _document(chat: Conversation) -> dict[str, Any]:
    return {
        "id": chat.id,
        "conversations": [
            {"from": _NAMES.get(message.role, message.role), "value": _value(message)}
            for message in chat.history_messages()
        ],
    }


def _value(message: Message) -> str:
    if not message.reasoning:
        return message.content
    return f"<think>\n{message.reasoning}\n</think>\n\n{message.content}"


def _write(chats: Sequence[Conversation]) -> str:
    return to_json(one_or_list([_document(chat) for chat in chats]))


SHAREGPT: Final = Format(
    "sharegpt",
    "ShareGPT",
    (".json", ".jsonl"),
    lambda document: some(document, _is_chat),
    _read,
    _write,
)
