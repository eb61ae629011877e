"""Encode a chat as the JSON stored on disk, and decode it.

`chat_history` holds the active path as `{"role", "content"}` entries, where a content is a text or, with images or tools in
the turn, a list of typed parts as transformers has it, so that other tools can use the file as it is;
`tree` holds everything and is what is read; what another program changed in `chat_history` is taken over from there (see
`merging`). A file without a `tree`, such as a `transformers chat` save, is one branch.
Reading is lenient about parts (a broken turn is left out and named in `problems`) and strict about the whole.
"""

from __future__ import annotations

import codecs
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import count
from typing import Any, Final

from tui.conversation.content import history_content
from tui.conversation.conversation import ROOT, Conversation, from_messages, title_from
from tui.conversation.entries import (
    ChatFormatError,
    decode_turn,
    decode_undo,
    encode_patch,
    encode_turn,
    flat_enough,
    text_of,
    texts_of,
    time_of,
    unknown_keys,
)
from tui.conversation.history import Patch
from tui.conversation.mending import best_way, complete, rooted
from tui.conversation.merging import (
    entry_extra,
    history_entry,
    is_whole,
    is_whole_prompt,
    merged,
)
from tui.conversation.messages import plain_message
from tui.conversation.turn import (
    SYSTEM,
    USER,
    Message,
    Turn,
)
from tui.dataclass import dataclass

FORMAT: Final = 2
"""The format number that this version writes. A file with a higher number can be read but must not be overwritten.

Since 2, the content of a turn may be a list of parts (see `content`). Files of format 1 have no such turn, and are like those of 2 otherwise.
"""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A chat read from JSON.

    Attributes:
        conversation: what could be read.
        format: the file's format number; 0 for a file of another tool.
        problems: a sentence for each part that could not be read.
        notes: sentences about what another program changed in a sound file, and how that was taken over.
        is_whole: whether the chat holds all that the file's `chat_history` holds; what it lacks of the rest shows when `base`
            is written.
        base: the chat without what was taken over from `chat_history`; None where nothing was.
    """

    conversation: Conversation
    format: int = FORMAT
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    is_whole: bool = True
    base: Conversation | None = None

    @property
    def is_newer(self) -> bool:
        """Whether a newer version wrote the file, so that writing it back could lose what this one can't know."""
        return self.format > FORMAT


# -- writing


def encode(conversation: Conversation) -> dict[str, Any]:
    """Return the JSON object of a chat."""
    return _outline(conversation) | {
        "chat_history": [history_entry(message) for message in conversation.history_messages()],
        "tree": _section_extra(conversation, "tree")
        | {
            "selected": dict(conversation.selected),
            "turns": [encode_turn(turn) for turn in conversation.turns.values()],
        },
        "history": _section_extra(conversation, "history")
        | {
            "undo": [encode_patch(patch) for patch in conversation.history.undo],
            "redo": [encode_patch(patch) for patch in conversation.history.redo],
        },
    }


def dumps(conversation: Conversation) -> bytes:
    """Return a chat as indented UTF-8 JSON.

    A lone surrogate, which UTF-8 can't hold, is written as a JSON escape and so survives.
    """
    return b"".join(ChatEncoder().pieces(conversation))


class ChatEncoder:
    """Encodes one chat repeatedly at low cost: turns and patches are immutable, so their JSON is cached."""

    def __init__(self) -> None:
        # Keyed by identity; the value is kept alive so that its identity isn't reused.
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
                yield _opened(_section_extra(conversation, key))
                yield b'"selected": ' + _json(dict(conversation.selected), 2)
                yield b',\n  "turns": '
                yield from _listed((self._piece(t, used) for t in conversation.turns.values()), 2)
                yield b"\n }"
            elif key == "history":
                yield _opened(_section_extra(conversation, key)) + b'"undo": '
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
            encoded = encode_turn(value) if isinstance(value, Turn) else encode_patch(value)
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
    known = {key: value for key, value in parts.items() if value}
    return _section_extra(conversation, "context") | known


def _section_extra(conversation: Conversation, section: str) -> dict[str, Any]:
    """Return the unknown keys of one of the file's sections."""
    kept = conversation.extra.get(section)
    known = _SECTION_KEYS[section]
    return unknown_keys(kept, known) if isinstance(kept, Mapping) else {}


def _opened(extra: Mapping[str, Any]) -> bytes:
    """Return the start of a section that continues with another key."""
    entries = [_json(key, 0) + b": " + _json(value, 2) for key, value in extra.items()]
    return b"{\n  " + b"".join(entry + b",\n  " for entry in entries)


def _json(value: Any, level: int) -> bytes:
    """Return a value as JSON indented for nesting depth `level`."""
    # A raw line end in JSON is always layout: in a string it is escaped.
    margin = "\n" + " " * level
    try:
        text = json.dumps(value, ensure_ascii=False, indent=1, default=str)
        return text.replace("\n", margin).encode()
    except UnicodeEncodeError:
        return json.dumps(value, indent=1, default=str).replace("\n", margin).encode()


def _history_entry(message: Message) -> bytes:
    role, content = _json(message.role, 0), _json(history_content(message), 3)
    return b'{\n   "role": ' + role + b',\n   "content": ' + content + b"\n  }"


def _listed(items: Iterable[bytes], level: int) -> Iterator[bytes]:
    margin = b"\n" + b" " * (level + 1)
    before = b"["
    for item in items:
        yield before + margin + item
        before = b","
    yield b"[]" if before == b"[" else b"\n" + b" " * level + b"]"


# -- reading


def loads(data: bytes | str) -> Decoded:
    """Read a chat from JSON text.

    Raises:
        ChatFormatError: it isn't valid JSON or contains no chat.
    """
    repeated: dict[str, None] = {}

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        entry = dict(found)
        if len(entry) < len(found):
            counts = Counter(key for key, _ in found)
            repeated.update(dict.fromkeys(key for key in entry if counts[key] > 1))
        return entry

    try:
        text = decoded_text(data) if isinstance(data, bytes) else data
        document = json.loads(text, object_pairs_hook=pairs)
    except UnicodeDecodeError as error:
        raise ChatFormatError("It isn't a text file.") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ChatFormatError(f"It isn't valid JSON ({error.msg}, {where}).") from error
    except (RecursionError, ValueError) as error:
        raise ChatFormatError(f"Its JSON can't be read ({error}).") from error
    decoded = decode(document)
    if not repeated:
        return decoded
    return replace(decoded, problems=(*decoded.problems, _repeated_problem([*repeated])))


def decoded_text(data: bytes, errors: str = "strict") -> str:
    """Return the text of a JSON file: UTF-8, or the encoding that its byte order mark specifies.

    Raises:
        UnicodeDecodeError: it can't be decoded, and `errors` is "strict".
    """
    has_mark = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE))
    return data.decode(json.detect_encoding(data) if has_mark else "utf-8-sig", errors)


def _repeated_problem(keys: list[str]) -> str:
    named = ", ".join(repr(key[:40]) for key in keys[:3]) + (", ..." if len(keys) > 3 else "")
    return f"It has more than one value for {named}; only the last was read"


def decode(document: Any) -> Decoded:
    """Read a chat from a JSON value.

    Raises:
        ChatFormatError: it contains no chat.
    """
    if not isinstance(document, Mapping):
        raise ChatFormatError(
            "It doesn't contain a chat (expected a JSON object with a chat_history)."
        )
    tree, history = document.get("tree"), document.get("chat_history")
    turns = tree.get("turns") if isinstance(tree, Mapping) else None
    if isinstance(tree, Mapping) and isinstance(turns, list) and (turns or not _has_turns(history)):
        return _decode_tree(document, tree)
    if isinstance(history, list):
        return _decode_history(document, history)
    raise ChatFormatError("It doesn't contain a chat (chat_history is missing).")


def _has_turns(history: Any) -> bool:
    """Whether a `chat_history` holds more than a system prompt."""
    entries = history if isinstance(history, list) else []
    first = entries[0] if entries else None
    has_prompt = isinstance(first, Mapping) and first.get("role") == SYSTEM
    return len(entries) > has_prompt


def _decode_history(document: Mapping[str, Any], history: list[Any]) -> Decoded:
    """Read a file saved by another tool, or a file of this app that lost its tree."""
    import hashlib

    entries = [entry for entry in history if isinstance(entry, Mapping)]
    problems = _count_problem(
        len(history) - len(entries), "entry in chat_history", "entries in chat_history"
    )
    number = _format(document, default=0)
    seed = f"{text_of(document.get('id'))} {text_of(document.get('title'))} {len(history)}"
    ids = (
        hashlib.sha256(f"{seed} {place}".encode("utf-8", "replace")).hexdigest()[:32]
        for place in count()
    )
    chat = from_messages(
        ({**_kept(entry_extra(entry)), **plain_message(entry)} for entry in entries),
        make_id=lambda: next(ids),
    )
    ours = _fields(document, chat)
    chat = replace(chat, **ours if number > 0 else {key: ours[key] for key in _FOREIGN_FIELDS})
    notes = (_NO_TREE,) if number > 0 and chat.turns else ()
    starts_plain = not entries or entries[0].get("role") != SYSTEM or is_whole_prompt(entries[0])
    # In a file of this app, the tree is missing, so the undo history has no turns to refer to.
    whole = number <= 0 and all(map(is_whole, entries)) and starts_plain and not problems
    return Decoded(chat, number, tuple(problems), notes, is_whole=whole)


def _kept(extra: dict[str, Any]) -> dict[str, Any]:
    return {key: flat_enough(value) for key, value in extra.items()}


def _fields(document: Mapping[str, Any], chat: Conversation) -> dict[str, Any]:
    """Return the fields of a chat other than its turns.

    Args:
        chat: provides the values that are missing in the file.
    """
    settings, context = document.get("settings"), document.get("context")
    context = context if isinstance(context, Mapping) else {}
    title = document.get("title")
    extra = unknown_keys(document, _DOCUMENT_KEYS)
    for section, keys in _SECTION_KEYS.items():
        inner = document.get(section)
        if isinstance(inner, Mapping) and (more := unknown_keys(inner, keys)):
            extra[section] = more
    return {
        "id": text_of(document.get("id")) or chat.id,
        "title": (title if isinstance(title, str) else "") or chat.title,
        "system_prompt": text_of(document.get("system_prompt")) or chat.system_prompt,
        "created_at": time_of(document.get("created_at"), chat.created_at),
        "updated_at": time_of(document.get("updated_at"), chat.updated_at),
        "settings": flat_enough(dict(settings)) if isinstance(settings, Mapping) else {},
        "unseen": texts_of(context.get("unseen")),
        "summary": text_of(context.get("summary")),
        "extra": extra,
    }


def _decode_tree(document: Mapping[str, Any], tree: Mapping[str, Any]) -> Decoded:
    number = _format(document, default=FORMAT)
    history = document.get("chat_history")
    chosen = tree.get("selected")
    chosen = dict(chosen) if isinstance(chosen, Mapping) else {}
    turns, broken = _decode_turns(tree["turns"])
    problems = _count_problem(broken, "turn", "turns")
    if broken and isinstance(history, list):
        turns = _completed(tree["turns"], chosen, history)
    turns, lost = rooted(turns)
    problems += _count_problem(lost, "turn's position in the chat", "turns' positions in the chat")
    selected = {
        str(parent): child
        for parent, child in chosen.items()
        if isinstance(child, str) and child in turns and (turns[child].parent or ROOT) == parent
    }
    if problems:
        # The selected turn may be below an unreadable turn.
        selected |= best_way(turns, history)
    undo, unfit = decode_undo(document.get("history"), turns)
    problems += _count_problem(unfit, "step in the undo history", "steps in the undo history")
    title = document.get("title")
    first = next((turn.gist for turn in turns.values() if turn.role == USER), "")
    chat = Conversation(turns=turns, selected=selected, history=undo)
    chat = replace(chat, **_fields(document, chat))
    if not isinstance(title, str):
        chat = replace(chat, title=title_from(first))
    decoded = Decoded(chat, number, tuple(problems))
    return decoded if number > FORMAT else _with_changes(decoded, history)


def _with_changes(decoded: Decoded, history: Any) -> Decoded:
    """Return a chat with the changes that another program made to its `chat_history`."""
    if history is None:
        return decoded
    problems, chat = decoded.problems, decoded.conversation
    if not isinstance(history, list):
        return replace(decoded, problems=(*problems, "chat_history isn't a list of turns"))
    broken = sum(not isinstance(entry, Mapping) for entry in history)
    problems = (
        *problems,
        *_count_problem(broken, "entry in chat_history", "entries in chat_history"),
    )
    found = merged(chat, history)
    notes = (found.note,) if found.note else ()
    return replace(
        decoded,
        conversation=found.conversation,
        problems=problems,
        notes=notes,
        is_whole=decoded.is_whole and found.is_whole,
        base=chat,
    )


def _decode_turns(entries: list[Any]) -> tuple[dict[str, Turn], int]:
    """Read turns, and count those that can't be read."""
    turns: dict[str, Turn] = {}
    broken = 0
    for entry in entries:
        turn = decode_turn(entry)
        if turn is None or turn.id in turns:
            broken += 1
        else:
            turns[turn.id] = turn
    return turns, broken


def _completed(entries: list[Any], chosen: dict[str, Any], history: list[Any]) -> dict[str, Turn]:
    """Read the turns of a damaged tree, plus the lost turns found in `chat_history`; updates `chosen`."""
    known: dict[str, Any] = {}
    for entry in entries:
        if decode_turn(entry) is not None:
            known.setdefault(entry["id"], entry)
    said = [
        entry
        for entry in history
        if isinstance(entry, Mapping) and isinstance(entry.get("role"), str)
    ]
    complete(known, chosen, said[1:] if said and said[0]["role"] == SYSTEM else said)
    return _decode_turns([*known.values()])[0]


def _format(document: Mapping[str, Any], default: int) -> int:
    number = document.get("format")
    return number if isinstance(number, int) and not isinstance(number, bool) else default


def _count_problem(count: int, what: str, plural: str) -> list[str]:
    if not count:
        return []
    return [f"{count} {what if count == 1 else plural} could not be read"]


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
_SECTION_KEYS: Final = {
    "context": frozenset(["unseen", "summary"]),
    "tree": frozenset(["selected", "turns"]),
    "history": frozenset(["undo", "redo"]),
}
"""The known keys of the sections; unknown keys are kept in a chat's `extra` under the section's name."""
_FOREIGN_FIELDS: Final = ("title", "settings", "extra")
"""Fields read from another tool's file in addition to its turns."""
_NO_TREE: Final = "Another program removed the variants from this chat's file, so only the turns in chat_history are shown."
