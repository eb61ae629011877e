"""Recovers the readable parts of a damaged chat file: truncated, or with bytes changed in the middle.

It relies on how the codec lays a file out: a raw line end never stands inside a JSON string, so a top-level key at the
beginning of a line can be found whatever stands before it. It reads text and returns a chat; it touches no file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tui.conversation import SYSTEM, codec
from tui.conversation.codec import Decoded
from tui.conversation.entries import ChatFormatError, decode_turn
from tui.conversation.mending import complete
from tui.pattern import pattern

_MOST_BYTES: Final = 1 << 26
"""What a damaged file holds beyond is not looked at; the file is kept as it is."""
_WORK: Final = 1 << 24
_WORK_PER_CHARACTER: Final = 6
_LEAST_WORK: Final = 1024
_PIECE: Final = 512
_PIECE_GROWTH: Final = 16
_CUT: Final = 16
"""An error so near to the end of a piece comes of the cut: no word of JSON is longer."""
_SECTIONS: Final = ("chat_history", "tree", "history")
_PLAIN: Final = ("id", "title", "created_at", "updated_at", "settings", "system_prompt", "format")
_NESTED: Final = pattern(r'(?:\[\s*+|\{\s*+(?:"\w{0,40}+"\s*+:\s*+)?+)++')
_ABYSS: Final = 200
_decoder: Final = json.JSONDecoder()


def salvage(data: bytes) -> Decoded:
    """Return the readable parts of a damaged chat file.

    Raises:
        ChatFormatError: not one turn can be read.
    """
    text = codec.decoded_text(data[:_MOST_BYTES], errors="replace")
    starts = {name: text.find(f'\n "{name}": ') for name in _SECTIONS}
    tree = _section(text, starts, "tree")
    history = _section(text, starts, "chat_history")
    entries = list(_objects(text if tree is None else tree))
    turns = {entry["id"]: entry for entry in reversed(entries) if decode_turn(entry)}
    turns = dict(reversed(turns.items()))
    said = [
        entry
        for entry in (entries if history is None else _objects(history))
        if isinstance(entry.get("role"), str) and "id" not in entry
    ]
    document = {name: value for name in _PLAIN if (value := _plain(text, name)) is not None}
    if not turns:
        if not said:
            raise ChatFormatError("None of its turns can be read.")
        return codec.decode(document | {"chat_history": said})
    selected = _value(tree or "", '\n  "selected": ')
    selected = dict(selected) if isinstance(selected, Mapping) else {}
    if said and said[0]["role"] == SYSTEM:
        del said[0]
    complete(turns, selected, said)
    return codec.decode(document | {"tree": {"selected": selected, "turns": [*turns.values()]}})


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
    """Yield the innermost complete JSON objects that look like turns, and look into those that don't.

    The work is bounded by the length of the text, whatever is in it: each try is paid for by how far it read.
    """
    at = text.find("{")
    work_left = _WORK + _WORK_PER_CHARACTER * len(text)
    while at >= 0 and work_left > 0:
        value, read = _object_at(text, at)
        work_left -= max(read, _LEAST_WORK)
        end = at + 1
        if value is None:
            end = max(end, _end_of_abyss(text, at))
        elif "role" in value and "content" in value:
            yield value
            end = at + read
        at = text.find("{", end)


def _object_at(text: str, at: int) -> tuple[dict[str, Any] | None, int]:
    """Return the JSON object that begins at a place, None where none does, and how many characters that took to find out.

    It is tried on pieces that grow: an error in a piece costs its length, for the decoder counts the lines before it.
    """
    size = _PIECE
    while True:
        piece = text[at : at + size]
        is_all = at + size >= len(text)
        try:
            value, end = _decoder.raw_decode(piece)
        except json.JSONDecodeError as error:
            is_cut = error.msg.startswith("Unterminated") or error.pos >= len(piece) - _CUT
            if is_all or not is_cut:
                return None, len(piece) if is_cut else error.pos
        except (RecursionError, ValueError):
            return None, len(piece)
        else:
            return value, end
        size *= _PIECE_GROWTH


def _end_of_abyss(text: str, at: int) -> int:
    """Return where to go on behind brackets that are nested as no chat nests them; `at` where there are none.

    Each of them would be a place to begin reading, and each would end in the depth.
    """
    run = _NESTED.match(text, at)
    if run is None or run.end() - at < _ABYSS:
        return at
    # The last one may begin something.
    return max(at, text.rfind("{", at, run.end()))
