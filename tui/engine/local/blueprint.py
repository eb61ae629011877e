"""Builds a model without its weights, to check, before the current model is released, that its config can be built and
that the files contain as many weights as it requires.

It takes a fraction of a second and no memory to speak of: the tensors have shapes, and no content.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tui.engine import facts, model_files
from tui.engine.base import ModelLoadError
from tui.engine.local import model_classes

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

_BITS: Final = 8
_SPARE_WEIGHTS: Final = 1_000_000
_MOST_BUFFER_BYTES: Final = 4 * 2**30


def check(folder: Path, config: PreTrainedConfig, method: str, name: str) -> None:
    """Check that a config can be built and that its weights can be in the files beside it.

    Args:
        folder: contains the files.
        config: transformers' own, as it was read from there; of a kind that transformers knows.
        method: how the checkpoint is already quantized; empty if it isn't.
        name: of the model.

    Raises:
        ModelLoadError: it asks for far more weights than there are, or for tables that no memory holds.
        Exception: an error from transformers.
    """
    wanted, buffer_bytes = _sizes(config)
    there = _most_weights(folder, method)
    if wanted > there:
        raise ModelLoadError(
            f"The config.json of {name} requires {wanted:,} weights, far more than its files contain.",
            "It may belong to another model. Download or copy it again.",
        )
    if buffer_bytes > _MOST_BUFFER_BYTES:
        raise ModelLoadError(
            f"The config.json of {name} requires tables of {buffer_bytes / 1e9:,.0f} GB.",
            "It may belong to another model. Download or copy it again.",
        )


def _sizes(config: PreTrainedConfig) -> tuple[int, int]:
    """Return how many weights a model has, tied ones once, and how many bytes it keeps beside them."""
    import torch

    model_class = model_classes.class_of(config)
    # Building may change a config.
    own = copy.deepcopy(model_classes.config_for(model_class, config))
    with torch.device("meta"):
        model = model_class._from_config(own)  # noqa: SLF001 - what the auto classes call
    weights = sum(weight.numel() for weight in model.parameters())
    return weights, sum(buffer.nbytes for buffer in model.buffers())


def _most_weights(folder: Path, method: str) -> int:
    """Return how many weights the files can hold at most; quantized ones may take a single bit each."""
    known = facts.folder_facts(folder)
    stored = model_files.total_bytes(
        path for path in model_files.entries(folder) if path.suffix in (".safetensors", ".bin")
    )
    stored = max(stored, known.stored_bytes)
    if method or not known.parameters:
        return stored * _BITS + _SPARE_WEIGHTS
    return (known.parameters + known.tower_weights) * 2 + _SPARE_WEIGHTS
