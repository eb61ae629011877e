"""What crosses between the app and the process of an engine: frames of JSON, and the plain values of `engine.base` in it.

A frame is its length in bytes, as four bytes with the most significant one first, and a JSON object in UTF-8. Values are written
by their fields and read by their types: what does not fit its type is refused, and nothing that is read is ever run.

From the app to the engine, where `id` counts the jobs:

    {"do": "load" | "generate" | "prepare" | "describe", "id": 1, "request": ..., "cancelled": false}
    {"do": "split", "id": 2, "text": ...}    {"do": "unload" | "target_memory", "id": 3}
    {"do": "cancel", "id": 1}                {"do": "ping"}

From the engine to the app; each job ends with `done` or `failed`, which also say which model is loaded then:

    {"is": "ready", "version": 1}            {"is": "pong"}            {"is": "memory", "reading": ...}
    {"is": "events", "id": 1, "events": [...]}
    {"is": "done", "id": 1, "result": ..., "loaded": ...}
    {"is": "failed", "id": 1, "error": ..., "loaded": ...}
"""

from __future__ import annotations

import json
import struct
import types
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from tui.conversation import parts, turn
from tui.engine import base

VERSION: Final = 1
MOST_BYTES: Final = 256 * 2**20
"""Of one frame. The longest chat with its files takes some megabytes."""
_LENGTH: Final = struct.Struct(">I")
_TAG: Final = "type"
_MOST_DEPTH: Final = 50


class WireError(Exception):
    """What was read is no value of this protocol."""


def pack(message: Mapping[str, Any]) -> bytes:
    """Return a message as a frame.

    Raises:
        WireError: it is too long.
    """
    body = json.dumps(message, separators=(",", ":")).encode()
    if len(body) > MOST_BYTES:
        raise WireError(f"a message is too long ({len(body):,} bytes)")
    return _LENGTH.pack(len(body)) + body


class Frames:
    """Finds the messages in bytes as they come."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Return the messages that are whole now.

        Raises:
            WireError: the bytes are no frames.
        """
        self._bytes += data
        found = []
        while len(self._bytes) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._bytes)
            if length > MOST_BYTES:
                raise WireError(f"a message is too long ({length:,} bytes)")
            end = _LENGTH.size + length
            if len(self._bytes) < end:
                break
            found.append(_message(bytes(self._bytes[_LENGTH.size : end])))
            del self._bytes[:end]
        return found


def _message(body: bytes) -> dict[str, Any]:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise WireError("a message isn't valid JSON") from error
    if not isinstance(message, dict):
        raise WireError("a message isn't an object")
    return message


# -- values


def encode(value: Any) -> Any:
    """Return a value of `engine.base` as JSON can say it."""
    if value is None or (
        isinstance(value, bool | int | float | str) and not isinstance(value, Enum)
    ):
        return value
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        said = {one.name: encode(getattr(value, one.name)) for one in fields(value)}
        return {_TAG: type(value).__name__, **said}
    if isinstance(value, Mapping):
        return {str(key): encode(one) for key, one in value.items()}
    if isinstance(value, AbstractSet):
        return sorted(encode(one) for one in value)
    if isinstance(value, Sequence):
        return [encode(one) for one in value]
    raise WireError(f"a {type(value).__name__} can't be sent")


def decode(kind: Any, data: Any) -> Any:
    """Return the value of a type, or of a union of types, that `encode` wrote.

    Raises:
        WireError: it is none.
    """
    try:
        return _decoded(kind, data, 0)
    except (TypeError, ValueError, KeyError) as error:
        raise WireError(
            f"a value isn't a valid {getattr(kind, '__name__', kind)} ({error})"
        ) from error


def _decoded(kind: Any, data: Any, depth: int) -> Any:
    if depth > _MOST_DEPTH:
        raise WireError("a value is nested too deeply")
    if kind is Any or kind is _JSON:
        return data
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return _of_union(inner, data, depth)
    if origin is tuple:
        return tuple(_decoded(inner[0], one, depth + 1) for one in _listed(data))
    if origin is frozenset:
        return frozenset(_decoded(inner[0], one, depth + 1) for one in _listed(data))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {str(key): _decoded(inner[1], one, depth + 1) for key, one in _object(data).items()}
    if isinstance(origin, type) and issubclass(origin, Collection):
        return [_decoded(inner[0], one, depth + 1) for one in _listed(data)]
    if isinstance(kind, type) and is_dataclass(kind):
        return _record(kind, _object(data), depth)
    return _plain(kind, data)


def _plain(kind: Any, data: Any) -> Any:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(data)
    if kind is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    if kind is None or kind is type(None):
        kind = type(None)
    if not isinstance(kind, type) or type(data) is not kind:
        raise WireError(f"{type(data).__name__} instead of {getattr(kind, '__name__', kind)}")
    return data


def _of_union(kinds: Sequence[Any], data: Any, depth: int) -> Any:
    """Return a value of one of several types: a tagged one by its name, any other by the first type that it fits."""
    if isinstance(data, dict) and _TAG in data:
        for kind in kinds:
            if isinstance(kind, type) and is_dataclass(kind) and kind.__name__ == data[_TAG]:
                return _decoded(kind, data, depth)
    for kind in kinds:
        try:
            return _decoded(kind, data, depth)
        except (WireError, TypeError, ValueError):
            continue
    raise WireError(f"{type(data).__name__} doesn't match any of the expected types")


def _record(kind: type, data: Mapping[str, Any], depth: int) -> Any:
    if data.get(_TAG) != kind.__name__:
        raise WireError(f"it isn't a valid {kind.__name__}")
    hints = _hints(kind)
    unknown = data.keys() - hints.keys() - {_TAG}
    if unknown:
        raise WireError(f"a {kind.__name__} has the unknown field {min(unknown)}")
    return kind(
        **{
            name: _decoded(hints[name], one, depth + 1)
            for name, one in data.items()
            if name != _TAG
        }
    )


@cache
def _hints(kind: type) -> dict[str, Any]:
    names = {**vars(base), **vars(turn), **vars(parts)}
    hints = get_type_hints(kind, globalns={**names, "Json": _JSON, "Value": _JSON})
    return {one.name: hints[one.name] for one in fields(kind)}


class _JSON:
    """Stands for any JSON value."""


def _listed(data: Any) -> list[Any]:
    if not isinstance(data, list):
        raise WireError(f"{type(data).__name__} instead of a list")
    return data


def _object(data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise WireError(f"{type(data).__name__} instead of an object")
    return data
