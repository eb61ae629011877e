"""What every exchange format is made of: its description, what could not be taken over, and the tree that is grown from messages.

A format's module knows the shape of one tool's file and nothing of files on disk. Whatever a file holds, reading it gives
chats, `Problems` and at worst a `ChatFormatError`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from tui.conversation.conversation import ROOT, Conversation, title_from
from tui.conversation.formats.markup import parted
from tui.conversation.formats.problems import Problems
from tui.conversation.formats.values import KNOWN_ROLES, each
from tui.conversation.parts import Part, TextPart, others
from tui.conversation.turn import ASSISTANT, SYSTEM, USER, Generation, Turn, new_id, now
from tui.dataclass import dataclass

_MOST_REPEATS: Final = 20
"""So many replies take over the same reasoning, so that what is made of a file doesn't grow with the square of its size."""
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
        hidden: not a turn itself; what follows it follows its parent instead, and a reply takes over its reasoning and its parts.
        passed_over: what hidden messages with a text are called, in the plural.
        parts: what it is made of where that is more than text; `text` is what is said.
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
    passed_over: str = "hidden messages"
    parts: tuple[Part, ...] = ()


def chats_in(
    document: Any,
    problems: Problems,
    is_chat: Callable[[Mapping[str, Any]], bool],
    read_chat: Callable[[Mapping[str, Any], Problems], Conversation],
) -> list[Conversation]:
    """Return the chats among a document's entries, or of itself; an entry that is none is counted as left out."""
    chats = []
    for entry in each(document):
        if isinstance(entry, Mapping) and is_chat(entry):
            chats.append(read_chat(entry, problems))
        else:
            problems.note("entries that aren't chats")
    return chats


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
    itself, becomes a first one; one whose id was there before gets another. Siblings keep their order; their times are moved
    on where they would not show it. What says nothing is left out and counted.

    Args:
        current: the message that the active path leads through; None for the newest.
    """
    known = _unlooped(_by_id(nodes, problems), problems)
    known = {key: _read(node, problems) for key, node in known.items()}
    known = _with_thoughts_shown(known)
    above = _shown_above(known)
    firsts = [node for key, node in known.items() if not node.hidden and above[key] is None]
    if (
        len(firsts) == 1
        and firsts[0].role == SYSTEM
        and system_prompt.strip() in ("", firsts[0].text.strip())
    ):
        system_prompt = firsts[0].text
        known[firsts[0].id] = replace(firsts[0], hidden=True)
        above = _shown_above(known)
    for role, count in Counter(node.role for node in known.values() if not node.hidden).items():
        if role not in KNOWN_ROLES:
            problems.tell(f"Messages with the unknown role {role[:40]!r}", count)
    turns = _turns(known, above)
    selected: dict[str, str] = {}
    at = current if current in known else None
    while at is not None:
        node = known[at]
        if not node.hidden:
            turn = turns[at]
            selected[turn.parent or ROOT] = turn.id
        at = node.parent
    first = next((turn.gist for turn in turns.values() if turn.role == USER), "")
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


def _by_id(nodes: Iterable[Node], problems: Problems) -> dict[str, Node]:
    """Return the messages by their ids; one that has none, or another's, gets one."""
    known: dict[str, Node] = {}
    for node in nodes:
        key = node.id
        if key and node == known.get(key):
            problems.note("duplicate messages")
            continue
        if key in known:
            problems.tell("Messages given a new ID because theirs was taken")
        while not key or key in known:
            key = new_id()
        known[key] = replace(node, id=key)
    return known


def _read(node: Node, problems: Problems) -> Node:
    """Return a message with its reasoning and its text apart, hidden where it says nothing."""
    if node.hidden:
        problems.note(node.passed_over, 1 if node.text.strip() else 0)
        return node
    if node.role == ASSISTANT:
        thoughts, text = parted(node.text, problems)
        reasoning = "\n\n".join(part for part in (node.reasoning, thoughts) if part)
        node = replace(node, text=text, reasoning=reasoning)
    if not node.text.strip() and not node.reasoning.strip():
        has_parts = bool(others(node.parts))
        problems.note("messages without text", not has_parts)
        # The reply that follows the tool call includes it.
        return replace(node, hidden=not has_parts or node.role == ASSISTANT)
    return node


def _with_thoughts_shown(known: Mapping[str, Node]) -> dict[str, Node]:
    """Return the messages, and among them as turns the hidden ones whose reasoning no reply takes over."""
    children: dict[str, list[Node]] = {}
    for node in known.values():
        if node.parent is not None:
            children.setdefault(node.parent, []).append(node)
    taken: set[str] = set()
    pending = [node for node in known.values() if not node.hidden and node.role == ASSISTANT]
    while pending:
        parent = pending.pop().parent
        if parent is not None and known[parent].hidden and parent not in taken:
            taken.add(parent)
            pending.append(known[parent])
    return {
        key: replace(node, hidden=False, role=ASSISTANT, text="")
        if node.hidden and (node.reasoning.strip() or others(node.parts)) and key not in taken
        else node
        for key, node in known.items()
    }


def _unlooped(nodes: dict[str, Node], problems: Problems) -> dict[str, Node]:
    """Return the nodes with every parent present and none its own ancestor."""
    result = dict(nodes)
    for key, node in nodes.items():
        if node.parent is not None and node.parent not in nodes:
            result[key] = replace(node, parent=None)
            problems.note("positions of messages in the chat")
    settled: set[str] = set()
    for key in nodes:
        way: set[str] = set()
        at: str | None = key
        while at is not None and at not in settled:
            if at in way:
                result[at] = replace(result[at], parent=None)
                problems.note("positions of messages in the chat")
                break
            way.add(at)
            at = result[at].parent
        settled |= way
    return result


def _shown_above(known: Mapping[str, Node]) -> dict[str, str | None]:
    """Return for each message the nearest one above that is shown."""
    found: dict[str, str | None] = {}
    for key in known:
        way: list[str] = []
        at: str | None = key
        while at is not None and at not in found:
            way.append(at)
            at = known[at].parent
        for below in reversed(way):
            node = known[below]
            above = known[node.parent] if node.parent is not None else None
            found[below] = found[above.id] if above is not None and above.hidden else node.parent
    return found


def _turns(known: Mapping[str, Node], above: Mapping[str, str | None]) -> dict[str, Turn]:
    """Return a turn for each message that is shown, by the file's id, parents before children."""
    place = {child: index for node in known.values() for index, child in enumerate(node.children)}
    below: dict[str | None, list[Node]] = {}
    for node in known.values():
        if not node.hidden:
            below.setdefault(above[node.id], []).append(node)
    taken: Counter[str] = Counter()
    turns: dict[str, Turn] = {}
    pending: list[str | None] = [None]
    while pending:
        key = pending.pop()
        parent = turns[key] if key is not None else None
        earliest = parent.created_at if parent else 0.0
        siblings = below.get(key, [])
        siblings.sort(key=lambda node: place.get(node.id, len(known)))
        for node in siblings:
            created_at = max(node.created_at or earliest or now(), earliest)
            earliest = round(created_at + 0.001, 3)
            parent_id = parent.id if parent else None
            turns[node.id] = _turn(node, parent_id, created_at, _above(node, known, taken))
        pending += [node.id for node in reversed(siblings)]
    return turns


def _above(node: Node, known: Mapping[str, Node], taken: Counter[str]) -> list[Node]:
    """Return the hidden messages right above a reply, of which it takes over the reasoning and the parts.

    Args:
        taken: how many replies took over those of each, which grows.
    """
    found: list[Node] = []
    at = node.parent if node.role == ASSISTANT else None
    while at is not None and known[at].hidden and taken[at] < _MOST_REPEATS:
        # Whoever took it over has those further up, too.
        taken[at] += 1
        found.append(known[at])
        at = known[at].parent
    return found[::-1]


def _turn(node: Node, parent: str | None, created_at: float, above: Sequence[Node]) -> Turn:
    reasoning = "\n\n".join(one.reasoning for one in (*above, node) if one.reasoning)
    own = node.parts
    if node.text and not any(isinstance(part, TextPart) for part in own):
        own = (TextPart(node.text), *own)
    parts = (*(part for one in above for part in others(one.parts)), *own)
    generation = Generation(model=node.model) if node.model and node.role == ASSISTANT else None
    return Turn(
        new_id(),
        parent,
        node.role,
        node.text,
        created_at,
        reasoning=reasoning,
        generation=generation,
        parts=parts if others(parts) else (),
    )


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
