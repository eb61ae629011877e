"""Reads the files of a model folder, which anybody may have written: regular files only, so many bytes, JSON of bounded depth.

It knows nothing of what the files mean. Links are followed, since the Hugging Face cache consists of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

from tui.files import open_regular

CONFIG_BYTES: Final = 5_000_000
"""What a config may take; those of the largest models take some 100 KB."""
INDEX_BYTES: Final = 64_000_000
"""What the index of a checkpoint in many files may take."""
_MOST_DEPTH: Final = 64
_MOST_DIGITS: Final = 40
"""Tokenizer configs say 10**30 for "no limit"; int() of much longer numbers takes long, and float() of them fails."""
_MOST_ENTRIES: Final = 20_000


def read_bytes(path: Path, limit_bytes: int) -> bytes:
    """Return a file's content.

    Raises:
        OSError: it can't be read, or is no regular file.
        ValueError: it is larger than `limit_bytes`.
    """
    data = read_start(path, limit_bytes + 1)
    if len(data) > limit_bytes:
        raise ValueError(f"it is larger than {limit_bytes / 1e6:,.0f} MB")
    return data


def read_start(path: Path, limit_bytes: int) -> bytes:
    """Return a file's first bytes, `limit_bytes` at most.

    Raises:
        OSError: it can't be read, or is no regular file.
    """
    with open_regular(path) as file:
        return file.read(limit_bytes)


def read_json(path: Path, limit_bytes: int = CONFIG_BYTES) -> Any:
    """Return the value of a JSON file; see `parse_json`.

    Raises:
        OSError: it can't be read, or is no regular file.
        ValueError: it is too large, or not valid; the message says what is wrong.
    """
    return parse_json(read_bytes(path, limit_bytes))


def parse_json(data: bytes) -> Any:
    """Return the value of a JSON document in UTF-8.

    `Infinity` and `NaN` stay what they are: configs of recurrent models hold them. `limits.count` takes them for unknown.

    Raises:
        ValueError: it is not valid, is nested deeply, or holds a number of very many digits; the message says which.
    """
    try:
        value = json.loads(data.decode("utf-8"), parse_int=_whole_number)
    except UnicodeDecodeError as error:
        raise ValueError("it isn't UTF-8") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"it isn't valid JSON: {_what_is_wrong(error)}") from error
    _check_depth(value)
    return value


def _what_is_wrong(error: json.JSONDecodeError) -> str:
    if error.doc.startswith("\ufeff"):
        return (
            "it starts with a byte order mark, which some editors add; save it as UTF-8 without one"
        )
    if error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated string"):
        return "it is incomplete"
    return f"line {error.lineno} can't be read"


def entries(folder: Path, pattern: str = "*") -> list[Path]:
    """Return the regular files of a folder whose names match, sorted; of a vast folder only some.

    Raises:
        OSError: it can't be listed.
    """
    found = (path for path in islice(folder.iterdir(), _MOST_ENTRIES) if path.match(pattern))
    return sorted(path for path in found if path.is_file())


def total_bytes(paths: Iterable[Path]) -> int:
    """Return what files take together; one that is gone meanwhile counts nothing."""
    return sum(_sizes(paths))


def _sizes(paths: Iterable[Path]) -> Iterator[int]:
    for path in paths:
        try:
            yield path.stat().st_size
        except OSError:
            continue


def _whole_number(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"it has a number with {len(digits):,} digits")
    return int(digits)


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(_MOST_DEPTH):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return
    raise ValueError("it is nested too deeply")


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
