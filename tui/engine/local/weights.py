"""Reads a model's weights through transformers, and refuses those that are another model's or more than the user allows."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tui.engine import facts, fit
from tui.engine.base import LoadRequest, ModelLoadError
from tui.engine.catalog import ModelSource
from tui.engine.quantization import QUANTIZATIONS

_log = logging.getLogger(__name__)


def read(
    source: ModelSource, folder: Path, request: LoadRequest, method: str, options: Mapping[str, Any]
) -> Any:
    """Return the model with its weights.

    Args:
        source: names the model.
        folder: holds it.
        request: the load.
        method: how the checkpoint is already quantised; empty when it is not.
        options: for `from_pretrained`.

    Raises:
        ModelLoadError: the weights are not those of this model, or it can't be held in the chosen quantization.
        Exception: whatever transformers raised.
    """
    from transformers import AutoModelForCausalLM

    name, quantized_as = source.name, request.quantization
    from_pretrained: Any = AutoModelForCausalLM.from_pretrained
    try:
        made = from_pretrained(folder, output_loading_info=True, **options)
    except (RuntimeError, ValueError) as error:
        if "quantization_config" in options and "automatic conversion" in str(error):
            raise ModelLoadError(
                f"{name} can't be held in {QUANTIZATIONS[quantized_as].label}: this quantization does not take its layers.",
                "Another quantization may work; or load it with none.",
            ) from error
        raise
    model, report = made
    missing = set(report["missing_keys"])
    sizes = {key: weight.numel() for key, weight in model.named_parameters()}
    lacking = missing & sizes.keys()
    # What a quantised checkpoint calls its weights is its library's business: only when most are missing it is another model's.
    too_many = sum(sizes.values()) // 2 if method else 0
    if sum(sizes[key] for key in lacking) > too_many:
        _log.error("weights that are missing: %s", sorted(lacking))
        raise ModelLoadError(
            f"{name} lacks {len(lacking)} of the {len(sizes)} weights that its config.json asks for, as in {min(lacking)}.",
            "Its config.json may belong to another model: download or copy it again.",
        )
    return model


def check_limit(
    folder: Path, request: LoadRequest, device: str, dtype: Any, source: ModelSource
) -> None:
    """Check that a model on the CPU alone stays below the most memory that the user gives it.

    Raises:
        ModelLoadError: its weights take more.
    """
    limit = next((size for name, size in request.max_memory.items() if name == "cpu"), "")
    if device != "cpu" or not limit:
        return
    from accelerate.utils import convert_file_size_to_int

    held = str(dtype).removeprefix("torch.")
    needed = fit.weights_bytes(facts.folder_facts(folder), request.quantization, dtype=held)
    if needed > convert_file_size_to_int(limit):
        raise ModelLoadError(
            f"The weights of {source.name} take about {needed / 2**20:,.0f} MiB, more than the limit of {limit} for the CPU.",
            "Raise the limit, or choose a smaller model or a quantization.",
        )
