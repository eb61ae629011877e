"""Encode and decode the parts of a chat file: turns, generation details, and steps of the undo history.

Reading a part never fails but for what is nested too deeply; what has no meaning in it is left out or kept as it is. The
file as a whole is `codec`'s.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any, Final, TypeVar

from tui.conversation.content import content_fields, encode_content, is_flat
from tui.conversation.history import HISTORY_LIMIT, History, Patch, fitting
from tui.conversation.merging import TURN_KEYS
from tui.conversation.turn import Generation, ReplyStats, Status, Turn
from tui.errors import UserError

_Any = TypeVar("_Any")


class ChatFormatError(UserError):
    """A file doesn't contain a chat. The message starts with "It", which refers to the file."""


def encode_turn(turn: Turn) -> dict[str, Any]:
    """Return the JSON object of one turn; what is empty is left out."""
    entry: dict[str, Any] = dict(turn.extra)
    entry |= {
        "id": turn.id,
        "parent": turn.parent,
        "role": turn.role,
        "content": encode_content(turn),
        "created_at": turn.created_at,
    }
    if turn.reasoning and isinstance(entry["content"], str):
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
        entry["generation"] = _with_extra(entry["generation"], generation.extra)
    return entry


def _with_extra(entry: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON object of a generation with the keys that this version does not know."""
    if not extra:
        return entry
    stats = extra.get("stats")
    known = {**stats, **entry["stats"]} if isinstance(stats, Mapping) else entry["stats"]
    return {**extra, **entry, "stats": known}


def encode_patch(patch: Patch) -> dict[str, Any]:
    """Return the JSON object of a step of the undo history."""
    entry: dict[str, Any] = {**patch.extra, "label": patch.label}
    if patch.turns:
        entry["turns"] = {key: turn and encode_turn(turn) for key, turn in patch.turns.items()}
    if patch.selected:
        entry["selected"] = dict(patch.selected)
    if patch.fields:
        entry["fields"] = dict(patch.fields)
    return entry


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
        created_at=time_of(entry.get("created_at"), 0.0),
        status=status,
        error=text_of(entry.get("error")),
        origin=origin if isinstance(origin, str) else None,
        generation=_decode_generation(entry.get("generation")),
        extra=unknown_keys(entry, TURN_KEYS),
        **content_fields(flat_enough(content), text_of(entry.get("reasoning_content"))),
    )


def _decode_generation(entry: Any) -> Generation | None:
    if not isinstance(entry, Mapping):
        return None
    parameters, stats = entry.get("parameters"), entry.get("stats")
    extra = unknown_keys(entry, _GENERATION_KEYS)
    if isinstance(stats, Mapping) and (more := unknown_keys(stats, _STATS_KEYS)):
        extra["stats"] = more
    return Generation(
        model=text_of(entry.get("model")),
        name=text_of(entry.get("name")),
        quantization=text_of(entry.get("quantization")) or "none",
        parameters=flat_enough(dict(parameters)) if isinstance(parameters, Mapping) else {},
        start_text=text_of(entry.get("start_text")),
        continued=entry.get("continued") is True,
        stats=_decode_stats(stats),
        extra=extra,
    )


def _decode_stats(entry: Any) -> ReplyStats:
    if not isinstance(entry, Mapping):
        return ReplyStats()
    values: dict[str, Any] = {}
    for name, value in entry.items():
        if name in _STATS_KEYS:
            number = _number(value, 0.0)
            values[name] = number if name.endswith("_s") else int(number)
    return ReplyStats(**values)


def decode_undo(entry: Any, turns: Mapping[str, Turn]) -> tuple[History, int]:
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
        key: _FIELD_READERS.get(key, flat_enough)(value)
        for key, value in _items(entry.get("fields"))
    }
    return Patch(
        text_of(entry.get("label")), turns, selected, plain, unknown_keys(entry, _PATCH_KEYS)
    )


def _items(value: Any) -> Iterable[tuple[str, Any]]:
    return ((str(key), item) for key, item in value.items()) if isinstance(value, Mapping) else ()


def texts_of(value: Any) -> tuple[str, ...]:
    """Return the strings in a value that may not be a list."""
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def text_of(value: Any) -> str:
    """Return the value if it is a string, else an empty string."""
    return value if isinstance(value, str) else ""


def _number(value: Any, default: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return default
    try:
        number = float(value)
    except OverflowError:
        return default
    return number if math.isfinite(number) else default


def time_of(value: Any, default: float) -> float:
    """Read a Unix time; one so far off that a millisecond more makes no difference to it is none."""
    time = _number(value, default)
    return time if 0 <= time < 1e11 else default


def unknown_keys(entry: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """Return the unknown keys of an object.

    Raises:
        ChatFormatError: it is nested so deeply that writing it back might fail.
    """
    if known.issuperset(entry):
        return {}
    return {str(key): flat_enough(value) for key, value in entry.items() if key not in known}


def flat_enough(value: _Any) -> _Any:
    """Return a value of the file that is kept as it is.

    Raises:
        ChatFormatError: it is nested so deeply that writing it back might fail.
    """
    if is_flat(value):
        return value
    raise ChatFormatError("Part of it is nested too deeply.")


_GENERATION_KEYS: Final = frozenset(item.name for item in fields(Generation)) - {"extra"}
_STATS_KEYS: Final = frozenset(item.name for item in fields(ReplyStats))
_PATCH_KEYS: Final = frozenset(["label", "turns", "selected", "fields"])
_FIELD_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "title": text_of,
    "system_prompt": text_of,
    "summary": text_of,
    "unseen": texts_of,
}
