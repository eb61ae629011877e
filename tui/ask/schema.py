"""The schema that a reply is held to: a file, a JSON Schema as it is, or a short form of one that is typed on a command line."""

from __future__ import annotations

import json
import re
from typing import Final

from tui.errors import UserError
from tui.files import is_file, read_regular, reason, typed_path
from tui.json_types import Json

_TYPES: Final = {
    "str": "string",
    "string": "string",
    "int": "integer",
    "integer": "integer",
    "float": "number",
    "number": "number",
    "bool": "boolean",
    "boolean": "boolean",
}
_FIELD: Final = re.compile(
    r"(?P<name>[\w-]+)(?:\s+(?P<type>\[?[\w|-]+\]?))?\s*(?::\s*(?P<about>.+))?"
)
_HINT: Final = (
    "Give a file, a JSON Schema, or fields with types such as 'name, age int, tags [str]'."
)
_MOST_BYTES: Final = 1_000_000


def schema_of(given: str) -> Json:
    """Return the JSON Schema that was given.

    The short form names fields, parted by commas or lines: each a name, then a type unless it is a text (`str`, `int`, `float`,
    `bool`, choices such as `yes|no`, or one of them in brackets for a list), then perhaps a colon and a description for the model.

    Raises:
        UserError: it is none.
    """
    path = typed_path(given)
    if given.lstrip().startswith("{"):
        return _parsed(given, "The schema")
    if is_file(path):
        try:
            return _parsed(read_regular(path, most_bytes=_MOST_BYTES).decode("utf-8-sig"), given)
        except OSError as error:
            raise UserError(f"{given} can't be read ({reason(error)}).") from error
        except UnicodeDecodeError as error:
            raise UserError(f"{given} is not a text file.", _HINT) from error
    return _from_fields(given)


def _parsed(text: str, name: str) -> Json:
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{name} is not valid JSON ({_why(error)}).", _HINT) from error
    if not isinstance(schema, dict):
        raise UserError(f"{name} is not a JSON Schema: it must be an object.", _HINT)
    return schema


def _why(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def _from_fields(given: str) -> Json:
    fields = [field.strip() for field in re.split(r"[,\n]", given) if field.strip()]
    properties: dict[str, Json] = {}
    for field in fields:
        found = _FIELD.fullmatch(field)
        if found is None:
            raise UserError(
                f"{field!r} is not a field with a type, and no such file exists.", _HINT
            )
        if found["name"] in properties:
            raise UserError(f"The schema has two fields named {found['name']!r}.", _HINT)
        properties[found["name"]] = _property(found["type"] or "str", found["about"])
    if not properties:
        raise UserError("The schema is empty.", _HINT)
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _property(named: str, about: str | None) -> dict[str, Json]:
    bare = named.strip("[]")
    choices = [one for one in bare.split("|") if one]
    if "|" in bare and named in (bare, f"[{bare}]") and len(choices) > 1:
        made: dict[str, Json] = {"enum": list(choices)}
        return _listed(made, is_list=named != bare, about=about)
    if bare not in _TYPES or named not in (bare, f"[{bare}]"):
        raise UserError(f"Unknown type in the schema: {named!r}.", f"Types: {', '.join(_TYPES)}.")
    return _listed({"type": _TYPES[bare]}, is_list=named != bare, about=about)


def _listed(made: dict[str, Json], *, is_list: bool, about: str | None) -> dict[str, Json]:
    whole: dict[str, Json] = {"type": "array", "items": made} if is_list else made
    return {**whole, "description": about.strip()} if about else whole
