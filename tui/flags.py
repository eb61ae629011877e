"""Generation flags as they are typed: `temperature=0.7 stop_strings=["###"]`, on the command line and after `/set`.

What the flag parser of `transformers chat` understands means the same here. It says nothing of which names there are: that is
the table in `tui.parameters`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Final

from tui.json_types import Json
from tui.parameters import ParameterError, Value, parameter
from tui.pattern import pattern

_NUMBER: Final = pattern(r"-?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_FLAG: Final = pattern(r"[A-Za-z_][\w-]*=")
_MAX_DIGITS: Final = 400


def looks_like_flag(word: str) -> bool:
    """Return whether a word of the command line has the form `name=value`."""
    return _FLAG.match(word) is not None


def flag_value(name: str, text: str) -> Json:
    """Return one flag's value, typed by its form alone: true, false, None, a number, a list, else the text as it is.

    Raises:
        ParameterError: a list can't be read.
    """
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if text in ("None", "null"):
        return None
    if text.startswith("[") and text.endswith("]"):
        return _list(name, text)
    if _is_plain_number(text):
        return _plain_number(text)
    return text


def _is_plain_number(text: str) -> bool:
    digits = text.removeprefix("-").replace(".", "", 1)
    return digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS


def _plain_number(text: str) -> float | int:
    """Return a number; `.9` and `007` count too, which are no JSON."""
    return float(text) if "." in text else int(text)


def _list(name: str, text: str) -> Json:
    # `transformers chat` takes the quotes off these before it reads a list as JSON, so that a list means the same here. What it
    # then can't read is read as it stands.
    bare = text
    for word in ("null", "true", "false"):
        bare = bare.replace(f'"{word}"', word)
    bare = bare.replace('"[', "[").replace(']"', "]")
    for form in (bare, text):
        try:
            found: Json = json.loads(form)
            return found
        except (ValueError, RecursionError):
            continue
    raise ParameterError(
        f"{text[:40]!r} is not a list for {name}.", 'Write it like [1, 2] or ["a", "b"].'
    )


def read_flags(flags: Iterable[str]) -> dict[str, Value]:
    """Return the parameters that `name=value` words set, each as its parameter's kind; None for one that is to be the default.

    Raises:
        ParameterError: a name is not known, or a value can't be taken.
    """
    found: dict[str, Value] = {}
    for flag in flags:
        name, equals, text = flag.partition("=")
        if not equals:
            raise ParameterError(f"{flag!r} has no '='.", "Write name=value.")
        name = name.strip().replace("-", "_")
        found[name] = read_value(name, text)
    return found


def read_value(name: str, text: str) -> Value:
    """Return the value of one parameter from its text on the command line, after `/set`, or in an environment variable.

    Raises:
        ParameterError: there is no such parameter, or it can't take the value.
    """
    known = parameter(name)
    value = flag_value(name, text)
    is_text = isinstance(value, str) or (known.kind in (str, list) and not isinstance(value, list))
    if value is None or not is_text:
        return known.check(value)
    return known.parse(text)


def split_words(line: str) -> list[str]:
    """Split a line as a shell would for flags: at blanks outside quotes and brackets; quotes around a value come off.

    Raises:
        ParameterError: a quote or a bracket is not closed.
    """
    words: list[str] = []
    word, begun, rest = "", False, line
    while rest:
        if rest[0].isspace():
            words += [word] if begun else []
            word, begun, rest = "", False, rest[1:]
        elif rest[0] == "[":
            taken = _bracket(rest)
            word, begun, rest = word + taken, True, rest[len(taken) :]
        elif rest[0] == '"' or (rest[0] == "'" and not word[-1:].isalnum()):
            inside, taken = _quoted(rest)
            word, begun, rest = word + inside, True, rest[len(taken) :]
        else:
            word, begun, rest = word + rest[0], True, rest[1:]
    return [*words, word] if begun else words


def _quoted(text: str) -> tuple[str, str]:
    """Return what stands in the quotes that a text begins with, and that with its quotes as it was typed."""
    quote, inside, at = text[0], "", 1
    while at < len(text):
        if text[at] == quote:
            return inside, text[: at + 1]
        if quote == '"' and text[at] == "\\" and text[at + 1 : at + 2] in ('"', "\\"):
            at += 1
        inside += text[at]
        at += 1
    raise ParameterError("A quote is not closed.")


def _bracket(text: str) -> str:
    """Return the list that a text begins with, as it was typed."""
    depth = at = 0
    while at < len(text):
        if text[at] == '"':
            at += len(_quoted(text[at:])[1]) - 1
        depth += (text[at] == "[") - (text[at] == "]")
        at += 1
        if not depth:
            return text[:at]
    raise ParameterError("A bracket is not closed.")
