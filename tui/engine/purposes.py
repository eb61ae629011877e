"""Rejects models whose files show that they aren't made for chat, both in lists and on load.

Only what the files name is looked at; what transformers knows of an architecture is `local.model_classes`' business.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tui.engine.base import ModelLoadError
from tui.engine.foreign import is_mlx
from tui.pattern import pattern

_HINT: Final = "Choose a model made for chats or text generation."
_OTHER_HEADS: Final = pattern(
    r"For(Sequence|Token|Image|Audio|Video)Classification$|ForMultipleChoice$|ForQuestionAnswering$|RewardModel$"
)
_EMBEDDINGS: Final = ("config_sentence_transformers.json", "1_Pooling")
_LONGEST: Final = 100


def check(folder: Path, config: Mapping[str, Any], name: str) -> None:
    """Check that a model is not made for something else than writing text with transformers.

    Args:
        folder: holds it.
        config: what its config.json means.
        name: of the model.

    Raises:
        ModelLoadError: it is.
    """
    if head := _other_head(config):
        raise ModelLoadError(
            f"{name} is a model that classifies or scores text ({head[:_LONGEST]}) and doesn't generate it.",
            _HINT,
        )
    if (folder / "modules.json").is_file() and any((folder / one).exists() for one in _EMBEDDINGS):
        raise ModelLoadError(
            f"{name} is an embedding model (sentence-transformers) and doesn't generate text.",
            _HINT,
        )
    stored = config.get("quantization_config")
    if is_mlx(config) and not (isinstance(stored, Mapping) and "quant_method" in stored):
        raise ModelLoadError(
            f"{name} is quantized for MLX, Apple's framework, which transformers can't read.",
            "Choose an unquantized version of the model, or one quantized differently, such as a .gguf file.",
        )


def _other_head(config: Mapping[str, Any]) -> str:
    named = config.get("architectures")
    names = [one for one in named if isinstance(one, str)] if isinstance(named, list) else []
    return next((one for one in names if _OTHER_HEADS.search(one)), "")
