"""SillyTavern chat: a line about the chat, then a message a line; the swipes of a message are its variants."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from tui.conversation.conversation import Conversation
from tui.conversation.formats.base import Format, Node, grow
from tui.conversation.formats.content import said
from tui.conversation.formats.problems import Problems
from tui.conversation.formats.values import each, list_of, mapping_of, seconds, some, text_of
from tui.conversation.turn import ASSISTANT, USER

_PLACE: Final = re.compile(r"\{\{(user|char)\}\}", re.IGNORECASE)


def _is_message(entry: Mapping[str, Any]) -> bool:
    return isinstance(entry.get("mes"), str) and "is_user" in entry


def _is_header(entry: Mapping[str, Any]) -> bool:
    return "mes" not in entry and ("character_name" in entry or "chat_metadata" in entry)


def _matches(document: Any) -> bool:
    return some(document, _is_message)


def _read(document: Any, problems: Problems) -> list[Conversation]:
    nodes: list[Node] = []
    header: Mapping[str, Any] = {}
    at: str | None = None
    names: dict[str, None] = {}
    users: dict[str, None] = {}
    for index, entry in enumerate(each(document)):
        if isinstance(entry, Mapping) and _is_header(entry):
            header = entry
        elif not isinstance(entry, Mapping) or not isinstance(entry.get("mes"), str):
            problems.note("messages that can't be read")
        else:
            versions, shown = _versions(index, at, entry, problems)
            _note_beside(entry, problems)
            nodes += versions
            at = versions[shown].id
            if not versions[shown].hidden and versions[shown].role == ASSISTANT:
                names[text_of(entry.get("name"))] = None
            elif versions[shown].role == USER:
                users[text_of(entry.get("name"))] = None
    if len(names) > 1:
        problems.say("It has several characters; their names were left out")
    title = _name_in(header, "character_name")
    character = title or next(iter(names), "")
    user = _name_in(header, "user_name") or next(iter(users), "")
    problems.note(
        "author's notes",
        bool(text_of(mapping_of(header.get("chat_metadata")).get("note_prompt")).strip()),
    )
    return [
        grow(
            [_named(node, user, character) for node in nodes],
            problems,
            current=at,
            title=character,
            created_at=seconds(header.get("create_date")),
        )
    ]


def _name_in(header: Mapping[str, Any], key: str) -> str:
    """Return a name of the header, in which newer versions say that it is not used."""
    name = text_of(header.get(key)).strip()
    return "" if name == "unused" else name


def _named(node: Node, user: str, character: str) -> Node:
    """Return a message with the names in the places that are kept free for them; where there is none, the place stays."""
    names = {"user": user, "char": character}

    def name(found: re.Match[str]) -> str:
        return names[found[1].lower()] or found[0]

    return replace(
        node, text=_PLACE.sub(name, node.text), reasoning=_PLACE.sub(name, node.reasoning)
    )


def _versions(
    index: int, parent: str | None, entry: Mapping[str, Any], problems: Problems
) -> tuple[list[Node], int]:
    """Return the nodes of a message, one for each of its swipes, and the place of the one that is shown."""
    shown_text = entry["mes"]
    about = list_of(entry.get("swipe_info"))
    swipes = list_of(entry.get("swipes"))
    texts = [
        (said(swipe, problems).text, mapping_of(about[n]) if n < len(about) else {})
        for n, swipe in enumerate(swipes)
    ]
    chosen = entry.get("swipe_id")
    shown = chosen if isinstance(chosen, int) and 0 <= chosen < len(texts) else -1
    if shown < 0 or texts[shown][0] != shown_text:
        shown = next((n for n, (text, _) in enumerate(texts) if text == shown_text), len(texts))
    if shown == len(texts):
        texts.append((shown_text, {}))
    # What stands beside the message belongs to the swipe that is shown.
    texts[shown] = (shown_text, entry)
    role = USER if entry.get("is_user") is True else ASSISTANT
    nodes = []
    for number, (text, info) in enumerate(texts):
        extra = mapping_of(info.get("extra"))
        nodes.append(
            Node(
                f"{index}_{number}",
                parent,
                role,
                text,
                text_of(extra.get("reasoning")),
                created_at=seconds(info.get("send_date")),
                model=text_of(extra.get("model")),
                hidden=entry.get("is_system") is True,
            )
        )
    return nodes, shown


def _note_beside(entry: Mapping[str, Any], problems: Problems) -> None:
    extra = mapping_of(entry.get("extra"))
    images = list_of(extra.get("image_swipes")) or list_of(extra.get("media"))
    problems.note("images", len(images) or (1 if extra.get("image") else 0))
    problems.note(
        "attachments", len(list_of(extra.get("files"))) or (1 if extra.get("file") else 0)
    )
    problems.note("tool calls", len(list_of(extra.get("tool_invocations"))))


SILLY_TAVERN: Final = Format("silly-tavern", "SillyTavern chat", (".jsonl",), _matches, _read)
