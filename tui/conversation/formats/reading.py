"""From the bytes of a file to the JSON values in it: encodings, lines, and what the file is if it is none of that."""

from __future__ import annotations

import codecs
import json
from typing import Any, Final

from tui.conversation.entries import ChatFormatError
from tui.conversation.formats.problems import Problems
from tui.conversation.formats.signs import sign_of
from tui.conversation.formats.tables import is_table, rows_of

_MARKS: Final = (
    # The UTF-16 mark is a prefix of the UTF-32 mark.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
_EVENTS: Final = ("data:", "event:")
_MOST_VALUES: Final = 1_000_000
_MOST_CONTAINERS: Final = 20_000_000
"""Signs that begin an object or a list. Each takes a hundred times the memory of its text, and an archive packs them to nothing."""


def parsed(data: bytes, problems: Problems) -> Any:
    """Return the JSON value of a file, or the list of those on the lines of a JSON Lines file.

    Raises:
        ChatFormatError: there is none.
        RecursionError: it is nested too deeply.
    """
    text = _text(data, problems)
    if text.count("{") + text.count("[") > _MOST_CONTAINERS:
        raise ChatFormatError(
            "It contains too many objects.", "Split it into smaller files and import those."
        )
    text = _events(text) if text.startswith(_EVENTS) else text
    try:
        value = json.loads(text)
        # A tool may have written its JSON as a text of JSON.
        is_wrapped = isinstance(value, str) and value.startswith(("{", "["))
        return json.loads(value) if is_wrapped else value
    except json.JSONDecodeError as error:
        lines = _lines(text, problems)
        lines = _values(text, problems) if lines is None else lines
        if lines is not None:
            return lines
        if not text.startswith(("{", "[", '"')):
            rows = rows_of(text, problems)
            if rows is not None:
                return rows
            raise ChatFormatError(
                "It is neither JSON nor a CSV table of messages or of questions and answers.",
                "Export the chats as JSON.",
            ) from error
        where = f"line {error.lineno}, column {error.colno}"
        raise ChatFormatError(f"It isn't valid JSON ({error.msg}, {where}).") from error
    except ValueError as error:
        raise ChatFormatError(
            "Its JSON can't be read (it contains a number that is too long)."
        ) from error


def may_be_chats(head: bytes) -> bool:
    """Whether a file that begins so is tried, whatever its name is: JSON, a stream of events or a table with the right columns."""
    if sign_of(head) is not None:
        return False
    encoding = next((name for mark, name in _MARKS if head.startswith(mark)), _guessed(head))
    text = head.decode(encoding, "replace").lstrip("\ufeff \t\r\n")
    return text.startswith(("{", "[", *_EVENTS)) or is_table(text)


def _events(text: str) -> str:
    """Return the data of an event stream, which an API answers in, as lines."""
    lines = (line.strip() for line in text.split("\n"))
    said = (line.removeprefix("data:").strip() for line in lines if line.startswith("data:"))
    return "\n".join(line for line in said if line != "[DONE]")


def _text(data: bytes, problems: Problems) -> str:
    """Return the text of a file, whatever its encoding is."""
    if not data.strip(b"\0\t\n\r "):
        raise ChatFormatError("It is empty.")
    if (sign := sign_of(data)) is not None:
        raise ChatFormatError(sign.what, sign.hint)
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "")
    try:
        # A lone surrogate written by JavaScript is no reason to reject the rest.
        text = data.decode(encoding or _guessed(data), "surrogatepass")
    except UnicodeDecodeError as error:
        if encoding or b"\0" in data:
            raise ChatFormatError("It isn't a text file.") from error
        text = data.decode("cp1252", "replace")
        if not text.lstrip().startswith(("{", "[")) and not is_table(text):
            raise ChatFormatError("It isn't a text file.") from error
        problems.say(
            "It isn't UTF-8 and was read as Western European (Windows-1252); some characters may be wrong"
        )
    # A file may be cut off after a crash.
    return text.removeprefix("\ufeff").rstrip("\0 \t\r\n")


def _guessed(data: bytes) -> str:
    """Return the encoding of a text without a mark: JSON begins with a sign of ASCII, so the zeros around it tell."""
    zeros = "".join("01"[byte == 0] for byte in data[:4])
    return {
        "1110": "utf-32-be",
        "0111": "utf-32-le",
        "1010": "utf-16-be",
        "0101": "utf-16-le",
        "1000": "utf-16-be",
        "0100": "utf-16-le",
    }.get(zeros, "utf-8")


def _lines(text: str, problems: Problems) -> list[Any] | None:
    """Return the values of a JSON Lines file; None when the first line is no JSON object or list."""
    values: list[Any] = []
    broken = 0
    # Not splitlines: a line separator of Unicode may stand inside a JSON string.
    for line in text.split("\n"):
        line = line.strip("\ufeff\0 \t\r")
        if not line:
            continue
        try:
            values.append(json.loads(line))
        except ValueError:
            if not values:
                return None
            broken += 1
    if not values or not isinstance(values[0], dict | list):
        return None
    problems.note("lines that aren't valid JSON", broken)
    return values


def _values(text: str, problems: Problems) -> list[Any] | None:
    """Return the values of a file that holds several, one after another; None where not even the first is whole."""
    decoder = json.JSONDecoder()
    values: list[Any] = []
    at = 0
    while at < len(text) and len(values) < _MOST_VALUES:
        if text[at] in "\ufeff\0 \t\r\n,":
            at += 1
            continue
        try:
            value, at = decoder.raw_decode(text, at)
        except ValueError:
            if values:
                problems.say("Left out: the rest of the file, which isn't valid JSON")
            break
        values.append(value)
    return values if values and isinstance(values[0], dict | list) else None
