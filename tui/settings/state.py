"""What the app remembers by itself from one start to the next: the last model, parameters, theme, and the like.

It is no configuration: the user never has to touch it, and deleting it does no harm. Reading it never fails.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, field, replace
from pathlib import Path
from typing import Final

from tui.dataclass import dataclass
from tui.errors import UserError
from tui.files import free_name, make_private_folder, read_regular, reason, write_atomic
from tui.json_types import Json
from tui.parameters import Value, readable
from tui.settings.values import FORMER_CHOICES


class StateError(UserError):
    """The state could not be written. The app works without."""


@dataclass(frozen=True, slots=True)
class AppState:
    """What was in force when it was last changed.

    Attributes:
        model: a Hub id, a folder, a `.gguf` file or `demo`; empty for none.
        quantization: its name; what is known of names is the engine's.
        parameters: the generation parameters that the user set.
        system_prompt: for a new chat.
        theme: a theme's name; empty for the default.
        sidebar: whether it is shown.
        overflow: what happens when a chat no longer fits the context; names are the conversation's.
        favorites, recent_models: models that stand first in the picker, named as `model` is.
        model_folders: where models are looked for beside the Hugging Face cache.
        trusted: whose code the user agreed to run, each in one version; the names are the engine's.
        speculation: how tokens are drafted; names are the engine's.
        recent_commands: the ids of what was chosen in the command palette, the last one first.
        toured: whether the first start has said how things work.
    """

    model: str = ""
    quantization: str = "none"
    parameters: Mapping[str, Value] = field(default_factory=dict)
    system_prompt: str = ""
    theme: str = ""
    sidebar: bool = True
    overflow: str = "ask"
    favorites: tuple[str, ...] = ()
    recent_models: tuple[str, ...] = ()
    model_folders: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()
    recent_commands: tuple[str, ...] = ()
    toured: bool = False
    speculation: str = "auto"

    def with_recent(self, model: str) -> AppState:
        """Return the state with a model at the front of those used last."""
        others = tuple(one for one in self.recent_models if one != model)
        return replace(self, recent_models=(model, *others)[:RECENT_MODELS])

    def with_recent_command(self, action_id: str) -> tuple[str, ...]:
        """Return the commands chosen last, with one at their front."""
        others = (one for one in self.recent_commands if one != action_id)
        return (action_id, *others)[:RECENT_COMMANDS]


RECENT_MODELS: Final = 8
RECENT_COMMANDS: Final = 6
_MOST_BYTES: Final = 16_000_000


def load_state(path: Path) -> tuple[AppState, str]:
    """Return the remembered state, and a sentence about what is wrong with its file; empty when nothing is.

    What can't be used is left out. A file that holds no JSON object is set aside beside itself as `<name>.damaged-<n>`.
    """
    try:
        data = read_regular(path, most_bytes=_MOST_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return AppState(), ""
    except OSError as error:
        if error.errno != errno.EFBIG:
            return AppState(), f"{path} can't be read ({reason(error)}). The defaults are used."
        data = b""
    try:
        document = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict):
        return _state(document), ""
    kept = free_name(path, "damaged")
    with suppress(OSError):
        path.rename(kept)
        return (
            AppState(),
            f"{path.name} is damaged. It is kept as {kept}, and the defaults are used.",
        )
    return AppState(), f"{path} is damaged. The defaults are used."


def save_state(path: Path, state: AppState) -> None:
    """Remember a state, whole or not at all, readable by its owner alone.

    Raises:
        StateError: it could not be written; what was remembered before still is.
    """
    text = json.dumps(asdict(state), indent=1)
    try:
        make_private_folder(path.parent)
        write_atomic(path, text.encode(), is_own=True)
    except OSError as error:
        raise StateError(
            f"The settings can't be saved: {path} can't be written ({reason(error)})."
        ) from error


def _state(document: Mapping[str, Json]) -> AppState:
    default = AppState()
    sidebar = document.get("sidebar")
    overflow = _text(document, "overflow", default.overflow)
    return AppState(
        model=_text(document, "model", default.model),
        quantization=_text(document, "quantization", default.quantization),
        parameters=readable(document.get("parameters")),
        system_prompt=_text(document, "system_prompt", default.system_prompt),
        theme=_text(document, "theme", default.theme),
        sidebar=sidebar if isinstance(sidebar, bool) else default.sidebar,
        overflow=FORMER_CHOICES.get(overflow, overflow),
        favorites=_texts(document, "favorites" if "favorites" in document else "favourites"),
        recent_models=_texts(document, "recent_models")[:RECENT_MODELS],
        model_folders=_texts(document, "model_folders"),
        trusted=_texts(document, "trusted"),
        recent_commands=_texts(document, "recent_commands")[:RECENT_COMMANDS],
        toured=document.get("toured") is True,
        speculation=_text(document, "speculation", default.speculation),
    )


def _text(document: Mapping[str, Json], key: str, default: str) -> str:
    value = document.get(key)
    return value if isinstance(value, str) else default


def _texts(document: Mapping[str, Json], key: str) -> tuple[str, ...]:
    values = document.get(key)
    if not isinstance(values, list):
        return ()
    return tuple(dict.fromkeys(value for value in values if isinstance(value, str) and value))
