"""Checks that already quantized weights can be used on this machine, before the current model is released."""

from __future__ import annotations

import copy
import logging
from collections.abc import Collection, Mapping
from typing import Any, Final

from tui.engine import failures
from tui.engine.base import ModelLoadError
from tui.engine.local import hub_kernels
from tui.json_types import Json

_log = logging.getLogger(__name__)

_ANOTHER: Final = "Choose an unquantized version of the model, or one quantized differently, such as a .gguf file."
_LONGEST: Final = 200
_PACKED: Final = (
    ".qweight", ".qzeros", ".q_weight", ".q_invperm", ".weight_packed", ".quant_state.bitsandbytes__nf4", ".absmax", ".weight_scale_inv",
    ".trellis",
)  # fmt: skip
"""How the names of tensors end that quantizations make of a weight."""


def check(
    raw: Mapping[str, Json], tensors: Collection[str], method: str, device: str, name: str
) -> None:
    """Check that a checkpoint that is already quantized can be read on a device.

    Args:
        raw: what its config.json says.
        tensors: the names of those in its files, as far as they are known.
        method: how it is quantized.
        device: that the model goes to.
        name: of the model.

    Raises:
        ModelLoadError: it can't.
    """
    stored = _stored(raw)
    if not method:
        packed = next((one for one in tensors if one.endswith(_PACKED)), "")
        if packed:
            raise ModelLoadError(
                f"{name} is quantized (it contains {packed[:_LONGEST]}), but its config.json doesn't specify the method.",
                _ANOTHER,
            )
        return
    from transformers.quantizers.auto import AutoHfQuantizer

    supports: Any = AutoHfQuantizer.supports_quant_method
    try:
        is_known = bool(supports(stored))
    except Exception as error:
        raise _unusable(name, method, error) from error
    if not is_known:
        raise ModelLoadError(
            f"{name} is quantized with {_shown(method)}, which transformers can't read.", _ANOTHER
        )
    try:
        make: Any = AutoHfQuantizer.from_config
        made = make(copy.deepcopy(dict(stored)), pre_quantized=True)
        made.validate_environment(device_map={"": device}, weights_only=True)
    except Exception as error:
        if hub_kernels.is_missed(error):
            raise
        failures.log(_log, logging.WARNING, f"{method} can't be used", error)
        raise _unusable(name, method, error) from error


def _unusable(name: str, method: str, error: Exception) -> ModelLoadError:
    why = failures.words(error, _LONGEST, first_line=True).rstrip(".")
    hint = (
        f"Install the missing package. {_ANOTHER}" if isinstance(error, ImportError) else _ANOTHER
    )
    return ModelLoadError(
        f"{name} is quantized with {_shown(method)}, which can't run on this machine ({why}).", hint
    )


def _shown(method: str) -> str:
    return "a method that its config doesn't specify" if method == "unknown" else method


def _stored(raw: Mapping[str, Json]) -> Mapping[str, Json]:
    for part in (raw, raw.get("text_config")):
        found = part.get("quantization_config") if isinstance(part, Mapping) else None
        if isinstance(found, Mapping):
            return found
    return {}
