"""What every exchange format is made of: its description, and the tree that is grown from another tool's messages.

A format's module knows the shape of one tool's file and nothing of files on disk. Whatever a file holds, reading it gives
chats, `Problems` and at worst a `ChatFormatError`.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from tui.conversation.conversation import ROOT, Conversation, title_from
from tui.conversation.messages import content_text, split_reasoning
from tui.conversation.turn import ASSISTANT, SYSTEM, USER, Generation, Turn, new_id, now

ROLES: Final[Mapping[str, str]] = {
    "human": USER,
    "gpt": ASSISTANT,
    "bot": ASSISTANT,
    "chatgpt": ASSISTANT,
    "model": ASSISTANT,
    "ai": ASSISTANT,
    "developer": SYSTEM,
    "function": "tool",
}
"""What other tools call the roles of a chat template."""


class Problems:
    """Counts what of a file could not be taken over."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._said: list[str] = []

    def note(self, what: str, count: int = 1) -> None:
        """Note `count` parts that were left out, named as in "an image"."""
        if count > 0:
            self._counts[what] += count

    def say(self, sentence: str) -> None:
        """Note a sentence as it is."""
        self._said.append(sentence)

    def sentences(self) -> tuple[str, ...]:
        """Return one sentence for each kind of part."""
        counted = [f"{count} × {what} was left out" for what, count in self._counts.items()]
        return (*self._said, *counted)


Reader = Callable[[Any, Problems], list[Conversation]]
Writer = Callable[[Sequence[Conversation]], str]


@dataclass(frozen=True, slots=True)
class Format:
    """One kind of chat file.

    Attributes:
        name: what is typed after `--to`.
        label: what a person is shown.
        extensions: of the file names it usually has, with the dot; the first is that of an export.
        matches: whether a JSON value looks like this format.
        read: returns the chats of such a value; None for an export only format.
        write: returns the text of a file; None for an import only format.
    """

    name: str
    label: str
    extensions: tuple[str, ...]
    matches: Callable[[Any], bool]
    read: Reader | None = None
    write: Writer | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """One message as another tool's file has it.

    Attributes:
        id: as in the file; the turn gets one of ours.
        parent: the id of the message before it; None for a first one.
        created_at: Unix time in seconds; 0 for unknown.
        children: the order of what follows, where the file has one.
        hidden: not a turn itself; what follows it follows its parent instead.
    """

    id: str
    parent: str | None
    role: str = USER
    text: str = ""
    reasoning: str = ""
    created_at: float = 0.0
    model: str = ""
    children: Sequence[str] = ()
    hidden: bool = False


def grow(
    nodes: Iterable[Node],
    problems: Problems,
    *,
    current: str | None = None,
    system_prompt: str = "",
    title: str = "",
    created_at: float = 0.0,
    updated_at: float = 0.0,
    settings: Mapping[str, Any] | None = None,
) -> Conversation:
    """Return the chat that another tool's messages form.

    A single first message of the system becomes the system prompt. A message whose parent is missing, or that follows
    itself, becomes a first one. Siblings keep their order; their times are moved on where they would not show it.

    Args:
        current: the message that the active path leads through; None for the newest.
    """
    known = _unlooped({node.id: node for node in nodes}, problems)
    above = _shown_above(known)
    firsts = [node for key, node in known.items() if not node.hidden and above[key][0] is None]
    if len(firsts) == 1 and firsts[0].role == SYSTEM and not system_prompt:
        system_prompt = firsts[0].text
        known[firsts[0].id] = replace(firsts[0], hidden=True)
        above = _shown_above(known)
    turns = _turns(known, above)
    selected: dict[str, str] = {}
    at = current if current in known else None
    while at is not None:
        node = known[at]
        if not node.hidden:
            turn = turns[at]
            selected[turn.parent or ROOT] = turn.id
        at = node.parent
    first = next((turn.text for turn in turns.values() if turn.role == USER), "")
    began = created_at or min((turn.created_at for turn in turns.values()), default=now())
    return Conversation(
        title=" ".join(title.split()) or title_from(first),
        system_prompt=system_prompt,
        created_at=began,
        updated_at=max(began, updated_at or now()),
        turns={turn.id: turn for turn in turns.values()},
        selected=selected,
        settings=settings or {},
    )


def chain(nodes: Iterable[Node], problems: Problems, **fields: Any) -> Conversation:
    """Return the chat whose messages follow each other as listed, whatever their ids and parents."""
    linked: list[Node] = []
    for node in nodes:
        parent = linked[-1].id if linked else None
        linked.append(replace(node, id=str(len(linked)), parent=parent))
    return grow(linked, problems, **fields)


def _unlooped(nodes: dict[str, Node], problems: Problems) -> dict[str, Node]:
    """Return the nodes with every parent present and none its own ancestor."""
    result = dict(nodes)
    for key, node in nodes.items():
        if node.parent is not None and node.parent not in nodes:
            result[key] = replace(node, parent=None)
            problems.note("the place of a message in the chat")
    settled: set[str] = set()
    for key in nodes:
        way: set[str] = set()
        at: str | None = key
        while at is not None and at not in settled:
            if at in way:
                result[at] = replace(result[at], parent=None)
                problems.note("the place of a message in the chat")
                break
            way.add(at)
            at = result[at].parent
        settled |= way
    return result


def _shown_above(known: Mapping[str, Node]) -> dict[str, tuple[str | None, str]]:
    """Return for each message the nearest one above that is shown, and the reasoning of the hidden ones between."""
    found: dict[str, tuple[str | None, str]] = {}
    for key in known:
        way: list[str] = []
        at: str | None = key
        while at is not None and at not in found:
            way.append(at)
            at = known[at].parent
        for below in reversed(way):
            node = known[below]
            above = known[node.parent] if node.parent is not None else None
            if above is not None and above.hidden:
                shown, thoughts = found[above.id]
                parts = (thoughts, above.reasoning)
                found[below] = (shown, "\n\n".join(part for part in parts if part))
            else:
                found[below] = (node.parent, "")
    return found


def _turns(
    known: Mapping[str, Node], above: Mapping[str, tuple[str | None, str]]
) -> dict[str, Turn]:
    """Return a turn for each message that is shown, by the file's id, parents before children."""
    place = {child: index for node in known.values() for index, child in enumerate(node.children)}
    below: dict[str | None, list[tuple[Node, str]]] = {}
    for node in known.values():
        if not node.hidden:
            shown, thoughts = above[node.id]
            below.setdefault(shown, []).append((node, thoughts))
    turns: dict[str, Turn] = {}
    pending: list[str | None] = [None]
    while pending:
        key = pending.pop()
        parent = turns[key] if key is not None else None
        earliest = parent.created_at if parent else 0.0
        siblings = below.get(key, [])
        siblings.sort(key=lambda pair: place.get(pair[0].id, len(known)))
        for node, thoughts in siblings:
            created_at = max(node.created_at or earliest or now(), earliest)
            earliest = round(created_at + 0.001, 3)
            turns[node.id] = _turn(node, parent.id if parent else None, created_at, thoughts)
        pending += [node.id for node, _ in reversed(siblings)]
    return turns


def _turn(node: Node, parent: str | None, created_at: float, thoughts: str) -> Turn:
    text, reasoning = node.text, node.reasoning
    if node.role == ASSISTANT:
        if not reasoning:
            reasoning, text = split_reasoning(text)
        reasoning = "\n\n".join(part for part in (thoughts, reasoning) if part)
    generation = Generation(model=node.model) if node.model else None
    return Turn(
        new_id(), parent, node.role, text, created_at, reasoning=reasoning, generation=generation
    )


# -- reading values of any type


def each(document: Any) -> Iterator[Any]:
    """Yield the entries of a list, or the one value itself."""
    if isinstance(document, list):
        yield from document
    else:
        yield document


def some(document: Any, test: Callable[[Mapping[str, Any]], bool]) -> bool:
    """Whether the value, or one of a list's first entries, is an object that passes the test."""
    entries = document[:100] if isinstance(document, list) else [document]
    return any(isinstance(entry, Mapping) and test(entry) for entry in entries)


def objects(values: Any, problems: Problems, what: str) -> list[Mapping[str, Any]]:
    """Return the objects of a list (or of an object's values), and note the others as left out."""
    listed = list(values.values()) if isinstance(values, Mapping) else values
    if not isinstance(listed, list):
        return []
    found = [value for value in listed if isinstance(value, Mapping)]
    problems.note(what, len(listed) - len(found))
    return found


def text_of(value: Any) -> str:
    """Return a string, or "" for any other value."""
    return value if isinstance(value, str) else ""


def mapping_of(value: Any) -> Mapping[str, Any]:
    """Return an object, or an empty one for any other value."""
    return value if isinstance(value, Mapping) else {}


def key_of(value: Any) -> str | None:
    """Return an id as text, whether the file has a string or a whole number; None for any other value."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value)


def role_of(value: Any) -> str:
    """Return the name that chat templates know for another tool's role; an unknown one stays as it is."""
    role = text_of(value).strip().lower()
    return ROLES.get(role, role) or USER


def seconds(value: Any) -> float:
    """Return a time as Unix seconds, given as seconds or milliseconds; 0 for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    if not 0 < value < 1e14 or not math.isfinite(value):
        return 0.0
    return round(float(value) / 1000 if value > 1e11 else float(value), 3)


def text_content(content: Any, problems: Problems) -> str:
    """Return a message's content as text, and note images and other parts that are none."""
    if isinstance(content, list):
        for part in content:
            if isinstance(part, Mapping) and not isinstance(part.get("text"), str):
                kind = text_of(part.get("type") or part.get("content_type")).lower()
                problems.note("an image" if "image" in kind else "an attachment")
    return content_text(content)


# -- writing


def to_json(value: Any, *, indent: int | None = 1) -> str:
    """Return JSON that can be written as UTF-8, readable by a person where possible."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, indent=indent)
    return text


def one_or_list(values: Sequence[Any]) -> Any:
    """Return the only value, or the list of several: how a JSON file holds one chat or many."""
    return values[0] if len(values) == 1 else list(values)
