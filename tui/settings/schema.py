"""What there is to be known of each setting by its key, and how a value of it is checked and read from text.

It is made from the fields of `values`. The file's strict reader, `chat-tui config --explain`, the environment, the settings screen and
the table in docs/reference are made from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, Final

from tui.dataclass import dataclass
from tui.errors import UserError
from tui.flags import read_value
from tui.json_types import Json
from tui.parameters import PARAMETERS, Parameter, ParameterError, did_you_mean, format_value
from tui.pattern import pattern
from tui.settings.values import FORMER_CHOICES, Values

GENERATION: Final = "generation."
VARIABLE_PREFIX: Final = "CHAT_TUI_"
_SWITCH_NAME: Final = pattern(r"[A-Za-z_]\w{0,63}")
_TABLE_NAME: Final = pattern(r"[\w.-]{1,40}")
_MAX_TEXT: Final = 1_000_000
_MOST_NUMBER: Final = 2**63
_WORDS: Final = {"true": True, "yes": True, "on": True, "1": True} | {
    "false": False, "no": False, "off": False, "0": False,
}  # fmt: skip


class SettingError(UserError):
    """A value that a setting can't take, or a setting that there is not."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Attributes:
        key: its section and its name in the file, as in `screen.theme`.
        kind: `str`, `bool`, `int`, `float`, `list`, or `dict` for a table of texts.
        default: in force when nothing else is said; None for "not set".
        help: one sentence.
        title: what people call it.
        group: the title of the group that it is listed in.
        blank: what holds where the value is empty or 0, in a word or two.
        choices: of a text: the ones allowed; empty where any is.
        minimum, maximum: of a number.
        keys: of a table: what its keys are.
        example: how it is written in the explanation when it has no default.
        entry: of a table of tables: the class whose fields are what each of them can say.
    """

    key: str
    kind: type
    default: Json
    help: str
    title: str
    group: str
    blank: str = ""
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    keys: str = ""
    example: str = ""
    entry: type | None = None

    @property
    def section(self) -> str:
        """The table of the file that it stands in."""
        return self.key.rpartition(".")[0]

    @property
    def name(self) -> str:
        """Its name in that table."""
        return self.key.rpartition(".")[2]

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return VARIABLE_PREFIX + self.key.replace(".", "_").upper()

    def shown(self, value: Json) -> str:
        """Return a value in words, what holds where it is empty included."""
        if isinstance(value, bool):
            return "on" if value else "off"
        if isinstance(value, Mapping):
            pairs = (f"{name}={format_value(one)}" for name, one in value.items())
            tables = ", ".join(value if self.entry is not None else pairs)
            return tables or self.blank
        return self.blank if self.blank and not value else format_value(value)

    def typed(self, value: Json) -> str:
        """Return a value as one would type it; `parse` reads it again. What is empty or not set gives no text."""
        if isinstance(value, Mapping):
            return ", ".join(f"{name}={format_value(one)}" for name, one in value.items())
        if self.key.startswith(GENERATION):
            known = PARAMETERS[self.name]
            return known.shown(known.check(value))
        return format_value(value)

    @property
    def range_text(self) -> str:
        """What is allowed, in words."""
        if self.key.startswith(GENERATION):
            return PARAMETERS[self.name].range_text
        if self.kind is bool:
            return "true or false"
        if self.kind is dict:
            return f"a table of {self.keys}"
        if self.kind is str:
            return f"one of {', '.join(self.choices)}" if self.choices else "a string"
        low, high = format_value(self.minimum), format_value(self.maximum)
        return f"a number from {low} to {high}"

    def check(self, value: Any) -> Json:
        """Return a value as this setting's kind.

        Raises:
            SettingError: it is of another kind, or not allowed.
        """
        if self.key.startswith(GENERATION):
            try:
                return PARAMETERS[self.name].check(value)
            except ParameterError as error:
                raise self._refused(error.message, error.hint) from error
        if self.entry is not None:
            found, problems = self.check_each(value)
            if problems:
                raise problems[0]
            return found
        if self.choices and isinstance(value, str):
            value = FORMER_CHOICES.get(value, value)
        if type(value) is int and abs(value) > _MOST_NUMBER:
            if self.kind in (int, float):
                low, high = format_value(self.minimum), format_value(self.maximum)
                raise self._refused(f"the number is not between {low} and {high}.")
            raise self._refused(f"a number is not {self.range_text}.")
        if self.kind is float and type(value) is int:
            value = float(value)
        is_right = type(value) is self.kind or (self.kind is dict and isinstance(value, Mapping))
        if not is_right or not self._is_allowed(value):
            raise self._refused(f"{str(value)[:40]!r} is not {self.range_text}.")
        checked: Json = dict(value) if self.kind is dict else value
        return checked

    def check_each(self, value: Any) -> tuple[Json, list[SettingError]]:
        """Return those tables of a table of tables that are allowed, and what is wrong with each of the others.

        Raises:
            SettingError: it is no table at all.
        """
        if not isinstance(value, Mapping):
            raise self._refused(f"{str(value)[:40]!r} is not {self.range_text}.")
        found: dict[str, Json] = {}
        problems: list[SettingError] = []
        for name, table in value.items():
            try:
                found[name] = self._checked_table(str(name), table)
            except SettingError as error:
                problems.append(error)
        return found, problems

    def _checked_table(self, name: str, table: Any) -> dict[str, Json]:
        if not _TABLE_NAME.fullmatch(name) or not isinstance(table, Mapping):
            raise self._refused(
                f"[{self.key}.{name[:40]}] must be a table, and its name may contain only letters, digits, dots, hyphens and underscores."
            )
        key = f"{self.key}.{name}"
        known = {one.name: _setting(f"{key}.{one.name}", one) for one in fields(self.entry or Values)}  # fmt: skip
        for one in table:
            if one not in known:
                raise self._refused(
                    f"[{key}]: {one[:40]!r} is not a known key.", did_you_mean(one, known)
                )
        return {one: known[one].check(given) for one, given in table.items()}

    def _is_allowed(self, value: Any) -> bool:
        if self.kind is str:
            return len(value) <= _MAX_TEXT and (
                not self.choices or value in (*self.choices, self.default)
            )
        if self.kind in (int, float):
            low, high = self.minimum, self.maximum
            return (
                math.isfinite(value)
                and (low is None or value >= low)
                and (high is None or value <= high)
            )
        if self.kind is dict:
            scalars = (str,) if self.key != "template" else (str, bool, int, float)
            return all(isinstance(one, scalars) for one in value.values()) and (
                self.key != "template" or all(map(_SWITCH_NAME.fullmatch, value))
            )
        return True

    def parse(self, text: str) -> Json:
        """Return the value that a text stands for, as in an environment variable or a field.

        Raises:
            SettingError: it is not allowed.
        """
        if self.key.startswith(GENERATION):
            try:
                return read_value(self.name, text)
            except ParameterError as error:
                # The message names the parameter.
                raise SettingError(error.message, error.hint) from error
        if self.kind is bool:
            if text.strip().lower() not in _WORDS:
                raise self._refused(f"{text[:40]!r} is not true or false.")
            return _WORDS[text.strip().lower()]
        if self.entry is not None:
            raise self._refused(f"it can only be set in the file, as tables [{self.key}.NAME].")
        if self.kind is dict:
            pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
            return self.check({name.strip(): _plain(value.strip()) for name, _, value in pairs})
        try:
            value = self.kind(text)
        except ValueError as error:
            raise self._refused(f"{text[:40]!r} is not {self.range_text}.") from error
        return self.check(value)

    def _refused(self, why: str, hint: str = "") -> SettingError:
        return SettingError(f"Setting {self.key}: {why}", hint)


def _plain(text: str) -> Json:
    return text.lower() == "true" if text.lower() in ("true", "false") else text


_SECTION_KINDS: Final[Mapping[str, Any]] = {one.name: one.default_factory for one in fields(Values)}
"""A class for each section, and `dict` for one that is a table with keys of the user's own."""

_GROUPS: Final[Mapping[str, str]] = {
    one.name: one.metadata.get("group", "") for one in fields(Values)
}
"""The title of the group that the settings of each section are listed in; those of generation have groups of their own."""

SECTIONS: Final[Mapping[str, str]] = {
    one.name: one.metadata.get("about") or str(_SECTION_KINDS[one.name].__doc__)
    for one in fields(Values)
}
"""What each section is for."""


def _settings() -> Iterator[Setting]:
    for declared in fields(Values):
        section, kind = declared.name, _SECTION_KINDS[declared.name]
        if section == "generation":
            yield from map(_parameter_setting, PARAMETERS.values())
        elif kind is dict:
            yield _setting(section, declared)
        else:
            yield from (_setting(f"{section}.{one.name}", one) for one in fields(kind))


def _parameter_setting(known: Parameter) -> Setting:
    example = format_value(known.default)
    return Setting(
        f"{GENERATION}{known.name}", known.kind, None, known.help, known.label, known.group, known.blank,
        choices=known.choices, example=example,
    )  # fmt: skip


def _setting(key: str, declared: Field[Any]) -> Setting:
    """Return the setting that a field declares; its default has the type of its annotation."""
    facts = {name: fact for name, fact in declared.metadata.items() if name != "about"}
    facts["group"] = _GROUPS.get(key.partition(".")[0], "")
    default: Any = {} if declared.default is MISSING else declared.default
    return Setting(key, type(default), default, **facts)


SETTINGS: Final[Mapping[str, Setting]] = {one.key: one for one in _settings()}


def settings_by_group() -> dict[str, list[Setting]]:
    """Return all settings under the titles of their groups."""
    groups: dict[str, list[Setting]] = {}
    for one in SETTINGS.values():
        groups.setdefault(one.group, []).append(one)
    return groups


def settings_of(section: str) -> Iterator[Setting]:
    """Yield the settings of one section, in the table's order."""
    return (one for one in SETTINGS.values() if one.key.partition(".")[0] == section)


def typed_values(value: Callable[[str], Json]) -> Values:
    """Return all settings with their values, each of which is asked for by its key."""
    return Values(**{name: _section(name, kind, value) for name, kind in _SECTION_KINDS.items()})


def _section(section: str, kind: Any, value: Callable[[str], Json]) -> Any:
    if section == "generation":
        given = {name: value(f"{GENERATION}{name}") for name in PARAMETERS}
        return {name: one for name, one in given.items() if one is not None}
    if kind is dict:
        table: Any = value(section)
        entry = SETTINGS[section].entry
        return table if entry is None else {name: entry(**one) for name, one in table.items()}
    return kind(**{one.name: value(f"{section}.{one.name}") for one in fields(kind)})
