"""What can still be read of a chat file that is damaged: cut off, or with bytes changed in the middle.

It relies on how the codec lays a file out: a raw line end never stands inside a JSON string, so a top-level key at the
beginning of a line can be found whatever stands before it. It reads text and returns a chat; it touches no file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tui.conversation import SYSTEM, ChatFormatError, Decoded, codec, new_id
from tui.conversation.messages import content_text

_MAX_FAILED_STARTS: Final = 20_000
_SECTIONS: Final = ("chat_history", "tree", "history")
_PLAIN: Final = ("id", "title", "created_at", "updated_at", "settings", "system_prompt", "format")
_ABYSS: Final = re.compile(r'(?:\[\s*|\{\s*(?:"\w{0,40}"\s*:\s*)?){200,}')
"""Brackets nested as no chat nests them; each would be a place to begin reading, and each would end in the depth."""
_decoder: Final = json.JSONDecoder()


def salvage(data: bytes) -> Decoded:
    """Return what can be read of a damaged chat file.

    Raises:
        ChatFormatError: not one turn can be read.
    """
    text = data.decode("utf-8", errors="replace").removeprefix("\ufeff")
    text = _ABYSS.sub("", text)
    starts = {name: text.find(f'\n "{name}": ') for name in _SECTIONS}
    tree = _section(text, starts, "tree")
    history = _section(text, starts, "chat_history")
    entries = list(_objects(text if tree is None else tree))
    turns = {entry["id"]: entry for entry in reversed(entries) if codec.decode_turn(entry)}
    turns = dict(reversed(turns.items()))
    said = [
        entry
        for entry in (entries if history is None else _objects(history))
        if isinstance(entry.get("role"), str) and "id" not in entry
    ]
    document = {name: value for name in _PLAIN if (value := _plain(text, name)) is not None}
    if not turns:
        if not said:
            raise ChatFormatError("not one turn in it can be read")
        return codec.decode(document | {"chat_history": said})
    selected = _value(tree or "", '\n  "selected": ')
    selected = dict(selected) if isinstance(selected, Mapping) else {}
    if said and said[0]["role"] == SYSTEM:
        del said[0]
    _complete(turns, selected, said)
    return codec.decode(document | {"tree": {"selected": selected, "turns": [*turns.values()]}})


def _complete(turns: dict[str, Any], selected: dict[str, Any], said: list[Any]) -> None:
    """Lead the active path along what `chat_history` says, and add those of its turns that the tree lost."""
    waiting: dict[tuple[str, str], list[str]] = {}
    for turn_id, entry in turns.items():
        waiting.setdefault(_words(entry), []).append(turn_id)
    at: str | None = None
    for entry in said:
        role, text = _words(entry)
        turn_id = next((one for one in waiting.get((role, text), ()) if _fits(turns, one, at)), "")
        if not turn_id:
            turn_id = new_id()
            turns[turn_id] = {"id": turn_id, "parent": at, "role": role, "content": text}
        else:
            waiting[role, text].remove(turn_id)
            if turns[turn_id].get("parent") not in turns:
                turns[turn_id] = {**turns[turn_id], "parent": at}
        selected[turns[turn_id]["parent"] or ""] = turn_id
        at = turn_id


def _fits(turns: Mapping[str, Any], turn_id: str, at: str | None) -> bool:
    """Return whether a turn can follow `at`: it stands below it, or what it stood below is lost."""
    seen = {turn_id}
    parent = turns[turn_id].get("parent")
    if parent not in turns:
        return (parent is None) == (at is None) or parent is not None
    while parent in turns and parent not in seen:
        if parent == at:
            return True
        seen.add(parent)
        parent = turns[parent].get("parent")
    return at is None


def _words(entry: Mapping[str, Any]) -> tuple[str, str]:
    return entry["role"], content_text(entry["content"])


def _section(text: str, starts: Mapping[str, int], name: str) -> str | None:
    begin = starts[name]
    if begin < 0:
        return None
    ends = [at for at in starts.values() if at > begin]
    return text[begin : min(ends, default=len(text))]


def _plain(text: str, name: str) -> Any:
    return _value(text, f'\n "{name}": ')


def _value(text: str, mark: str) -> Any:
    at = text.find(mark)
    if at < 0:
        return None
    try:
        return _decoder.raw_decode(text, at + len(mark))[0]
    except (ValueError, RecursionError):
        return None


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """Yield the innermost complete JSON objects that look like turns, and look into those that don't."""
    at = text.find("{")
    failed = 0
    while at >= 0 and failed < _MAX_FAILED_STARTS:
        try:
            value, end = _decoder.raw_decode(text, at)
        except ValueError:
            failed += 1
            end = at + 1
        except RecursionError:
            failed += _MAX_FAILED_STARTS // 20
            end = at + 1
        else:
            if "role" in value and "content" in value:
                yield value
            else:
                end = at + 1
        at = text.find("{", end)
