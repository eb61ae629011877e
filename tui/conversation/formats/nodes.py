"""Messages of any tool as nodes: who says one, what it follows, when it was sent, and what stands beside its text.

What a message says is found by `content`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final

from tui.conversation.formats.base import Node
from tui.conversation.formats.citations import without_marks
from tui.conversation.formats.content import (
    EMPTY,
    PART_KEYS,
    TEXT_KINDS,
    THOUGHT_KEYS,
    THOUGHT_KINDS,
    WRAPPERS,
    Said,
    called,
    is_reasoning,
    kind_of,
    other_part,
    said,
    thoughts_of,
)
from tui.conversation.formats.others import ATTACHMENT, CALL, IMAGE, attached, without_repeats
from tui.conversation.formats.problems import Problems
from tui.conversation.formats.values import (
    each,
    key_of,
    keys_of,
    list_of,
    mapping_of,
    role_of,
    seconds,
    text_of,
)
from tui.conversation.parts import Part, others
from tui.conversation.turn import ASSISTANT, USER

PARENT_KEYS: Final = (
    "parent",
    "parentId",
    "parent_id",
    "parentUuid",
    "parentMessageId",
    "parent_message_uuid",
    "parent_uuid",
    "parent_response_id",
    "parentResponseId",
)
_CHAT_KEYS: Final = (
    "topicId",
    "message_tree_id",
    "conversation_id",
    "conversationId",
    "convId",
    "chat_id",
    "chatId",
    "thread_id",
    "threadId",
    "session_id",
    "sessionId",
)
"""The fields in which a message says which chat it belongs to."""
_ID_KEYS: Final = ("id", "uuid", "messageId", "message_id", "_id")
_TIME_KEYS: Final = (
    "created_at",
    "create_time",
    "createdAt",
    "timestamp",
    "createTime",
    "send_date",
    "inserted_at",
    "date",
    "time",
    "created",
    "datetime_utc",
)
_CALL_KEYS: Final = ("tool_calls", "toolCalls", "function_call")
_IMAGE_KEYS: Final = ("images", "generated_image_urls")
_FILE_KEYS: Final = (
    "attachments",
    "files",
    "extra",
    "documents",
    "audio",
    "videos",
    "file_attachments",
)
_SOURCE_KEYS: Final = (
    "sources",
    "citations",
    "search_results",
    "webSearchResults",
    "sourceDocuments",
)
_NESTED_KEYS: Final = ("children", "replies")
"""The fields in which a message may have the messages that follow it."""
_KINDS_THAT_SPEAK: Final[Mapping[str, str]] = {
    USER: USER,
    "human": USER,
    "humanmessage": USER,
    "humanmessagechunk": USER,
    "prompt": USER,
    ASSISTANT: ASSISTANT,
    "ai": ASSISTANT,
    "aimessage": ASSISTANT,
    "aimessagechunk": ASSISTANT,
    "response": ASSISTANT,
    "gemini": ASSISTANT,
}
"""Types that tell by themselves who says a message."""
_WRAPPED: Final = ("response", "message", "msg")
_LANGCHAIN_KINDS: Final = ("human", "ai", "system", "tool", "function")


MessageReader = Callable[[Mapping[str, Any], Problems], Node]


def first_of(entry: Mapping[str, Any], keys: Sequence[str]) -> Any:
    """Return the first of some fields that has a value; None where none has."""
    return next((entry[key] for key in keys if entry.get(key) is not None), None)


def grouped(entries: list[Any]) -> list[list[Any]]:
    """Return the messages of each chat apart where they say which they belong to; what says nothing stays with those before."""
    groups: dict[str | None, list[Any]] = {}
    at: str | None = None
    for entry in entries:
        key = key_of(first_of(entry, _CHAT_KEYS)) if isinstance(entry, Mapping) else None
        if key is not None and at is None:
            groups = {key: groups.get(None, [])}
        at = at if key is None else key
        groups.setdefault(at, []).append(entry)
    return list(groups.values())


def time_of(entry: Mapping[str, Any]) -> float:
    """Return when a message was sent, in Unix seconds; 0 for unknown."""
    return next((at for key in _TIME_KEYS if (at := seconds(entry.get(key)))), 0.0)


def speaker_of(message: Mapping[str, Any]) -> str | None:
    """Return the role of a message, under whatever name; None where it has none."""
    if (role := _named_role(message, "role")) is not None:
        return role
    # A sender may be called as a model is.
    for key in ("isCreatedByUser", "is_user", "isUser"):
        if isinstance(message.get(key), bool):
            return USER if message[key] else ASSISTANT
    named = (_named_role(message, key) for key in ("from", "sender", "author", "speaker", "info"))
    said_by = next((role for role in named if role is not None), None)
    return said_by or _KINDS_THAT_SPEAK.get(kind_of(message))


def _named_role(message: Mapping[str, Any], key: str) -> str | None:
    value = message.get(key)
    value = value.get("role") if isinstance(value, Mapping) else value
    return role_of(value) if isinstance(value, str) and value.strip() else None


def unwrapped(message: Any) -> Any:
    """Return a message that stands in another object with its fields beside its role; any other value as it is.

    LangChain dumps messages in such a way, and Grok and APIs wrap each.
    """
    if not isinstance(message, Mapping):
        return message
    if "lc" in message and isinstance(message.get("kwargs"), Mapping):
        name = next((text_of(one) for one in reversed(list_of(message.get("id")))), "")
        fields, kind = message["kwargs"], name.removesuffix("Chunk").removesuffix("Message").lower()
    elif kind_of(message) in (*_LANGCHAIN_KINDS, "chat") and isinstance(
        message.get("data"), Mapping
    ):
        fields, kind = message["data"], kind_of(message)
    else:
        wrapped = (message[key] for key in _WRAPPED if isinstance(message.get(key), Mapping))
        inner: Mapping[str, Any] = next(wrapped, {})
        is_wrapped = speaker_of(message) is None and speaker_of(inner) is not None
        return {**message, **inner} if is_wrapped else message
    named = {} if text_of(fields.get("role")) else {"role": kind}
    return {key: value for key, value in fields.items() if key != "type"} | named


def node_of(message: Mapping[str, Any], problems: Problems) -> Node:
    """Return one message of any tool, or one item of the Responses API; what is no message is hidden."""
    node = Node(
        key_of(first_of(message, _ID_KEYS)) or "",
        parent_of(message),
        created_at=time_of(message),
        model=_model_of(first_of(message, ("model", "modelName", "model_slug"))),
        children=keys_of(message.get("childrenIds", message.get("children"))),
        hidden=True,
    )
    kind, role = kind_of(message), speaker_of(message)
    if role in ("function_call", "tool_call", "tool_calls"):
        return replace(node, role=ASSISTANT, parts=tuple(attached(message, CALL, problems)))
    other = other_part(message, kind, problems) if role is None else None
    if other is not None:
        return replace(node, role=ASSISTANT, parts=tuple(other))
    beside = _parts_beside(message, problems)
    if kind in THOUGHT_KINDS or (role is None and is_reasoning(message, kind)):
        thoughts = thoughts_of(message, problems)
        return replace(node, role=ASSISTANT, reasoning=thoughts.reasoning)
    fields = {name: message.get(name) for name in (*WRAPPERS, *THOUGHT_KEYS)}
    if mapping_of(message.get("style")):
        fields["style"] = message["style"]
    if message.get("isThought") is True or message.get("thought") is True:
        fields["thought"] = True
    result = said(fields, problems)
    if role is None and kind not in TEXT_KINDS:
        problems.note(f"items of type {kind[:40]!r}")
        return node
    if role is None and not (result.texts or result.thoughts):
        problems.note("items that aren't messages")
        return node
    if role is None:
        problems.tell("Messages without a role, imported as yours")
    if not result.text.strip():
        result.pieces += filter(None, [text_of(mapping_of(message.get("audio")).get("transcript"))])
    result.pieces += without_repeats(result.pieces, beside)
    is_structure = kind == "root" and not result.text.strip()
    is_thought = not result.text.strip() and is_reasoning(message, kind)
    return replace(
        node,
        role=role or USER,
        text=without_marks(result.text, sources_of(message)) if role == ASSISTANT else result.text,
        reasoning=result.reasoning,
        hidden=is_structure or is_thought,
        parts=result.parts,
    )


def _model_of(value: Any) -> str:
    return text_of(first_of(value, ("id", "name")) if isinstance(value, Mapping) else value)


def _parts_beside(message: Mapping[str, Any], problems: Problems) -> list[Part]:
    """Return what a message has beside its content: calls of tools, images, files; notes what can't be kept."""
    for key in _SOURCE_KEYS:
        problems.note("sources", len(list_of(message.get(key))))
    calls = [message[key] for key in _CALL_KEYS if message.get(key) not in EMPTY]
    found = [(one, CALL) for call in calls for one in each(call)]
    found += [(one, IMAGE) for key in _IMAGE_KEYS for one in list_of(message.get(key))]
    found += [(one, ATTACHMENT) for key in _FILE_KEYS for one in list_of(message.get(key))]
    found += [
        ({key: message[key]}, called(key.lower()))
        for key in PART_KEYS
        if key not in _CALL_KEYS and message.get(key) not in EMPTY
    ]
    return [part for one, what in found for part in attached(one, what, problems)]


def sources_of(message: Mapping[str, Any]) -> int:
    """Return how many sources stand beside a message; one may be found in several documents, each with a number of its own."""
    listed = [one for key in _SOURCE_KEYS for one in list_of(message.get(key))]
    return sum(max(1, len(list_of(mapping_of(one).get("document")))) for one in listed)


def nodes_of(messages: Any, problems: Problems, read: MessageReader | None = None) -> list[Node]:
    """Return the messages of a list, each below its parent where they name those, else after the one before it.

    Args:
        read: returns the node of one message; None for `node_of`.
    """
    listed = list(messages.values()) if isinstance(messages, Mapping) else list_of(messages)
    listed = _with_roles(_unfolded(listed))
    objects = [one for one in listed if isinstance(one, Mapping)]
    present = {key_of(first_of(one, _ID_KEYS)) for one in objects} - {None}
    is_tree = any(parent_of(one) in present for one in objects)
    if not is_tree and _is_newest_first(objects):
        problems.say("The messages were listed from newest to oldest and were reversed")
        listed = listed[::-1]
    nodes: list[Node] = []
    for place, message in enumerate(listed):
        before = nodes[-1].id if nodes else None
        if isinstance(message, str) and message.strip():
            problems.tell("Messages without a role, imported as yours")
            nodes.append(Node(f"#{place}", before, USER, message))
        elif isinstance(message, Mapping):
            node = (read or node_of)(message, problems)
            if not is_tree:
                node = replace(node, id=f"#{place}", parent=before)
            elif not any(key in message for key in (*PARENT_KEYS, "ancestors")):
                node = replace(node, parent=before)
            elif node.parent not in present and is_root(node.parent):
                node = replace(node, parent=None)
            nodes.append(node if node.id else replace(node, id=f"#{place}"))
        else:
            problems.note("messages that can't be read")
    return nodes


def _unfolded(messages: list[Any]) -> list[Any]:
    """Return messages that hold those that follow them as one list, in which each names the one that it follows."""
    if not any(_nested(message) for message in messages):
        return messages
    result: list[Any] = []
    pending = messages[::-1]
    while pending:
        message = pending.pop()
        nested = _nested(message)
        if nested:
            own = key_of(first_of(message, _ID_KEYS)) or f"~{len(result)}"
            inner = [
                one if parent_of(one) is not None else {**one, "parentId": own} for one in nested
            ]
            plain = {key: value for key, value in message.items() if key not in _NESTED_KEYS}
            message = {**plain, "id": own}
            pending += inner[::-1]
        result.append(message)
    return result


def _nested(message: Any) -> list[Mapping[str, Any]]:
    lists = (list_of(mapping_of(message).get(key)) for key in _NESTED_KEYS)
    return [one for listed in lists for one in listed if isinstance(one, Mapping)]


def _with_roles(messages: list[Any]) -> list[Any]:
    """Return messages with a role; where some tell by their types alone who speaks, all types are roles."""
    made = [unwrapped(message) for message in messages]
    if not any(
        kind_of(one) in ("human", "ai") and speaker_of(one) is not None and "role" not in one
        for one in made
        if isinstance(one, Mapping)
    ):
        return made
    return [
        {**one, "role": kind_of(one)}
        if isinstance(one, Mapping) and kind_of(one) in _LANGCHAIN_KINDS and "role" not in one
        else one
        for one in made
    ]


def _is_newest_first(messages: list[Mapping[str, Any]]) -> bool:
    """Whether each message is older than the one before it, so far as times tell."""
    times = [time_of(message) for message in messages]
    falls = all(later >= earlier for later, earlier in pairwise(times))
    return len(times) > 1 and all(times) and falls and times[0] > times[-1]


def parent_of(message: Mapping[str, Any]) -> str | None:
    """Return the id of the message that one says it follows."""
    above = list_of(message.get("ancestors"))
    return key_of(first_of(message, PARENT_KEYS)) or (key_of(above[-1]) if above else None)


def is_root(parent: str | None) -> bool:
    """Whether an id only stands for the beginning of a chat, as -1 and a UUID of zeros do."""
    return parent in (None, "-1", "root") or str(parent).strip("0-") in ("", "4000-8")


def steps_of(items: Any, problems: Problems) -> Said:
    """Return what a reply says that was made in several steps, as the items of the Responses API are."""
    nodes = nodes_of(items, problems)
    pieces: list[str | Part] = []
    for node in nodes:
        pieces += [node.text] if node.text.strip() else []
        pieces += others(node.parts)
    return Said(pieces, [node.reasoning for node in nodes if node.reasoning])


def second_wording(wording: str, text: str, problems: Problems) -> None:
    """Note another wording of a text that is kept, unless it says no more."""
    if "".join(wording.split()) not in "".join(text.split()):
        problems.note("alternative versions of messages")
