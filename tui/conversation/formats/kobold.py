"""KoboldAI Lite save: one text in pieces, in which the marks of an instruction, or the names of a chat, say who speaks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from tui.conversation.conversation import Conversation
from tui.conversation.formats.base import Format, Node, chain, chats_in
from tui.conversation.formats.problems import Problems
from tui.conversation.formats.values import list_of, mapping_of, some, text_of
from tui.conversation.turn import ASSISTANT, SYSTEM, USER

_PLACEHOLDERS: Final = (
    ("{{[INPUT]}}", USER),
    ("{{[OUTPUT]}}", ASSISTANT),
    ("{{[SYSTEM]}}", SYSTEM),
)
"""What newer versions write for the marks, whatever the template is."""
_ENDS: Final = ("{{[INPUT_END]}}", "{{[OUTPUT_END]}}", "{{[SYSTEM_END]}}")
_MOST_SPEAKERS: Final = 100
_CHAT_MODE: Final = 3
_ALPACA: Final = ("\n### Instruction:\n", "\n### Response:\n")


def _is_save(entry: Mapping[str, Any]) -> bool:
    return isinstance(entry.get("prompt"), str) and isinstance(entry.get("actions"), list)


def _read(document: Any, problems: Problems) -> list[Conversation]:
    return chats_in(document, problems, _is_save, _chat)


def _chat(entry: Mapping[str, Any], problems: Problems) -> Conversation:
    settings = mapping_of(entry.get("savedsettings"))
    actions = [text_of(one) for one in list_of(entry.get("actions"))]
    problems.note(
        "parts that can't be read",
        sum(not isinstance(one, str) for one in list_of(entry.get("actions"))),
    )
    for key, what in (
        ("memory", "story memories"),
        ("authorsnote", "author's notes"),
    ):
        problems.note(what, 1 if text_of(entry.get(key)).strip() else 0)
    problems.note("world info entries", len(list_of(entry.get("worldinfo"))))
    return chain(
        _nodes("".join((entry["prompt"], *actions)), settings),
        problems,
        title=text_of(entry.get("title")),
        system_prompt=text_of(settings.get("instruct_sysprompt")).strip(),
    )


def _nodes(text: str, settings: Mapping[str, Any]) -> list[Node]:
    marks = _marks(settings)
    for end in _ENDS:
        text = text.replace(end, "")
    pattern = re.compile("|".join(map(re.escape, sorted(marks, key=len, reverse=True))))
    nodes: list[Node] = []
    # Text before the first mark has no author: it is the opening of a story.
    role, at = ASSISTANT, 0
    for mark in pattern.finditer(text):
        nodes += _node(role, text[at : mark.start()])
        role, at = marks[mark[0]], mark.end()
    return [*nodes, *_node(role, text[at:])]


def _node(role: str, text: str) -> list[Node]:
    return [Node("", None, role, text.strip())] if text.strip() else []


def _marks(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return what stands before a text of each speaker."""
    marks = dict(_PLACEHOLDERS)
    if settings.get("opmode") == _CHAT_MODE:
        user = text_of(settings.get("chatname")) or "User"
        bots = text_of(settings.get("chatopponent")) or "KoboldGPT"
        marks[f"\n{user}:"] = USER
        # Several characters stand in one field.
        marks |= {f"\n{bot}:": ASSISTANT for bot in bots.split("||$||")[:_MOST_SPEAKERS] if bot}
        return marks
    for key, plain, role in zip(
        ("instruct_starttag", "instruct_endtag"), _ALPACA, (USER, ASSISTANT), strict=True
    ):
        tag = text_of(settings.get(key)).replace("\\n", "\n").strip() or plain.strip()
        marks[tag] = role
    return marks


KOBOLD: Final = Format(
    "kobold", "KoboldAI Lite save", (".json",), lambda document: some(document, _is_save), _read
)
