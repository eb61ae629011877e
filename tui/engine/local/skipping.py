"""Which layers of a model a quantization of another library has to leave as they are, found out before any weight is read.

Those libraries put each linear layer into fewer bits and fail later where they can't compute with it: because of its shape, of what it
is given, or because the model's code reads the weight itself. Imports torch.
"""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Any, Final

from torch import nn

from tui.engine.local import usage
from tui.engine.quantization import has_bnb_4bit_shape, has_torchao_int4_shape

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

_NUMBER: Final = re.compile(r"\b\d+\b")
_BNB_8BIT: Final = "8bit"
_TORCHAO: Final = "torchao"
_TORCHAO_INT4: Final = "torchao-int4"


def layers(
    model_class: type[PreTrainedModel], config: PreTrainedConfig, quantization: str, device: str
) -> list[str]:
    """Return the layers to leave as they are, in the patterns that transformers takes; empty where all can be taken.

    Args:
        model_class: what the model is loaded as.
        config: for it; left as it is.
        quantization: a name of the table; of a library other than this program's own.
        device: where the model goes.
    """
    from accelerate import init_empty_weights
    from transformers.quantizers.base import get_keys_to_not_convert

    with init_empty_weights():
        model = model_class._from_config(copy.deepcopy(config))  # noqa: SLF001 - what the auto classes call
    used = usage.of(model)
    every, left = [], set()
    for name, parent, own_name, layer in usage.linears(model):
        every.append(name)
        place = (type(parent), own_name)
        if place in used.looked_at or not _takes(layer, place in used.deep, quantization, device):
            left.add(name)
    if not left:
        return []
    # A list that is given takes the place of what transformers leaves out of itself.
    return [*get_keys_to_not_convert(model), *_patterns(every, left)]


def _takes(layer: Any, is_deep: bool, quantization: str, device: str) -> bool:
    if quantization.startswith(_TORCHAO):
        # It may not know what custom classes do with a weight.
        has_shape = quantization != _TORCHAO_INT4 or has_torchao_int4_shape(*usage.sizes(layer))
        return has_shape and type(layer).forward is nn.Linear.forward
    if quantization == _BNB_8BIT:
        return not is_deep
    return not _is_packed(device) or has_bnb_4bit_shape(*usage.sizes(layer))


def _is_packed(device: str) -> bool:
    """Return whether bitsandbytes lays 4-bit weights out for the instructions of this CPU, which it can't for any shape."""
    if device != "cpu":
        return False
    from bitsandbytes import functional

    return bool(getattr(functional, "has_avx512bf16", lambda: False)())


def _patterns(every: list[str], left: set[str]) -> list[str]:
    """Return patterns of names: one for all layers of a model where that is true, since each is held against each name."""
    alike: dict[str, set[str]] = {}
    for name in every:
        alike.setdefault(_NUMBER.sub(r"\\d+", re.escape(name)), set()).add(name)
    found: list[str] = []
    for pattern, names in alike.items():
        found += [pattern] if names <= left else sorted(names & left)
    return found
