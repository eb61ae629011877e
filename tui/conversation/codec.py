"""A chat as the JSON that stands on disk, and back.

`chat_history` holds the active path as `{"role", "content"}` entries, so that other tools can use the file as it is;
`tree` holds everything and is what is read. A file without a `tree`, such as a `transformers chat` save, is one branch.
Reading is lenient about parts (a broken turn is left out and named in `problems`) and strict about the whole.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Final, TypeVar

from tui.conversation.conversation import ROOT, Conversation, from_messages, title_from
from tui.conversation.history import HISTORY_LIMIT, History, Patch, fitting
from tui.conversation.messages import REASONING_KEYS, content_text, plain_message
from tui.conversation.turn import (
    USER,
    Generation,
    Message,
    ReplyStats,
    Status,
    Turn,
    new_id,
    now,
)

FORMAT: Final = 1
"""The number that this version writes; a file with a greater one is read but must not be written over."""

_Any = TypeVar("_Any")

NESTING_LIMIT: Final = 100
"""How deeply a part of a file that is only kept may be nested."""


class ChatFormatError(ValueError):
    """A file's content is no chat; the message is a sentence for a person."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A chat read from JSON.

    Attributes:
        conversation: what could be read.
        format: the file's format number; 0 for a file of another tool.
        problems: a sentence for each part that could not be read.
    """

    conversation: Conversation
    format: int = FORMAT
    problems: tuple[str, ...] = ()

    @property
    def is_newer(self) -> bool:
        """Whether a newer version wrote the file, so that writing it back could lose what this one can't know."""
        return self.format > FORMAT


# -- writing


def encode(conversation: Conversation) -> dict[str, Any]:
    """Return the JSON object of a chat."""
    return _outline(conversation) | {
        "chat_history": [
            {"role": message.role, "content": message.content}
            for message in conversation.history_messages()
        ],
        "tree": {
            "selected": dict(conversation.selected),
            "turns": [encode_turn(turn) for turn in conversation.turns.values()],
        },
        "history": {
            "undo": [_encode_patch(patch) for patch in conversation.history.undo],
            "redo": [_encode_patch(patch) for patch in conversation.history.redo],
        },
    }


def dumps(conversation: Conversation) -> bytes:
    """Return a chat as UTF-8 JSON, indented so that a person can read it.

    A lone surrogate, which UTF-8 can't hold, is written as a JSON escape and so survives.
    """
    return b"".join(ChatEncoder().pieces(conversation))


class ChatEncoder:
    """Writes one chat again and again at a small price: turns and patches never change, so their JSON is kept."""

    def __init__(self) -> None:
        # By identity, with the value itself held so that its identity stays its own.
        self._kept: dict[int, tuple[Turn | Patch, bytes]] = {}

    def pieces(self, conversation: Conversation) -> Iterator[bytes]:
        """Yield the bytes of `dumps` piece by piece.

        Raises:
            TypeError, ValueError, RecursionError: a value that no JSON can hold.
        """
        used: dict[int, tuple[Turn | Patch, bytes]] = {}
        before = b"{\n "
        for key, value in _outline(conversation).items():
            yield before + _json(key, 0) + b": "
            if key == "chat_history":
                yield from _listed(map(_history_entry, conversation.history_messages()), 1)
            elif key == "tree":
                yield b'{\n  "selected": ' + _json(dict(conversation.selected), 2)
                yield b',\n  "turns": '
                yield from _listed((self._piece(t, used) for t in conversation.turns.values()), 2)
                yield b"\n }"
            elif key == "history":
                yield b'{\n  "undo": '
                yield from _listed((self._piece(p, used) for p in conversation.history.undo), 2)
                yield b',\n  "redo": '
                yield from _listed((self._piece(p, used) for p in conversation.history.redo), 2)
                yield b"\n }"
            else:
                yield _json(value, 1)
            before = b",\n "
        yield b"\n}"
        self._kept = used

    def _piece(self, value: Turn | Patch, used: dict[int, tuple[Turn | Patch, bytes]]) -> bytes:
        entry = self._kept.get(id(value))
        if entry is None:
            encoded = encode_turn(value) if isinstance(value, Turn) else _encode_patch(value)
            entry = (value, _json(encoded, 3))
        used[id(value)] = entry
        return entry[1]


def _outline(conversation: Conversation) -> dict[str, Any]:
    """Return the chat's JSON object with its long parts left empty."""
    return dict(conversation.extra) | {
        "format": FORMAT,
        "id": conversation.id,
        "title": conversation.title,
        "created_at": conversation.created_at,
        "updated_at": conversation.updated_at,
        "settings": dict(conversation.settings),
        "chat_history": [],
        "system_prompt": conversation.system_prompt,
        "context": _encode_context(conversation),
        "tree": {},
        "history": {},
    }


def _encode_context(conversation: Conversation) -> dict[str, Any]:
    parts = {"unseen": list(conversation.unseen), "summary": conversation.summary}
    return {key: value for key, value in parts.items() if value}


def _json(value: Any, level: int) -> bytes:
    """Return a value as indented JSON that stands `level` levels deep."""
    # A raw line end in JSON is always layout: in a string it is escaped.
    margin = "\n" + " " * level
    try:
        text = json.dumps(value, ensure_ascii=False, indent=1, default=str)
        return text.replace("\n", margin).encode()
    except UnicodeEncodeError:
        return json.dumps(value, indent=1, default=str).replace("\n", margin).encode()


def _history_entry(message: Message) -> bytes:
    role, content = _json(message.role, 0), _json(message.content, 0)
    return b'{\n   "role": ' + role + b',\n   "content": ' + content + b"\n  }"


def _listed(items: Iterable[bytes], level: int) -> Iterator[bytes]:
    margin = b"\n" + b" " * (level + 1)
    before = b"["
    for item in items:
        yield before + margin + item
        before = b","
    yield b"[]" if before == b"[" else b"\n" + b" " * level + b"]"


def encode_turn(turn: Turn) -> dict[str, Any]:
    """Return the JSON object of one turn; what is empty is left out."""
    entry: dict[str, Any] = dict(turn.extra)
    entry |= {
        "id": turn.id,
        "parent": turn.parent,
        "role": turn.role,
        "content": turn.text,
        "created_at": turn.created_at,
    }
    if turn.reasoning:
        entry["reasoning_content"] = turn.reasoning
    if turn.status is not Status.COMPLETE:
        entry["status"] = turn.status.value
    if turn.error:
        entry["error"] = turn.error
    if turn.origin:
        entry["origin"] = turn.origin
    if turn.generation:
        generation = turn.generation
        entry["generation"] = {
            "model": generation.model,
            **({"name": generation.name} if generation.name else {}),
            "quantization": generation.quantization,
            "parameters": dict(generation.parameters),
            **({"start_text": generation.start_text} if generation.start_text else {}),
            **({"continued": True} if generation.continued else {}),
            "stats": {key: value for key, value in asdict(generation.stats).items() if value},
        }
    return entry


def _encode_patch(patch: Patch) -> dict[str, Any]:
    entry: dict[str, Any] = {"label": patch.label}
    if patch.turns:
        entry["turns"] = {key: turn and encode_turn(turn) for key, turn in patch.turns.items()}
    if patch.selected:
        entry["selected"] = dict(patch.selected)
    if patch.fields:
        entry["fields"] = dict(patch.fields)
    return entry


# -- reading


def loads(data: bytes | str) -> Decoded:
    """Read a chat from JSON text.

    Raises:
        ChatFormatError: it is not JSON, or JSON that holds no chat.
    """
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
        document = json.loads(text)
    except UnicodeDecodeError as error:
        raise ChatFormatError("it is not a text file") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ChatFormatError(f"it is not complete JSON ({error.msg}, {where})") from error
    except (RecursionError, ValueError) as error:
        raise ChatFormatError(f"its JSON can't be read ({error})") from error
    return decode(document)


def decode(document: Any) -> Decoded:
    """Read a chat from a JSON value.

    Raises:
        ChatFormatError: it holds no chat.
    """
    if not isinstance(document, Mapping):
        raise ChatFormatError("it holds no chat (a JSON object with a chat_history is expected)")
    tree = document.get("tree")
    if isinstance(tree, Mapping) and isinstance(tree.get("turns"), list):
        return _decode_tree(document, tree)
    history = document.get("chat_history")
    if not isinstance(history, list):
        raise ChatFormatError("it holds no chat (there is no chat_history in it)")
    return _decode_history(document, history)


def _decode_history(document: Mapping[str, Any], history: list[Any]) -> Decoded:
    """Read the save of another tool, or a file of ours that lost its tree."""
    entries = [entry for entry in history if isinstance(entry, Mapping)]
    problems = _count_problem(
        len(history) - len(entries), "entry of its chat_history", "entries of it"
    )
    cleaned = [
        {**_unknown(entry, _TURN_KEYS.union(REASONING_KEYS)), **plain_message(entry)}
        for entry in entries
    ]
    settings = document.get("settings")
    conversation = from_messages(cleaned)
    conversation = replace(
        conversation,
        title=_text(document.get("title")) or conversation.title,
        settings=_flat_enough(dict(settings)) if isinstance(settings, Mapping) else {},
        extra=_unknown(document, _DOCUMENT_KEYS),
    )
    return Decoded(conversation, _format(document, default=0), tuple(problems))


def _decode_tree(document: Mapping[str, Any], tree: Mapping[str, Any]) -> Decoded:
    turns: dict[str, Turn] = {}
    broken = 0
    for entry in tree["turns"]:
        turn = decode_turn(entry)
        if turn is None or turn.id in turns:
            broken += 1
        else:
            turns[turn.id] = turn
    problems = _count_problem(broken, "turn", "turns")
    turns, lost = rooted(turns)
    problems += _count_problem(lost, "turn's place in the chat", "turns' places in the chat")
    chosen = tree.get("selected")
    selected = {
        str(parent): child
        for parent, child in (chosen.items() if isinstance(chosen, Mapping) else ())
        if isinstance(child, str) and child in turns and (turns[child].parent or ROOT) == parent
    }
    if problems:
        # What was chosen may lie behind a turn that could not be read.
        selected |= _best_way(turns, document.get("chat_history"))
    history, unfit = _decode_undo(document.get("history"), turns)
    problems += _count_problem(unfit, "step of its undo history", "steps of its undo history")
    system_prompt = _text(document.get("system_prompt"))
    settings = document.get("settings")
    first = next((turn.text for turn in turns.values() if turn.role == USER), "")
    title = document.get("title")
    context = document.get("context")
    context = context if isinstance(context, Mapping) else {}
    conversation = Conversation(
        id=_text(document.get("id")) or new_id(),
        title=title if isinstance(title, str) else title_from(first),
        system_prompt=system_prompt,
        created_at=_time(document.get("created_at"), now()),
        updated_at=_time(document.get("updated_at"), now()),
        turns=turns,
        selected=selected,
        history=history,
        settings=_flat_enough(dict(settings)) if isinstance(settings, Mapping) else {},
        unseen=_strings(context.get("unseen")),
        summary=_text(context.get("summary")),
        extra=_unknown(document, _DOCUMENT_KEYS),
    )
    return Decoded(conversation, _format(document, default=FORMAT), tuple(problems))


def rooted(turns: dict[str, Turn]) -> tuple[dict[str, Turn], int]:
    """Return turns that all hang on a first turn, and how many had to be hung elsewhere.

    A turn whose parent is missing follows the turn listed before it; one that is its own ancestor becomes a first turn.
    """
    mended = 0
    before: str | None = None
    result = dict(turns)
    for key, turn in turns.items():
        if turn.parent is not None and turn.parent not in turns:
            result[key] = replace(turn, parent=before)
            mended += 1
        before = key
    settled: set[str] = set()
    for key in result:
        way: list[str] = []
        at: str | None = key
        on_way: set[str] = set()
        while at is not None and at not in settled:
            if at in on_way:
                result[at] = replace(result[at], parent=None)
                mended += 1
                break
            way.append(at)
            on_way.add(at)
            at = result[at].parent
        settled.update(way)
    return result, mended


def _best_way(turns: Mapping[str, Turn], history: Any) -> dict[str, str]:
    """Return the choices that lead to the turn whose way has most of a file's `chat_history` in it, or else most turns."""
    entries = history if isinstance(history, list) else []
    said = {
        (_text(entry.get("role")), _text(entry.get("content")))
        for entry in entries
        if isinstance(entry, Mapping)
    }
    scores: dict[str | None, tuple[int, int]] = {None: (0, 0)}
    best: str | None = None
    for key in turns:
        way: list[str] = []
        at: str | None = key
        while at is not None and at not in scores:
            way.append(at)
            at = turns[at].parent
        for step in reversed(way):
            found, depth = scores[turns[step].parent]
            is_said = (turns[step].role, turns[step].text) in said
            scores[step] = (found + is_said, depth + 1)
        if scores[key] >= scores[best]:
            best = key
    chosen: dict[str, str] = {}
    while best is not None:
        parent = turns[best].parent
        chosen[parent or ROOT] = best
        best = parent
    return chosen


def decode_turn(entry: Any) -> Turn | None:
    """Read one turn; None when it has no usable id, role or content."""
    if not isinstance(entry, Mapping):
        return None
    turn_id, parent, role = entry.get("id"), entry.get("parent"), entry.get("role")
    content = entry.get("content")
    if not (isinstance(turn_id, str) and turn_id and isinstance(role, str)):
        return None
    if not (isinstance(content, str | list) and (parent is None or isinstance(parent, str))):
        return None
    try:
        status = Status(entry.get("status", Status.COMPLETE))
    except ValueError:
        status = Status.COMPLETE
    origin = entry.get("origin")
    return Turn(
        id=turn_id,
        parent=parent or None,
        role=role,
        text=content_text(content),
        created_at=_time(entry.get("created_at"), 0.0),
        reasoning=_text(entry.get("reasoning_content")),
        status=status,
        error=_text(entry.get("error")),
        origin=origin if isinstance(origin, str) else None,
        generation=_decode_generation(entry.get("generation")),
        extra=_unknown(entry, _TURN_KEYS),
    )


def _decode_generation(entry: Any) -> Generation | None:
    if not isinstance(entry, Mapping):
        return None
    parameters = entry.get("parameters")
    return Generation(
        model=_text(entry.get("model")),
        name=_text(entry.get("name")),
        quantization=_text(entry.get("quantization")) or "none",
        parameters=_flat_enough(dict(parameters)) if isinstance(parameters, Mapping) else {},
        start_text=_text(entry.get("start_text")),
        continued=entry.get("continued") is True,
        stats=_decode_stats(entry.get("stats")),
    )


def _decode_stats(entry: Any) -> ReplyStats:
    if not isinstance(entry, Mapping):
        return ReplyStats()
    values: dict[str, Any] = {}
    for item in fields(ReplyStats):
        number = _number(entry.get(item.name), 0.0)
        values[item.name] = number if item.name.endswith("_s") else int(number)
    return ReplyStats(**values)


def _decode_undo(entry: Any, turns: Mapping[str, Turn]) -> tuple[History, int]:
    """Read the history, and count its steps that can't be read or don't fit the turns."""
    if not isinstance(entry, Mapping):
        return History(), 0
    lists = [entry.get("undo"), entry.get("redo")]
    undo, redo = (fitting(turns, _decode_patches(patches)) for patches in lists)
    given = sum(min(len(patches), HISTORY_LIMIT) for patches in lists if isinstance(patches, list))
    return History(undo, redo), given - len(undo) - len(redo)


def _decode_patches(entries: Any) -> tuple[Patch, ...]:
    """Read patches, newest last; those before one that can't be read would not fit any more and are dropped."""
    patches: list[Patch] = []
    for entry in entries if isinstance(entries, list) else []:
        patch = _decode_patch(entry)
        if patch is None:
            patches.clear()
        else:
            patches.append(patch)
    return tuple(patches[-HISTORY_LIMIT:])


def _decode_patch(entry: Any) -> Patch | None:
    if not isinstance(entry, Mapping):
        return None
    turns: dict[str, Turn | None] = {}
    for key, value in _items(entry.get("turns")):
        turn = decode_turn(value) if value is not None else None
        if value is not None and (turn is None or turn.id != key):
            return None
        turns[key] = turn
    selected = {
        key: value
        for key, value in _items(entry.get("selected"))
        if value is None or isinstance(value, str)
    }
    plain: dict[str, Any] = {
        key: _strings(value) if key == "unseen" else _text(value)
        for key, value in _items(entry.get("fields"))
    }
    return Patch(_text(entry.get("label")), turns, selected, plain)


def _items(value: Any) -> Iterable[tuple[str, Any]]:
    return ((str(key), item) for key, item in value.items()) if isinstance(value, Mapping) else ()


def _strings(value: Any) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _number(value: Any, default: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return default
    try:
        number = float(value)
    except OverflowError:
        return default
    return number if math.isfinite(number) else default


def _time(value: Any, default: float) -> float:
    """Read a Unix time; one so far off that a millisecond more makes no difference to it is none."""
    time = _number(value, default)
    return time if 0 <= time < 1e11 else default


def _format(document: Mapping[str, Any], default: int) -> int:
    number = document.get("format")
    return number if isinstance(number, int) and not isinstance(number, bool) else default


def _count_problem(count: int, what: str, plural: str) -> list[str]:
    if not count:
        return []
    return [f"{count} {what if count == 1 else plural} could not be read"]


def _unknown(entry: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    return {str(key): _flat_enough(value) for key, value in entry.items() if key not in known}


def _flat_enough(value: _Any) -> _Any:
    """Return a value of the file that is kept as it is.

    Raises:
        ChatFormatError: it is nested so deeply that writing it back might fail.
    """
    level: list[Any] = [value]
    for _ in range(NESTING_LIMIT):
        level = [
            inner
            for outer in level
            if isinstance(outer, Mapping | list)
            for inner in (outer.values() if isinstance(outer, Mapping) else outer)
        ]
        if not level:
            return value
    raise ChatFormatError("a part of it is nested too deeply")


_DOCUMENT_KEYS: Final = frozenset(
    [
        "format",
        "id",
        "title",
        "created_at",
        "updated_at",
        "settings",
        "chat_history",
        "system_prompt",
        "context",
        "tree",
        "history",
    ]
)
_TURN_KEYS: Final = frozenset(
    [
        "id",
        "parent",
        "role",
        "content",
        "created_at",
        "reasoning_content",
        "status",
        "error",
        "origin",
        "generation",
    ]
)
