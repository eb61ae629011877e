"""Attention for decoding on a CPU: one new token over all keys, on the product compiled for this machine.

Registered with transformers under a name of its own. Whatever it does not do exactly as `sdpa` does goes there: several tokens at
once, masks, other types than bfloat16. Imports torch and transformers.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from tui.engine.local.native import MOST_DIMENSIONS, MOST_PER_HEAD, Native

NAME: Final = "chat_tui_cpu"
_STOCK: Final = "sdpa"
_HARMLESS: Final = frozenset(
    {
        "dropout",
        "scaling",
        "is_causal",
        "sliding_window",
        "position_ids",
        "cache_position",
        "use_cache",
    }
)
"""Arguments that change nothing here, or that are looked at."""


def use(model: Any, kernels: Native) -> bool:
    """Have a model attend with these products; return whether it does now."""
    if getattr(model.config, "_attn_implementation", None) != _STOCK:
        return False

    def attend(
        module: torch.nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        **options: Any,
    ) -> tuple[Tensor, Tensor | None]:
        if not _can(query, key, value, attention_mask, options):
            made: tuple[Tensor, Tensor | None] = sdpa_attention_forward(
                module, query, key, value, attention_mask, **options
            )
            return made
        scaling = options.get("scaling")
        scale = query.shape[-1] ** -0.5 if scaling is None else float(scaling)
        return kernels.attention(query, key, value, scale), None

    register: Any = AttentionInterface.register
    register_mask: Any = AttentionMaskInterface.register
    register(NAME, attend)
    register_mask(NAME, sdpa_mask)
    model.set_attn_implementation(NAME)
    return True


def stop_using(model: Any) -> None:
    """Have a model attend as it did before."""
    model.set_attn_implementation(_STOCK)


def _can(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, options: dict[str, Any]
) -> bool:
    batch, heads, length, dimensions = query.shape
    return (
        length == 1
        and batch == 1
        and mask is None
        and query.dtype is key.dtype is value.dtype is torch.bfloat16
        and key.shape == value.shape
        and dimensions == key.shape[-1] <= MOST_DIMENSIONS
        and dimensions % 8 == 0
        and heads // key.shape[1] <= MOST_PER_HEAD
        and key.stride()[-2:] == value.stride()[-2:] == (dimensions, 1)
        and not options.get("dropout")
        and all(value is None or name in _HARMLESS for name, value in options.items())
    )
