"""Examples: messages to try a model with, from a YAML file as `transformers chat` has them, or the ones that are built in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from tui.errors import UserError
from tui.files import read_regular, reason

_MAX_BYTES: Final = 1_000_000
_DEEPEST: Final = 20


class ExamplesError(UserError):
    """A file of examples can't be used."""


BUILT_IN: Final[Mapping[str, str]] = {
    "llama": "A llama has moved into my garden and will not leave. What can I do?",
    "code": "Write a Python function that integrates a function f numerically from a to b.",
    "helicopter": "How many helicopters does it take to make a meal for one person?",
    "numbers": "Count from 1 to 10, but leave out every number whose name ends with the letter e.",
    "birds": "Explain why birds are not real.",
    "socks": "Why should one eat one's socks after meditating?",
    "numbers2": "Is 9.9 larger than 9.11, or is it the other way around?",
}
"""Questions of nonsense, traps and small tasks, under the names that `transformers chat` uses."""


STARTERS: Final = (
    "Explain in three sentences why the sky is blue.",
    "Write a Python function that counts the words in a text.",
    "Suggest five names for a calm gray cat.",
)
"""What an empty chat suggests: short, and within reach of a small model."""


def read_examples(path: Path) -> dict[str, str]:
    """Return the examples of a YAML file by their names, as in `name: {text: "..."}` or `name: "..."`.

    Raises:
        ExamplesError: it can't be read, or holds something else.
    """
    import yaml

    try:
        data = read_regular(path, most_bytes=_MAX_BYTES).decode("utf-8-sig")
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        _refuse_bombs(yaml.parse(data, Loader=loader))
        document = yaml.load(data, Loader=loader)  # noqa: S506 - both are safe loaders
    except OSError as error:
        raise ExamplesError(f"The examples in {path} can't be read ({reason(error)}).") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        first = str(error).partition("\n")[0]
        raise ExamplesError(f"The examples in {path} are not valid YAML ({first}).") from error
    if not isinstance(document, Mapping):
        raise ExamplesError(f"{path} contains no examples.", 'Write them as  name: {text: "..."}.')
    found: dict[str, str] = {}
    for name, entry in document.items():
        text = entry.get("text") if isinstance(entry, Mapping) else entry
        if not isinstance(text, str):
            raise ExamplesError(f"The example {str(name)[:40]!r} in {path} has no text.")
        found[str(name)] = text
    return found


def _refuse_bombs(events: Iterable[Any]) -> None:
    """Refuse what a few lines can make endless: aliases of what stands elsewhere, and nesting.

    Raises:
        ValueError: there is some of it.
    """
    depth = 0
    for event in events:
        name = type(event).__name__
        if name == "AliasEvent":
            raise ValueError("aliases are not allowed here")
        depth += name in ("MappingStartEvent", "SequenceStartEvent")
        depth -= name in ("MappingEndEvent", "SequenceEndEvent")
        if depth > _DEEPEST:
            raise ValueError("it is nested too deeply")
