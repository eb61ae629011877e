"""ShareGPT: `{"conversations": [{"from", "value"}]}`, one, a list, or one a line. The reasoning stands in the text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tui.conversation.conversation import Conversation
from tui.conversation.formats.base import Format, chats_in, grow, one_or_list, to_json
from tui.conversation.formats.nodes import nodes_of, time_of
from tui.conversation.formats.problems import Problems
from tui.conversation.formats.values import some, text_of
from tui.conversation.turn import ASSISTANT, USER, Message

_NAMES: Final = {USER: "human", ASSISTANT: "gpt"}


def _is_chat(entry: Mapping[str, Any]) -> bool:
    if "chosen" in entry or "rejected" in entry:
        return False
    return some(entry.get("conversations"), lambda message: "from" in message or "role" in message)


def _read(document: Any, problems: Problems) -> list[Conversation]:
    return chats_in(
        document, problems, lambda entry: isinstance(entry.get("conversations"), list), _chat
    )


def _chat(entry: Mapping[str, Any], problems: Problems) -> Conversation:
    return grow(
        nodes_of(entry["conversations"], problems),
        problems,
        title=text_of(entry.get("title")),
        created_at=time_of(entry),
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
