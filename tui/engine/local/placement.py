"""Chooses a model's device, dtype, and attention implementation, and finds its input device."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Final

from tui.engine import fit
from tui.engine.base import LoadRequest, ModelLoadError
from tui.engine.local import model_classes
from tui.engine.local.text_model import input_weights

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig, PreTrainedModel

SPREADS: Final = ("balanced", "balanced_low_0", "sequential")
"""Ways to spread a model over devices that a request can name as its device."""
_DTYPES: Final = ("bfloat16", "float16", "float32")
_AMPERE: Final = 8
_FLASH_DIMENSIONS: Final = 256


def choose_device(wanted: str) -> str:
    """Return the torch device to use.

    Raises:
        ModelLoadError: there is no such device here.
    """
    import torch

    here = ["cpu"]
    if torch.backends.mps.is_available():
        here.insert(0, "mps")
    for kind, interface in (("xpu", torch.xpu), ("cuda", torch.cuda)):
        if interface.is_available():
            here[:0] = [f"{kind}:{index}" for index in range(interface.device_count())]
    if wanted == "auto" or wanted in SPREADS:
        return here[0]
    named = f"{wanted}:0" if wanted in ("cuda", "xpu") else wanted
    if named not in here:
        raise ModelLoadError(
            f"The device {wanted!r} isn't available.", f"Choose auto or one of: {', '.join(here)}."
        )
    return named


def choose_dtype(wanted: str, device: str, config: PreTrainedConfig) -> torch.dtype:
    """Return the torch dtype of the weights: 16 bits wherever the device computes with them.

    Raises:
        ModelLoadError: there is no dtype of that name.
    """
    import torch

    if wanted != "auto":
        if wanted not in _DTYPES:
            raise ModelLoadError(
                f"{wanted!r} isn't a valid data type.",
                f"Choose auto or one of: {', '.join(_DTYPES)}.",
            )
        named: torch.dtype = getattr(torch, wanted)
        return named
    stored = stored_dtype(config)
    known = stored if stored in (*_DTYPES, "float64") else "float32"
    chosen: torch.dtype = getattr(torch, fit.held_dtype(known, half_dtype(device)))
    return chosen


def stored_dtype(config: PreTrainedConfig) -> str:
    """Return the dtype that a config names for its language model, or for the whole; empty for none."""
    named = getattr(config.get_text_config(), "dtype", None) or getattr(config, "dtype", None)
    return str(named or "").removeprefix("torch.")


def choose_attention(
    request: LoadRequest, device: str, dtype: torch.dtype, config: PreTrainedConfig
) -> str:
    """Return the attention implementation to load with, in transformers' names; empty for transformers' own choice.

    That is `sdpa`. FlashAttention is taken where its package is installed: on CUDA, in 16 bits, for models whose code takes it, and
    not for a compiled pass, which needs a cache that it does not know.
    """
    import torch
    from transformers.utils.import_utils import is_flash_attn_2_available

    if request.attention or request.compile or not device.startswith("cuda"):
        return request.attention
    if dtype not in (torch.bfloat16, torch.float16) or not is_flash_attn_2_available():
        return ""
    # The requirements of FlashAttention 2.
    text = config.get_text_config()
    heads = max(getattr(text, "num_attention_heads", None) or 1, 1)
    dimensions = getattr(text, "head_dim", None) or getattr(text, "hidden_size", 0) // heads
    if torch.cuda.get_device_capability(device)[0] < _AMPERE or dimensions > _FLASH_DIMENSIONS:
        return ""
    kind = model_classes.class_of(config) if model_classes.is_known(config) else None
    return "flash_attention_2" if getattr(kind, "_supports_flash_attn", False) else ""


def half_dtype(device: str) -> str:
    """Return the 16-bit type that a device computes with as fast as it can; empty for a CPU that has none."""
    import torch

    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    if device == "mps":
        return "float16"
    is_fast = device.startswith("xpu") or torch.ops.mkldnn._is_mkldnn_bf16_supported()  # noqa: SLF001
    return "bfloat16" if is_fast else ""


def spread(request: LoadRequest, device: str) -> str:
    """Return the way in which a model is spread over devices; empty when it goes to one."""
    import torch

    if request.device in SPREADS:
        return request.device
    several = device == "cuda:0" and torch.cuda.device_count() > 1
    if request.device == "auto" and device != "cpu" and (several or request.max_memory):
        return "auto"
    return ""


def device_limits(limits: Mapping[str, str]) -> dict[int | str, str]:
    """Return limits as accelerate wants them: GPUs by their number."""
    found: dict[int | str, str] = {}
    for name, limit in limits.items():
        number = name.rpartition(":")[2]
        found[int(number) if number.isdigit() else name] = limit
    return found


@cache
def _own_threads() -> int:
    """Return how many threads torch took before it was told."""
    import torch

    return torch.get_num_threads()


def use_threads(count: int) -> None:
    """Have torch compute with so many threads; 0 for its own choice."""
    import torch

    torch.set_num_threads(count or _own_threads())


def input_device(model: PreTrainedModel) -> torch.device:
    """Return the torch device that a model takes ids on, which computes its first layer."""
    import torch

    device = input_weights(model).device
    if device.type != "meta":
        return device
    # accelerate fetches the weights for each pass, and leaves none behind.
    hook = getattr(model.get_input_embeddings(), "_hf_hook", None)
    found = getattr(hook, "execution_device", None)
    if found is None:
        return device
    return torch.device("cuda", found) if isinstance(found, int) else torch.device(found)
