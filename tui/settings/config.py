"""The configuration file: read strictly, written with its comments kept, explained key by key.

Reading never fails: what can't be used is left out and said in a sentence. A file that is no TOML, as one that is being written,
is never overwritten.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any, Final

from tui.dataclass import dataclass
from tui.errors import UserError
from tui.files import make_private_folder, read_regular, reason, write_atomic
from tui.json_types import Json
from tui.parameters import did_you_mean
from tui.settings.schema import (
    SECTIONS,
    SETTINGS,
    VARIABLE_PREFIX,
    Setting,
    SettingError,
    settings_of,
)
from tui.settings.toml_text import TomlError, parse_toml

_MAX_BYTES: Final = 1_000_000
_OTHER_VARIABLES: Final = frozenset(("CHAT_TUI_HOME", "CHAT_TUI_TEST_CACHE"))


class ConfigError(UserError):
    """The configuration file could not be written."""


@dataclass(frozen=True, slots=True)
class Config:
    """What a configuration file says.

    Attributes:
        values: the settings that it sets, by their keys; all of them are valid.
        problems: a sentence for each thing that is left out.
        is_whole: whether it could be read as TOML; one that could not is never written to.
    """

    values: Mapping[str, Json] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    is_whole: bool = True


def read_config(path: Path) -> Config:
    """Return what a configuration file says; nothing where there is none."""
    try:
        data = read_regular(path, most_bytes=_MAX_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return Config()
    except OSError as error:
        return _unreadable(path, reason(error))
    try:
        return parse_config(data.decode("utf-8-sig"), path.name)
    except UnicodeDecodeError:
        return _unreadable(path, "it is not UTF-8 text")


def _unreadable(path: Path, why: str) -> Config:
    sentence = (
        f"{path} can't be read ({why}). It is left unchanged and ignored until that is fixed."
    )
    return Config(problems=(sentence,), is_whole=False)


def parse_config(text: str, name: str = "config.toml") -> Config:
    """Return what the text of a configuration file says."""
    try:
        document = parse_toml(text)
    except TomlError as error:
        sentence = f"{name} is not valid TOML ({error}). It is left unchanged and ignored until that is fixed."
        return Config(problems=(sentence,), is_whole=False)
    values: dict[str, Json] = {}
    problems: list[str] = []
    for key, value in _entries(document, "", problems):
        try:
            if SETTINGS[key].entry is None:
                values[key] = SETTINGS[key].check(value)
            else:
                # What is wrong with one of them says nothing of the others.
                values[key], wrong = SETTINGS[key].check_each(value)
                problems += [f"{name}: {error}" for error in wrong]
        except SettingError as error:
            problems.append(f"{name}: {error}")
    return Config(values, tuple(problems))


def _entries(
    table: Mapping[str, Json], above: str, problems: list[str]
) -> Iterator[tuple[str, Json]]:
    """Yield the settings of a table and the tables in it; note what is not known."""
    for name, value in table.items():
        key = f"{above}{name}"
        if key in SETTINGS:
            yield key, value
        elif isinstance(value, Mapping) and any(known.startswith(f"{key}.") for known in SETTINGS):
            yield from _entries(value, f"{key}.", problems)
        else:
            near = ("" if above else did_you_mean(key, SECTIONS)) or did_you_mean(key, SETTINGS)
            problems.append(f"There is no setting {key[:60]!r}. {near}".rstrip())


def read_environment(environment: Mapping[str, str]) -> Config:
    """Return what the environment variables of the settings say."""
    known = {setting.variable: setting for setting in SETTINGS.values()}
    values: dict[str, Json] = {}
    problems: list[str] = []
    for name, text in sorted(environment.items()):
        if name in known:
            try:
                values[known[name].key] = known[name].parse(text)
            except SettingError as error:
                problems.append(f"{name}: {error}")
        elif name.startswith(VARIABLE_PREFIX) and name not in _OTHER_VARIABLES:
            near = did_you_mean(name, known)
            problems.append(f"There is no setting for {name[:60]}. {near}".rstrip())
    return Config(values, tuple(problems))


def write_setting(path: Path, key: str, value: Json) -> None:
    """Set one key in a configuration file, or take it out when `value` is None. All else stays as it is, comments included.

    Raises:
        ConfigError: the file is no TOML now, or can't be written.
        SettingError: the value is not allowed.
    """
    write_settings(path, {key: value})


def write_settings(path: Path, changes: Mapping[str, Json]) -> None:
    """Set several keys in a configuration file at once; see `write_setting`.

    Raises:
        ConfigError: the file is no TOML now, or can't be written.
        SettingError: a value is not allowed.
    """
    checked = {
        key: None if value is None else SETTINGS[key].check(value) for key, value in changes.items()
    }
    found = read_config(path)
    if not found.is_whole:
        raise ConfigError(f"Not saved. {found.problems[0]}")
    try:
        text = read_regular(path).decode("utf-8-sig") if path.exists() else ""
        changed = changed_text(text, checked)
        make_private_folder(path.parent)
        # A link, as people have them who keep such files in a repository, stays one.
        write_atomic(path.resolve() if path.is_symlink() else path, changed.encode())
    except OSError as error:
        raise ConfigError(f"Not saved: {path} can't be written ({reason(error)}).") from error


def changed_text(text: str, changes: Mapping[str, Json]) -> str:
    """Return the text of a configuration file with some keys set or taken out.

    Raises:
        ConfigError: the text is no TOML.
    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        document = tomlkit.parse(text)
        for key, value in changes.items():
            *tables, name = key.split(".")
            _set(document, tables, name, value)
        return str(tomlkit.dumps(document))
    except (TOMLKitError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ConfigError(
            f"Not saved: the configuration file can't be changed ({error})."
        ) from error


def _set(document: Any, tables: list[str], name: str, value: Json) -> None:
    import tomlkit

    table = document
    for part in tables:
        if part not in table:
            if value is None:
                return
            table[part] = tomlkit.table()
        table = table[part]
    if value is None:
        table.pop(name, None)
    elif isinstance(value, Mapping) and isinstance(table.get(name), Mapping):
        _replace(table[name], value)
    elif isinstance(value, str) and "\n" in value and "\r" not in value:
        table[name] = tomlkit.string(value, multiline=True)
    else:
        table[name] = tomlkit.item(value)


def _replace(table: Any, value: Mapping[str, Json]) -> None:
    for gone in [name for name in table if name not in value]:
        table.pop(gone)
    for name, one in value.items():
        if table.get(name) != one:
            table[name] = one


def explain(values: Mapping[str, Json], origins: Mapping[str, str]) -> str:
    """Return a commented configuration file with every key there is, each with its meaning and what is in force now.

    What a file sets stands in it as it is; all other keys are commented out, so that the text is a file to begin with.
    """
    lines = ["# chat-tui settings. To set a value, remove the # before it."]
    for section, meaning in SECTIONS.items():
        lines += ["", f"# {meaning}", f"[{section}]"]
        for setting in settings_of(section):
            lines += _explained(setting, values.get(setting.key), origins.get(setting.key, ""))
    return "\n".join(lines) + "\n"


def _explained(setting: Setting, value: Json, origin: str) -> list[str]:
    from_where = f" Source: {origin}." if origin else ""
    lines = [f"# {setting.help} {setting.range_text[:1].upper()}{setting.range_text[1:]}."]
    if setting.kind is not dict:
        lines.append(f"# Environment: {setting.variable}.{from_where}")
    shown = value if value is not None else setting.default
    if setting.key in SECTIONS:
        entries = [f"{_key(name)} = {_toml(one)}" for name, one in _table(shown).items()]
        return [*lines, *(entries or [f"# {setting.example}"])]
    text = _toml(shown) if shown not in (None, {}) else setting.example
    line = f"{setting.name} = {text}".rstrip()
    return [*lines, line if origin == "file" else f"# {line}"]


def _table(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}


def _key(name: str) -> str:
    return name if name.replace("-", "_").isidentifier() and name.isascii() else _toml(name)


def _toml(value: Json) -> str:
    """Return a value as it is written in TOML, on one line."""
    import tomlkit

    return (
        str(tomlkit.item(value).as_string())
        if not isinstance(value, Mapping)
        else (
            "{ " + ", ".join(f"{_key(name)} = {_toml(one)}" for name, one in value.items()) + " }"
        )
    )
