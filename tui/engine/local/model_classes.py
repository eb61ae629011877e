"""Chooses the transformers class to load a checkpoint with, or determines why it can't chat.

Whatever goes on with a text will do: models of text alone, and those that also see or hear, which are loaded for text without what they
see or hear with. Encoders write nothing, and encoder-decoder models turn one text into another.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from tui.engine import kinds
from tui.engine.base import ModelLoadError
from tui.json_types import Json

if TYPE_CHECKING:
    from torch.nn import Module
    from transformers import PreTrainedConfig, PreTrainedModel

AUTO_CLASSES: Final = (
    "AutoModelForCausalLM",
    "AutoModelForImageTextToText",
    "AutoModelForMultimodalLM",
)
"""transformers' names for kinds of models that write text, those of text alone first; an `auto_map` may lead each to code."""


def is_known(config: PreTrainedConfig) -> bool:
    """Return whether transformers itself has a class that writes text for this kind of config."""
    return is_known_kind(type(config))


def is_known_kind(config_class: type) -> bool:
    """Return whether transformers itself has a class that writes text for configs of a class; False for None."""
    return config_class is not None and any(_in(mapping, config_class) for mapping in _mappings())


def is_multimodal(config: PreTrainedConfig) -> bool:
    """Return whether transformers' class for a config takes more than text, and the config says how."""
    _text_only, *others = _mappings()
    parts = (getattr(config, name, None) for name in config.sub_configs if name != "text_config")
    return any(_in(mapping, type(config)) for mapping in others) and any(
        part is not None for part in parts
    )


def language_model(model: PreTrainedModel) -> Module | None:
    """Return the part of a model that goes on with a text once it has been read; None where it says of none."""
    found = model.get_decoder()
    return None if found is model else found


def failed_within(module: Module | None, error: BaseException) -> bool:
    """Return whether an error was raised while a module computed, and not before its turn came; False for no module."""
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return module is not None and any(frame.f_locals.get("self") is module for frame in frames)


def check(config: PreTrainedConfig, raw: Mapping[str, Json], name: str) -> None:
    """Check that a model writes text, by transformers' own code or that of its repository.

    Args:
        config: transformers' own.
        raw: what config.json says.
        name: of the model.

    Raises:
        ModelLoadError: it doesn't.
    """
    if own_code(config, raw):
        return
    kind = _shown_kind(config)
    if _is_encoder_decoder(config, raw):
        raise kinds.encoder_decoder(name, kind)
    if _is_encoder(config):
        raise kinds.encoder(name, kind)
    if not is_known(config) or not _candidates(config):
        raise ModelLoadError(
            f"{name} isn't a text generation model (it is a {kind} model).",
            "Choose a model made for text generation.",
        )


def own_code(config: PreTrainedConfig, raw: Mapping[str, Json]) -> str:
    """Return the name of the auto class that leads to a repository's own code; empty where transformers' own class is taken."""
    if is_known(config):
        return ""
    own = raw.get("auto_map")
    return next((one for one in AUTO_CLASSES if isinstance(own, Mapping) and one in own), "")


def class_of(config: PreTrainedConfig) -> type[PreTrainedModel]:
    """Return transformers' own class for a config of a known kind: the one that the checkpoint names if it writes text.

    Args:
        config: transformers' own, as it was read.
    """
    found = _candidates(config)
    named = getattr(config, "architectures", None) or ()
    return next((one for one in found if one.__name__ in named), found[0])


def config_for(model_class: type[PreTrainedModel], config: PreTrainedConfig) -> PreTrainedConfig:
    """Return the config that a class is made with: one for the language model alone takes the part that is about it."""
    text_class = config.sub_configs.get("text_config")
    if text_class is None or getattr(model_class, "config_class", None) is not text_class:
        return config
    text = config.get_text_config()
    if getattr(config, "quantization_config", None) is not None:
        text.quantization_config = config.quantization_config
    return text


def _mappings() -> tuple[Any, ...]:
    """Return transformers' tables of classes that write text, in the order of `AUTO_CLASSES`."""
    from transformers import (
        MODEL_FOR_CAUSAL_LM_MAPPING,
        MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
        MODEL_FOR_MULTIMODAL_LM_MAPPING,
    )

    return (
        MODEL_FOR_CAUSAL_LM_MAPPING,
        MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
        MODEL_FOR_MULTIMODAL_LM_MAPPING,
    )


def _in(mapping: Any, config_class: type) -> Any:
    """Return what a table has for a config class; None for nothing. Asked whether it has any, it forgets those of several kinds."""
    try:
        return mapping[config_class]
    except KeyError:
        return None


def _candidates(config: PreTrainedConfig) -> list[type[PreTrainedModel]]:
    """Return transformers' classes that write text for a config, the likeliest first; importing them takes a moment."""
    found: list[type[PreTrainedModel] | None] = []
    for mapping in _mappings():
        several = _in(mapping, type(config))
        found += several if isinstance(several, list | tuple) else [several]
    # Some classes in the tables control robots or generate images.
    return list(dict.fromkeys(one for one in found if one is not None and one.can_generate()))


def _is_encoder_decoder(config: PreTrainedConfig, raw: Mapping[str, Json]) -> bool:
    """Return whether a checkpoint has an encoder beside its decoder; the decoders of some are checkpoints of their own."""
    from transformers import MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING

    names = _names(raw)
    if any(name.endswith("ForCausalLM") for name in names):
        return False
    if getattr(config, "is_encoder_decoder", False) is True:
        return True
    known = type(config) in MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING
    return known and not is_known(config)


def _is_encoder(config: PreTrainedConfig) -> bool:
    """Return whether a model sees the whole text at each token. Those that can be both say so in `is_decoder`."""
    from transformers import MODEL_FOR_MASKED_LM_MAPPING

    if getattr(config, "is_decoder", None) is True:
        return False
    is_masked = type(config) in MODEL_FOR_MASKED_LM_MAPPING
    if not is_known(config):
        return is_masked
    # XLNet and its like fill gaps and write; they have no such switch.
    return hasattr(config, "is_decoder") and (is_masked or config.model_type == "bert-generation")


def _names(raw: Mapping[str, Json]) -> list[str]:
    named = raw.get("architectures")
    return [one for one in named if isinstance(one, str)] if isinstance(named, list) else []


def _shown_kind(config: PreTrainedConfig) -> str:
    return str(getattr(config, "model_type", "") or type(config).__name__)
