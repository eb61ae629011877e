"""Builds transformers' config from a config.json, and turns errors into messages about that file.

What a value means that is written in another way is said by `config_values`; which models can be loaded is `model_classes`' business.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tui.engine import failures, kinds, pipelines
from tui.engine.base import Cancelled, ModelLoadError
from tui.engine.local import problems

_log = logging.getLogger(__name__)

_LONGEST: Final = 60
_FIELD: Final = re.compile(r"alidation error for field '(\w{1,80})'")
_LACKING: Final = re.compile(r"Missing required keys in `rope_parameters`.*?: (\{.*\})")
_NEWER: Final = "A newer version may support it: pip install -U transformers"
_AGAIN: Final = "Download or copy it again, or choose another model."


def read(
    folder: Path, config: Mapping[str, Any], options: Mapping[str, Any], *, as_written: bool
) -> Any:
    """Return transformers' config.

    Args:
        folder: contains the model.
        config: what its config.json means.
        options: for `from_pretrained`.
        as_written: whether that is what it says; otherwise transformers is given what it means.

    Raises:
        ModelLoadError: no room for a temporary file.
        Exception: an error from transformers.
    """
    from transformers import AutoConfig

    if as_written:
        return AutoConfig.from_pretrained(folder, **options)
    try:
        place = tempfile.TemporaryDirectory(prefix="chat-tui-")
        (Path(place.name) / "config.json").write_text(json.dumps(config), "utf-8")
    except OSError as error:
        raise ModelLoadError(
            f"The temporary folder can't be used ({error.strerror or error}).",
            "Free some space there, or set the environment variable TMPDIR to another folder.",
        ) from error
    with place:
        return AutoConfig.from_pretrained(place.name, **options)


def with_kind(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a config that says its kind of model, where need be the one whose class it names.

    Raises:
        ModelLoadError: nothing tells the kind.
    """
    said = config.get("model_type")
    if (isinstance(said, str) and said) or isinstance(config.get("auto_map"), Mapping):
        return config
    if part := pipelines.part(config):
        raise pipelines.error(name, part)
    named = config.get("architectures")
    for one in named if isinstance(named, list) else ():
        if kind := _kinds().get(str(one)):
            return {**config, "model_type": kind}
    raise kinds.nameless(name)


@contextlib.contextmanager
def blamed(name: str, config: Mapping[str, Any]) -> Iterator[None]:
    """Convert an error raised inside the block into a message that names the offending config value.

    Args:
        name: the model's name as the user entered it.
        config: what its config.json means.

    Raises:
        ModelLoadError: instead of any error except those that end the thread.
    """
    with problems.blamed_on("config.json", name):
        try:
            yield
        except (ModelLoadError, Cancelled):
            raise
        except Exception as error:
            if (found := _problem(error, name, config)) is None:
                raise
            failures.log(_log, logging.WARNING, f"the config.json of {name} can't be used", error)
            raise found from error


def _problem(error: Exception, name: str, config: Mapping[str, Any]) -> ModelLoadError | None:
    text = failures.words(error, 1000)
    if isinstance(error, KeyError) and error.args and (key := _key_of(config, error.args[0])):
        shown = failures.words(error, _LONGEST)
        return ModelLoadError(
            f"The config.json of {name} sets {key} to {shown}, which the installed version of transformers doesn't support.",
            _NEWER,
        )
    if found := _FIELD.search(text):
        value = repr(_value_of(config, found[1]))
        return ModelLoadError(
            f"The config.json of {name} sets {found[1]} to {value[:_LONGEST]}, which isn't valid.",
            _AGAIN,
        )
    if found := _LACKING.search(text):
        keys = ", ".join(sorted(re.findall(r"'(\w{1,60})'", found[1])))
        return ModelLoadError(
            f"The config.json of {name} scales its positions (rope_parameters) but doesn't specify {keys}.",
            _AGAIN,
        )
    if (said := _odd_factors(config)) and isinstance(error, RuntimeError | ValueError):
        return ModelLoadError(
            f"The config.json of {name} has rope factors that don't fit its heads: {said}.", _AGAIN
        )
    return None


def _key_of(config: Mapping[str, Any], value: Any) -> str:
    """Return the name under which a value stands in a config or a part of it; empty where it doesn't."""
    for key, said in config.items():
        if isinstance(said, str) and said == value:
            return key
        if isinstance(said, Mapping) and (found := _key_of(said, value)):
            return found if key == "text_config" else f"{key}.{found}"
    return ""


def _value_of(config: Mapping[str, Any], key: str) -> Any:
    if key in config:
        return config[key]
    if key == "rope_parameters" and "rope_scaling" in config:
        return config["rope_scaling"]
    parts = (part for part in config.values() if isinstance(part, Mapping))
    return next((part[key] for part in parts if key in part), None)


def _odd_factors(config: Mapping[str, Any]) -> str:
    """Return how many factors of longrope there are and how many there should be; empty where they fit."""
    text = config.get("text_config")
    text = text if isinstance(text, Mapping) else config
    heads, width = text.get("num_attention_heads"), text.get("hidden_size")
    size = text.get("head_dim") or (width // heads if heads and width else 0)
    for rope in (text.get("rope_scaling"), text.get("rope_parameters")):
        factors = rope.get("long_factor") if isinstance(rope, Mapping) else None
        share = text.get("partial_rotary_factor", 1.0)
        if isinstance(factors, list) and size and len(factors) != int(size * share) // 2:
            return f"{len(factors)} instead of {int(size * share) // 2}"
    return ""


def _kinds() -> dict[str, str]:
    """Return the kind of model by the name of each of transformers' classes that write text."""
    from transformers.models.auto import modeling_auto

    found: dict[str, str] = {}
    tables: tuple[Mapping[str, Any], ...] = (
        modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    )
    for table in tables:
        for kind, names in table.items():
            for one in names if isinstance(names, list | tuple) else (names,):
                found.setdefault(str(one), str(kind))
    return found
