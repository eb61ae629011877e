"""Safely describes and logs exceptions of any origin.

An exception of a stranger's code may raise, never end or say a hundred megabytes when it is asked for its words, and its causes may
go round in a circle. Nothing here raises, and nothing becomes long.
"""

from __future__ import annotations

import contextlib
import logging
import traceback
from collections.abc import Iterator
from types import CodeType, TracebackType
from typing import Final

from tui.engine.attempts import Attempts, StuckError, never
from tui.sanitize import sanitize_line

_LONGEST: Final = 300
_MOST_READ: Final = 10_000
_MOST_CAUSES: Final = 20
_MOST_FRAMES: Final = 50
_WITHIN_S: Final = 1.0
_PLAIN: Final = (str, int, float, bool, type(None))
_SAYERS: Final = (BaseException, KeyError, OSError)
"""Python's own types, whose words are made of nothing but plain values where the exception was given such."""


def words(error: BaseException, limit: int = _LONGEST, *, first_line: bool = False) -> str:
    """Return an exception's message as one displayable line, or its type's name if it has none.

    Args:
        limit: how many characters it may have.
        first_line: leave out all but its first line, as of a compiler's errors.
    """
    said = _said(error)
    if first_line:
        said = said.strip().partition("\n")[0]
    return sanitize_line(said, limit) or type_name(error)


def type_name(error: BaseException) -> str:
    """Return the name of an exception's type."""
    # Asked of the type of types, since a type may answer for itself.
    name: str = type.__dict__["__name__"].__get__(type(error))
    return sanitize_line(str.__str__(name), _LONGEST) or "Exception"


def causes(error: BaseException, *, stated: bool = False) -> Iterator[BaseException]:
    """Yield an exception and what stands behind it, each once, the last cause last.

    Args:
        stated: go on only where an exception says what it was raised from.
    """
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen and len(seen) < _MOST_CAUSES:
        seen.add(id(at))
        yield at
        cause: BaseException | None = BaseException.__dict__["__cause__"].__get__(at)
        context: BaseException | None = BaseException.__dict__["__context__"].__get__(at)
        at = cause if cause is not None or stated else context


def log(logger: logging.Logger, level: int, message: str, error: BaseException) -> None:
    """Log an exception with its causes and where they were raised."""
    if not logger.isEnabledFor(level):
        return
    lines = [message]
    for at in causes(error):
        trace = BaseException.__dict__["__traceback__"].__get__(at)
        lines += [
            # Without the lines of source: a stranger's code may name a file that has no end.
            sanitize_line(f'  File "{code.co_filename}", line {line}, in {code.co_name}', _LONGEST)
            for code, line in _frames(trace)
        ]
        lines.append(f"{type_name(at)}: {words(at, _MOST_READ)}")
    logger.log(level, "%s", "\n".join(lines))


def _frames(trace: TracebackType | None) -> list[tuple[CodeType, int]]:
    """Return where a traceback has been, the last frames if there are many."""
    frames = [(frame.f_code, line) for frame, line in traceback.walk_tb(trace)]
    return frames[-_MOST_FRAMES:]


def _said(error: BaseException) -> str:
    if _is_plain(error):
        return _asked(error)
    # It may never finish.
    with contextlib.suppress(StuckError):
        return Attempts(_WITHIN_S).run(lambda: _asked(error), never)
    return ""


def _is_plain(error: BaseException) -> bool:
    """Return whether only Python's own code is run when an exception is asked for its words."""
    kinds = type.__dict__["__mro__"].__get__(type(error))
    sayer = next(kind for kind in kinds if "__str__" in type.__dict__["__dict__"].__get__(kind))
    values = [*BaseException.__dict__["args"].__get__(error)]
    if sayer is OSError:
        values += [OSError.__dict__[name].__get__(error) for name in ("filename", "filename2")]
    return sayer in _SAYERS and all(type(value) in _PLAIN for value in values)


def _asked(error: BaseException) -> str:
    try:
        # One that is a `str` by name only would go on running code of its own.
        return str.__str__(str(error))[:_MOST_READ]
    except BaseException:  # noqa: BLE001 - whatever it raises, it says nothing
        return ""
