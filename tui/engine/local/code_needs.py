"""Which parts of a model require custom code according to its configs, and where that code is.

Configs are only read here. Whether the code may run is decided in `code`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from tui.dataclass import dataclass
from tui.engine.base import ModelLoadError
from tui.engine.local import model_classes
from tui.json_types import Json

CONFIG: Final = "config.json"
TOKENIZER: Final = "tokenizer_config.json"
_MODEL_CLASSES: Final = ("AutoConfig", *model_classes.AUTO_CLASSES)
_AUTO_TOKENIZER: Final = "AutoTokenizer"
_REFERENCE: Final = re.compile(
    r"(?:(?P<repository>.+)--)?(?P<module>[\w-]+(?:/[\w-]+)*)\.(?P<name>\w+)"
)


@dataclass(frozen=True, slots=True)
class Reference:
    """A class in a file of code.

    Attributes:
        repository: where another one is named; empty for the model's own.
        module: the file, without its `.py`.
        name: of the class.
    """

    repository: str
    module: str
    name: str

    @property
    def file(self) -> str:
        """The file that the class is in."""
        return f"{self.module}.py"


@dataclass(frozen=True, slots=True)
class Needs:
    """The parts of a model that require custom code.

    Attributes:
        config: what transformers takes for the model's config.
        tokenizer: the tokenizer's config.
        model_code: whether code is to run for the config and the model; `generate` may be replaced then too.
        tokenizer_code: whether code is to run for the tokenizer.
    """

    config: Mapping[str, Json]
    tokenizer: Mapping[str, Json]
    model_code: bool
    tokenizer_code: bool

    def references(self) -> list[Reference]:
        """Return the classes that would be taken from code, in the order in which they would be.

        Raises:
            ModelLoadError: one is not named in a way that stays inside a repository.
        """
        auto_map = _mapping(self.config.get("auto_map"))
        names = [auto_map.get(name) for name in _MODEL_CLASSES if self.model_code]
        if self.tokenizer_code:
            names.append(_tokenizer_class(self.tokenizer))
        return [parsed(name) for name in names if name is not None]

    def rewritten(self, place: Callable[[Reference], str]) -> dict[str, bytes]:
        """Return the configs with nothing but the code that is to run in them, under the names that it has been given.

        Args:
            place: returns what a class is called from now on.
        """
        config = {
            key: value
            for key, value in self.config.items()
            if key not in ("auto_map", "configuration_files")
        }
        tokenizer = {key: value for key, value in self.tokenizer.items() if key != "auto_map"}
        auto_map = _mapping(self.config.get("auto_map"))
        if self.model_code:
            used = [name for name in _MODEL_CLASSES if auto_map.get(name) is not None]
            config["auto_map"] = {name: place(parsed(auto_map[name])) for name in used}
        if self.tokenizer_code:
            name = place(parsed(_tokenizer_class(self.tokenizer)))
            tokenizer["auto_map"] = {_AUTO_TOKENIZER: [None, name]}
        written = {CONFIG: config} | ({TOKENIZER: tokenizer} if self.tokenizer else {})
        return {name: json.dumps(value).encode() for name, value in written.items()}


def find(files: Mapping[str, bytes]) -> Needs:
    """Return which parts of a model require custom code.

    Args:
        files: the configs of its folder, by name.
    """
    config, tokenizer = _effective(files), _json(files.get(TOKENIZER))
    auto_map = _mapping(config.get("auto_map"))
    known = _known_config(config.get("model_type"))
    model_code = (known is None and "AutoConfig" in auto_map) or (
        not model_classes.is_known_kind(known)
        and any(name in auto_map for name in model_classes.AUTO_CLASSES)
    )
    named = _tokenizer_class(tokenizer) is not None
    return Needs(
        config,
        tokenizer,
        model_code,
        named and (model_code or not _has_tokenizer(known, tokenizer)),
    )


def parsed(name: Json) -> Reference:
    """Parse a reference to a class in custom code.

    Raises:
        ModelLoadError: it leads out of the repository, or means nothing.
    """
    found = _REFERENCE.fullmatch(name) if isinstance(name, str) else None
    if found is None:
        raise ModelLoadError(
            f"The model refers to its code in an invalid way ({str(name)[:80]!r}).",
            "Choose another model or revision.",
        )
    return Reference(found["repository"] or "", found["module"], found["name"])


def _effective(files: Mapping[str, bytes]) -> dict[str, Json]:
    """Return what transformers takes for the config: config.json may lead to another one for newer versions."""
    from transformers.configuration_utils import get_configuration_file

    config = _json(files.get(CONFIG))
    names: Any = config.get("configuration_files")
    if names is None:
        return config
    try:
        return _json(files.get(get_configuration_file(names)))
    except (ValueError, TypeError, AttributeError):
        return {}


def _known_config(model_type: Json) -> Any:
    """Return transformers' own class for the configs of a kind of model; None for a kind that it doesn't know."""
    from transformers import CONFIG_MAPPING

    if isinstance(model_type, str) and model_type in CONFIG_MAPPING:
        return CONFIG_MAPPING[model_type]
    return None


def _has_tokenizer(config_class: Any, tokenizer: Mapping[str, Json]) -> bool:
    """Return whether transformers has a tokenizer of its own for a model."""
    from transformers.models.auto.tokenization_auto import (
        TOKENIZER_MAPPING,
        tokenizer_class_from_name,
    )

    if config_class is not None and config_class in TOKENIZER_MAPPING:
        return True
    name = tokenizer.get("tokenizer_class")
    if not isinstance(name, str):
        return False
    plain = name.removesuffix("Fast")
    find_class: Callable[[str], Any] = tokenizer_class_from_name
    return any(find_class(one) is not None for one in (plain, f"{plain}Fast"))


def _tokenizer_class(tokenizer: Mapping[str, Json]) -> Any:
    """Return the name of the class that a tokenizer is taken from: the fast one before the slow one."""
    named = tokenizer.get("auto_map")
    pair = named if isinstance(named, list) else _mapping(named).get(_AUTO_TOKENIZER)
    if not isinstance(pair, list):
        return None
    return next((name for name in reversed(pair[:2]) if name is not None), None)


def _mapping(value: object) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}


def _json(data: bytes | None) -> dict[str, Json]:
    try:
        value = json.loads(data or b"{}")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
