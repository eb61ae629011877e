"""llama.cpp web UI export: lines of a session and its messages, or, before, `{"conv", "messages"}` or a list of them.

The messages form a tree below one that only stands for the root. Lines like these, a header and then messages that name their
parents, are also what agents keep; what they say more than a chat is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from tui.conversation.conversation import Conversation
from tui.conversation.formats.base import Format, Node, chats_in, grow
from tui.conversation.formats.content import called, kind_of, said
from tui.conversation.formats.nodes import (
    PARENT_KEYS,
    first_of,
    is_root,
    node_of,
    speaker_of,
    time_of,
)
from tui.conversation.formats.problems import Problems
from tui.conversation.formats.values import (
    each,
    key_of,
    mapping_of,
    seconds,
    some,
    text_of,
)

_ID_KEYS: Final = ("id", "uuid")
_HEADERS: Final = ("session", "session_meta", "conversation", "header")
_MESSAGES: Final = ("message", "user", "assistant", "response_item")
_OF_OTHERS: Final = ("messages", "content", "mapping", "chat", "chat_messages", "conversations")
"""What has messages itself is no header."""
_INNER: Final = ("message", "payload")
"""Where a line keeps its message, if not in itself."""


def _is_chat(entry: Mapping[str, Any]) -> bool:
    return isinstance(entry.get("conv"), Mapping) and isinstance(entry.get("messages"), list)


def _is_line(entry: Mapping[str, Any]) -> bool:
    """Whether an entry is a header, or a message that is wrapped into a line."""
    if kind_of(entry) in _HEADERS:
        return _is_header(entry)
    inner = next((entry[key] for key in _INNER if isinstance(entry.get(key), Mapping)), None)
    return inner is not None and (kind_of(entry) in _MESSAGES or speaker_of(inner) is not None)


def _is_header(entry: Mapping[str, Any]) -> bool:
    is_named = kind_of(entry) in _HEADERS or isinstance(entry.get("conv"), Mapping)
    return is_named and not any(key in entry for key in _OF_OTHERS)


def _is_title(entry: Mapping[str, Any]) -> bool:
    """Whether a first line that is no message says what the chat is called."""
    is_message = speaker_of(_message(entry)) is not None
    return not is_message and bool(text_of(first_of(entry, ("name", "title"))))


def _matches(document: Any) -> bool:
    return some(document, _is_chat) or some(document, _is_line)


def _read(document: Any, problems: Problems) -> list[Conversation]:
    if some(document, _is_line):
        return [_chat(conv, lines, problems) for conv, lines in _sessions(document, problems)]
    return chats_in(
        document,
        problems,
        _is_chat,
        lambda entry, problems: _chat(mapping_of(entry.get("conv")), entry["messages"], problems),
    )


def _sessions(
    document: Any, problems: Problems
) -> Iterator[tuple[Mapping[str, Any], list[Mapping[str, Any]]]]:
    """Yield each header with the lines that follow it."""
    header: Mapping[str, Any] = {}
    lines: list[Mapping[str, Any]] = []
    for entry in each(document):
        if not isinstance(entry, Mapping):
            problems.note("lines that aren't messages")
        elif _is_header(entry) or (not (header or lines) and _is_title(entry)):
            if header or lines:
                yield header, lines
            # One that is wrapped itself has its fields within.
            wrapped = {**mapping_of(entry.get("payload")), **mapping_of(entry.get("conv"))}
            header, lines = {**wrapped, **entry}, []
        else:
            lines.append(entry)
    yield header, lines


def _chat(conv: Mapping[str, Any], messages: Iterable[Any], problems: Problems) -> Conversation:
    lines = list(messages)
    unfolded = [_message(one) if isinstance(one, Mapping) else one for one in lines]
    # Agents keep each part of a reply on a line of its own.
    inner = [mapping_of(mapping_of(one).get("message")).get("id") for one in lines]
    goes_on = [
        this is not None and this == after
        for this, after in zip(inner, [*inner[1:], None], strict=False)
    ]
    present = {key_of(first_of(one, _ID_KEYS)) for one in unfolded if isinstance(one, Mapping)}
    nodes: list[Node] = []
    for place, message in enumerate(unfolded):
        if not isinstance(message, Mapping):
            problems.note("messages that can't be read")
            continue
        node = _node(message, problems)
        is_step = goes_on[place] and bool(node.reasoning) and not node.text.strip()
        node = replace(node, hidden=node.hidden or is_step)
        before = nodes[-1].id if nodes else None
        if not any(key in message for key in PARENT_KEYS):
            node = replace(node, parent=before)
        elif node.parent not in present and is_root(node.parent):
            node = replace(node, parent=None)
        nodes.append(node if node.id else replace(node, id=f"#{place}"))
    model = text_of(conv.get("model"))
    return grow(
        nodes,
        problems,
        current=key_of(first_of(conv, ("currNode", "currentNode", "current_node"))),
        title=text_of(first_of(conv, ("name", "title"))),
        created_at=time_of(conv),
        updated_at=seconds(first_of(conv, ("lastModified", "updated_at"))),
        settings={"model_id": model} if model else None,
    )


def _message(line: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the message in a line, with what only the line says of it."""
    inner = next((line[key] for key in _INNER if isinstance(line.get(key), Mapping)), None)
    if inner is None or speaker_of(line) not in (None, kind_of(line)):
        return line
    around = {key: value for key, value in line.items() if key not in (*_INNER, "type")}
    # The line's place in the tree is the one that other lines go by: two lines may hold parts of one message.
    places = {key: around[key] for key in (*_ID_KEYS, *PARENT_KEYS) if key in around}
    is_placed = any(key in around for key in _ID_KEYS)
    own = {
        key: value
        for key, value in inner.items()
        if value is not None and not (is_placed and key in _ID_KEYS)
    }
    return {**around, **own, **places}


def _node(message: Mapping[str, Any], problems: Problems) -> Node:
    kind = kind_of(message)
    is_other = speaker_of(message) is None and not called(kind)
    if is_other and kind not in (*_MESSAGES, "reasoning", "text", "root", ""):
        says = said({key: message.get(key) for key in ("content", "text", "value")}, Problems())
        summary = said(message.get("summary"), Problems())
        problems.note("lines that aren't messages", 1 if says.texts or summary.texts else 0)
        parent = key_of(first_of(message, PARENT_KEYS))
        return Node(key_of(first_of(message, _ID_KEYS)) or "", parent, hidden=True)
    return node_of(message, problems)


LLAMA_CPP: Final = Format(
    "llama.cpp", "llama.cpp web UI export", (".jsonl", ".json"), _matches, _read
)
