"""Values of another tool's file, whatever their types are: texts, keys, roles and times. Nothing here fails, and nothing knows a format."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from tui.conversation.turn import ASSISTANT, SYSTEM, USER

TOOL: Final = "tool"
ROLES: Final[Mapping[str, str]] = {
    "human": USER,
    "you": USER,
    "prompter": USER,
    "prompt": USER,
    "usermessage": USER,
    "humanmessage": USER,
    "apimessage": ASSISTANT,
    "aimessage": ASSISTANT,
    "botmessage": ASSISTANT,
    "request": USER,
    "gpt": ASSISTANT,
    "bot": ASSISTANT,
    "chatbot": ASSISTANT,
    "chatgpt": ASSISTANT,
    "bing": ASSISTANT,
    "bard": ASSISTANT,
    "model": ASSISTANT,
    "ai": ASSISTANT,
    "llm": ASSISTANT,
    "character": ASSISTANT,
    "response": ASSISTANT,
    "developer": SYSTEM,
    "function": TOOL,
    "observation": TOOL,
    "toolresult": TOOL,
    "tool_result": TOOL,
    "tool_response": TOOL,
    "ipython": TOOL,
}
"""What other tools call the roles of a chat template."""
KNOWN_ROLES: Final = (USER, ASSISTANT, SYSTEM, TOOL)
_UNITS: Final = ((1e11, 1), (1e14, 1e3), (1e17, 1e6), (1e20, 1e9))
"""Times below the first number of a row are in seconds, thousandths, millionths or billionths."""
_CLOCK: Final = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2}) ?@ ?(\d{1,2})h ?(\d{1,2})m(?: ?(\d{1,2})s)?.*"
)
_SPOKEN: Final = ("%B %d, %Y %I:%M%p", "%b %d, %Y %I:%M%p", "%b %d, %Y %H:%M")
_LONGEST_TIME: Final = 64


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


def text_of(value: Any) -> str:
    """Return a string, or "" for any other value."""
    return value if isinstance(value, str) else ""


def unescaped(text: str) -> str:
    """Return a text of HTML without its references; as it is where one of them is no number that Python reads."""
    try:
        return html.unescape(text)
    except ValueError:
        return text


def mapping_of(value: Any) -> Mapping[str, Any]:
    """Return an object, or an empty one for any other value."""
    return value if isinstance(value, Mapping) else {}


def list_of(value: Any) -> list[Any]:
    """Return a list, or an empty one for any other value."""
    return value if isinstance(value, list) else []


def key_of(value: Any) -> str | None:
    """Return an id as text, whether the file has a string or a whole number; None for any other value."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    # Python refuses to format numbers with thousands of digits.
    return value if isinstance(value, str) else hex(value) if abs(value) > 1 << 64 else str(value)


def keys_of(value: Any) -> tuple[str, ...]:
    """Return the ids in a list."""
    return tuple(key for one in list_of(value) if (key := key_of(one)) is not None)


def role_of(value: Any) -> str:
    """Return the name that chat templates know for another tool's role; an unknown one stays as it is."""
    role = text_of(value).strip().lower()
    return ROLES.get(role, role) or USER


def seconds(value: Any) -> float:
    """Return a time as Unix seconds; 0 for what is none.

    It may be given in seconds or in thousandths, millionths or billionths of one, as a number or a text, as a date of ISO 8601, or as
    SillyTavern writes it, or be wrapped as MongoDB does. A date without a zone is taken for UTC, so that it is the same everywhere.
    """
    for key in ("$date", "$numberLong"):
        value = value.get(key) if isinstance(value, Mapping) and key in value else value
    if isinstance(value, str):
        return _written_time(value.strip()) if len(value) <= _LONGEST_TIME else 0.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        return 0.0
    unit = next((unit for below, unit in _UNITS if value < below), 0)
    return round(float(value) / unit, 3) if unit and math.isfinite(value) else 0.0


def _written_time(text: str) -> float:
    try:
        return seconds(float(text))
    except ValueError:
        pass
    for read in (datetime.fromisoformat, _clock_time, *map(_spoken_time, _SPOKEN)):
        try:
            found = read(text)
            return seconds((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
        except (ValueError, OverflowError):
            continue
    return 0.0


def _clock_time(text: str) -> datetime:
    found = _CLOCK.fullmatch(text)
    if found is None:
        raise ValueError(text)
    return datetime(*(int(part or 0) for part in found.groups()))  # type: ignore[arg-type]  # noqa: DTZ001


def _spoken_time(form: str) -> Callable[[str], datetime]:
    return lambda text: datetime.strptime(text, form)  # noqa: DTZ007
