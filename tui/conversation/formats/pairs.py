"""Questions with their answers: rows of data sets (Alpaca, TRL, preferences), of logs and tables, and what search tools keep.

What was preferred is the reply that is shown, and what was not a variant of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from tui.conversation.conversation import Conversation
from tui.conversation.formats.base import Format, Node, grow
from tui.conversation.formats.content import said
from tui.conversation.formats.nodes import first_of, grouped, nodes_of, speaker_of, time_of
from tui.conversation.formats.problems import Problems
from tui.conversation.formats.values import list_of, mapping_of, some, text_of
from tui.conversation.turn import ASSISTANT, USER

QUESTION_KEYS: Final = (
    "prompt",
    "instruction",
    "question",
    "query",
    "query_str",
    "input",
    "message",
    "user",
    "human",
    "conversations",
    "messages",
)
ANSWER_KEYS: Final = (
    "completion",
    "chosen",
    "preferred_output",
    "response",
    "answer",
    "output",
    "assistant",
    "gpt",
)
_OTHER_ANSWER_KEYS: Final = ("rejected", "non_preferred_output")
_CONTEXT_KEYS: Final = ("input", "context")
"""What an instruction is about."""
_SYSTEM_KEYS: Final = ("system", "system_prompt")
_SPOKEN: Final = re.compile(r"\n\n(Human|Assistant):")


def is_pair(row: Any) -> bool:
    """Whether an object is a question with its answer."""
    if not isinstance(row, Mapping):
        return False
    answer = _answer_key(row)
    return bool(answer) and (_question_key(row, answer) != "" or _is_whole(row.get("chosen")))


def _is_told(value: Any) -> bool:
    return isinstance(value, str | list | Mapping) and bool(value)


def _answer_key(row: Mapping[str, Any]) -> str:
    return next((key for key in ANSWER_KEYS if _is_told(row.get(key))), "")


def _question_key(row: Mapping[str, Any], answer: str) -> str:
    return next((key for key in QUESTION_KEYS if key != answer and _is_told(row.get(key))), "")


def _is_whole(answer: Any) -> bool:
    """Whether an answer has the question before it, as in sets of preferences without a prompt."""
    if isinstance(answer, list):
        return any(speaker_of(one) == USER for one in answer if isinstance(one, Mapping))
    return isinstance(answer, str) and _SPOKEN.match(answer) is not None


def pair_nodes(row: Mapping[str, Any], problems: Problems, before: str | None = None) -> list[Node]:
    """Return the messages of a pair: what came before it, the question, the answer and what is there in its place.

    Args:
        before: the id of the message that the pair follows.
    """
    mark = f"{before or ''}>"
    answer_key = _answer_key(row)
    is_whole = _is_whole(row[answer_key])
    question_key = "" if is_whole else _question_key(row, answer_key)
    shown = _messages(row[answer_key], ASSISTANT)
    others = [
        _messages(row[key], ASSISTANT) for key in _OTHER_ANSWER_KEYS if _is_told(row.get(key))
    ]
    asked: list[Any] = []
    for turn in list_of(row.get("history")):
        asked += [
            {"role": role, "content": one}
            for role, one in zip((USER, ASSISTANT), list_of(turn), strict=False)
        ]
    if question_key:
        asked += _messages(_question(row, question_key), USER)
    shared = 0
    if not question_key:
        # All but the last message is the question, and stands in both.
        alike = [
            all(one == first for one in several)
            for first, *several in zip(shown, *others, strict=False)
        ]
        shared = [*alike, False].index(False)
        asked, shown = shown[:shared], shown[shared:]
        others = [one[shared:] for one in others]
    at = time_of(row)
    nodes: list[Node] = []

    def add(messages: list[Any], above: str | None, place: str) -> str | None:
        for node in nodes_of(messages, problems):
            made = replace(node, id=f"{mark}{place}{len(nodes)}", parent=above)
            made = replace(
                made,
                created_at=made.created_at or at,
                model=made.model or text_of(row.get("model")),
            )
            nodes.append(made)
            above = made.id
        return above

    end = add(asked, before, "q")
    for number, other in enumerate(others):
        add(other, end, f"o{number}_")
    add(shown, end, "a")
    return nodes


def _question(row: Mapping[str, Any], key: str) -> Any:
    question = row[key]
    contexts = [text_of(row.get(one)) for one in _CONTEXT_KEYS if one != key]
    if key not in ("instruction", "question", "prompt") or not isinstance(question, str):
        return question
    return "\n\n".join(text for text in (question, *contexts) if text.strip())


def _messages(value: Any, role: str) -> list[Any]:
    """Return what stands in the place of a question or an answer as messages."""
    if isinstance(value, Mapping) and isinstance(value.get("messages"), list):
        return list(value["messages"])
    if isinstance(value, list) and some(value, lambda one: "role" in one or "from" in one):
        return value
    if isinstance(value, Mapping) and ("role" in value or "from" in value):
        return [value]
    if isinstance(value, str) and _SPOKEN.match(value):
        parts = _SPOKEN.split(value)[1:]
        return [
            {"role": USER if name == "Human" else ASSISTANT, "content": text.strip()}
            for name, text in zip(parts[::2], parts[1::2], strict=True)
        ]
    return [{"role": role, "content": _opened(value)}]


def _opened(value: Any) -> Any:
    """Return an answer that AnythingLLM keeps as JSON in a text; any other value as it is."""
    if not isinstance(value, str) or not value.startswith('{"text":'):
        return value
    try:
        inner = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return inner.get("text") if "sources" in inner or "type" in inner else value


def _matches(document: Any) -> bool:
    return some(document, is_pair)


def _read(document: Any, problems: Problems) -> list[Conversation]:
    rows = document if isinstance(document, list) else [document]
    pairs = [row for row in rows if is_pair(row)]
    problems.note("entries that aren't chats", len(rows) - len(pairs))
    have_chats = [first_of(row, _GROUP_KEYS) is not None for row in pairs]
    groups = grouped(pairs) if all(have_chats) else [[row] for row in pairs]
    return [_chat(group, problems) for group in groups]


_GROUP_KEYS: Final = ("conversation_id", "conversationId", "thread_id", "session_id", "chat_id")


def _chat(rows: list[Mapping[str, Any]], problems: Problems) -> Conversation:
    nodes: list[Node] = []
    for row in rows:
        added = pair_nodes(row, problems, nodes[-1].id if nodes else None)
        nodes += added
    first = rows[0]
    titles = (text_of(row.get("conversation_name")) or text_of(row.get("title")) for row in rows)
    model = text_of(mapping_of(first).get("model"))
    return grow(
        nodes,
        problems,
        current=nodes[-1].id if nodes else None,
        system_prompt=said(first_of(first, _SYSTEM_KEYS), problems).text,
        title=next(filter(None, titles), ""),
        created_at=time_of(first),
        settings={"model_id": model} if model else None,
    )


PAIRS: Final = Format(
    "pairs", "Questions and answers", (".jsonl", ".json", ".csv"), _matches, _read
)
