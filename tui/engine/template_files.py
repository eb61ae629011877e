"""Finds the chat template in a model's folder: in which file it is, and which one where there are several.

It stands in a file of its own, in the tokenizer's settings, or in those of a processor that handles images as well. The list of models,
a model's notes and its prompts all go by what is found here. What a template says is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tui.dataclass import dataclass
from tui.engine import model_files, stand_ins
from tui.engine.base import ModelLoadError
from tui.engine.folder_files import TEMPLATE_BYTES, wrong
from tui.pattern import pattern

DEFAULT: Final = "default"
_KEY: Final = "chat_template"
_OWN_FILE: Final = "chat_template.jinja"
_FURTHER: Final = "additional_chat_templates"
_ENDINGS: Final = (".jinja", ".jinja2", ".j2")
_SETTINGS: Final = (
    "tokenizer_config.json", "chat_template.json", "processor_config.json", "preprocessor_config.json",
)  # fmt: skip
"""The files that name a template among other things; the first that does holds."""
_SETTINGS_BYTES: Final = 2 * model_files.CONFIG_BYTES
_MOST_TEMPLATES: Final = 50
_FILE_NAME: Final = pattern(r"[\w.-]{1,200}")
_SPECIAL: Final = pattern(r"tool|function|rag|document|citation|code|fim|vision|image|think|reason")
"""What the name of a template says that is made for more than a chat."""


@dataclass(frozen=True, slots=True)
class TemplateChoice:
    """The chat template that is used.

    Attributes:
        text: the template.
        name: of this one.
        others: the names of those that are not used.
    """

    text: str
    name: str = DEFAULT
    others: tuple[str, ...] = ()


def find(folder: Path) -> TemplateChoice | None:
    """Return the chat template of the model in a folder; None when there is none, or its file can't be made sense of.

    Raises:
        ModelLoadError: what should hold the template holds something else.
    """
    templates = _in_settings(folder)
    for name, path in _in_files(folder, is_known=bool(templates)):
        if (text := _text_of(path)).strip():
            templates[name] = text
    return chosen(templates)


def is_there(folder: Path) -> bool:
    """Return whether a folder's model has a chat template."""
    try:
        return find(folder) is not None
    except ModelLoadError:
        return False


def chosen(templates: Any) -> TemplateChoice | None:
    """Return the template to use of what a tokenizer or a file has: one text, or several by their names.

    Taken is the one called default, else the only one, else the plainest: what is made for tools or documents asks for them.
    """
    named = _named(templates)
    if not named:
        return None
    name = DEFAULT if DEFAULT in named else min(named, key=lambda one: _plainness(one, named[one]))
    return TemplateChoice(named[name], name, tuple(sorted(set(named) - {name})))


def _plainness(name: str, text: str) -> tuple[bool, int, str]:
    return _SPECIAL.search(name.lower()) is not None, len(text), name


def _named(templates: Any) -> dict[str, str]:
    """Return templates by their names, whichever way they are given; empty ones are none."""
    if isinstance(templates, str):
        pairs: Iterator[tuple[Any, Any]] = iter([(DEFAULT, templates)])
    elif isinstance(templates, Mapping):
        pairs = iter(templates.items())
    elif isinstance(templates, list | tuple):
        entries = (one for one in templates if isinstance(one, Mapping))
        pairs = ((one.get("name"), one.get("template")) for one in entries)
    else:
        return {}
    return {
        name: text
        for name, text in pairs
        if isinstance(name, str) and isinstance(text, str) and text.strip()
    }


def _in_files(folder: Path, *, is_known: bool) -> Iterator[tuple[str, Path]]:
    """Yield the files that hold nothing but a template, with the names of the templates.

    Args:
        is_known: whether there is one elsewhere.
    """
    try:
        further = model_files.entries(folder / _FURTHER)[:_MOST_TEMPLATES]
    except OSError:
        further = []
    yield from ((path.stem, path) for path in further if path.suffix in _ENDINGS)
    if (folder / _OWN_FILE).is_file():
        yield DEFAULT, folder / _OWN_FILE
        return
    if is_known or further:
        return
    try:
        own = [path for path in model_files.entries(folder) if path.suffix in _ENDINGS]
    except OSError:
        return
    # Under another name it is meant where it is the only one.
    if len(own) == 1:
        yield DEFAULT, own[0]


def _in_settings(folder: Path) -> dict[str, str]:
    for name in _SETTINGS:
        if found := _named(_value_in(folder / name)):
            return {key: _followed(text, folder) for key, text in found.items()}
    return {}


def _value_in(path: Path) -> Any:
    if not path.is_file():
        return None
    try:
        data = model_files.read_bytes(path, _SETTINGS_BYTES)
    except (OSError, ValueError):
        return None
    stand_ins.check(path)
    # Most of these files are long, and don't name one.
    if f'"{_KEY}"'.encode() not in data and path.stem != _KEY:
        return None
    try:
        value = model_files.parse_json(data)
    except ValueError:
        return None
    if isinstance(value, Mapping) and _KEY in value:
        return value[_KEY]
    return value if path.stem == _KEY else None


def _followed(text: str, folder: Path) -> str:
    """Return a template, or the content of the file that stands there by its name alone."""
    if _FILE_NAME.fullmatch(text) and (folder / text).is_file():
        return _text_of(folder / text) or text
    return text


def _text_of(path: Path) -> str:
    """Return the text of a file; empty when it can't be read now.

    Raises:
        ModelLoadError: it holds something else than a template.
    """
    try:
        data = model_files.read_bytes(path, TEMPLATE_BYTES)
    except (OSError, ValueError):
        return ""
    stand_ins.check(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise wrong(path, "it isn't UTF-8") from error
