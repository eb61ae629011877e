"""Attention for decoding on a CPU: a few new tokens over all keys, on the product compiled for this machine.

Registered with transformers under a name of its own. Whatever it does not do exactly as `sdpa` does goes there: a prompt's many
tokens, masks, other types than bfloat16. A token gets the same numbers alone and among others that were drafted. Imports torch
and transformers.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import causal_mask_function, sdpa_mask

from tui.engine import failures
from tui.engine.local.cpu.native import Native, can_attend

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_log = logging.getLogger(__name__)

NAME: Final = "chat_tui_cpu"
_STOCK: Final = "sdpa"
_FEW: Final = 32
"""So many new tokens at once are attended to here: more than are ever drafted."""
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


def use(model: PreTrainedModel, kernels: Native) -> bool:
    """Make a model use this attention; return whether it does."""
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
        is_causal = query.shape[2] == 1 or _is_causal(module, options)
        if is_causal and _can(query, key, value, attention_mask, options):
            scaling = options.get("scaling")
            scale = query.shape[-1] ** -0.5 if scaling is None else float(scaling)
            return kernels.attention(query, key, value, scale), None
        if is_causal and attention_mask is None and 1 < query.shape[2] < key.shape[2]:
            # `_mask` left out what torch's own attention needs.
            attention_mask = _causal(query.shape[2], key.shape[2], query.device)
        made: tuple[Tensor, Tensor | None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, **options
        )
        return made

    register: Any = AttentionInterface.register
    register_mask: Any = AttentionMaskInterface.register
    register(NAME, attend)
    register_mask(NAME, _mask)
    try:
        model.set_attn_implementation(NAME)
    except ValueError as error:
        # A part of it computes attention in its own way, and says so.
        failures.log(_log, logging.INFO, "the model's attention is kept", error)
        model.set_attn_implementation(_STOCK)
        return False
    return True


def _mask(
    batch_size: int,
    q_length: int,
    kv_length: int,
    q_offset: int = 0,
    kv_offset: int = 0,
    mask_function: Any = causal_mask_function,
    attention_mask: Tensor | None = None,
    **options: Any,
) -> Tensor | None:
    """Return the mask that `sdpa` wants; none for a few tokens after others that each see all before them."""
    is_plain = (
        1 < q_length <= _FEW
        and q_length < kv_length
        and mask_function is causal_mask_function
        and attention_mask is None
        and not kv_offset
        # A cache of fixed size has room behind them.
        and int(q_offset) + q_length == kv_length
        and options.get("allow_is_causal_skip", True)
    )
    if is_plain:
        return None
    if 1 < q_length < kv_length:
        # None only represents the cases omitted above.
        options["allow_is_causal_skip"] = False
    make: Any = sdpa_mask
    made: Tensor | None = make(
        batch_size,
        q_length,
        kv_length,
        q_offset,
        kv_offset,
        mask_function,
        attention_mask,
        **options,
    )
    return made


def _is_causal(module: torch.nn.Module, options: dict[str, Any]) -> bool:
    """Return whether a token must not see those after it, as `sdpa` finds it out."""
    wanted = options.get("is_causal")
    return bool(getattr(module, "is_causal", True) if wanted is None else wanted)


def _causal(queries: int, keys: int, device: torch.device) -> Tensor:
    """Return the mask of the last tokens, each of which sees all before it, of shape `(1, 1, queries, keys)`."""
    seen = torch.arange(keys - queries, keys, device=device).unsqueeze(1)
    return (torch.arange(keys, device=device) <= seen)[None, None]


def stop_using(model: PreTrainedModel) -> None:
    """Restore a model's original attention."""
    model.set_attn_implementation(_STOCK)


def _can(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, options: dict[str, Any]
) -> bool:
    length = query.shape[2]
    return (
        length <= _FEW
        # All of a prompt is masked by torch's own attention.
        and (length == 1 or length < key.shape[2])
        and mask is None
        and can_attend(query, key, value)
        and not options.get("dropout")
        and all(value is None or name in _HARMLESS for name, value in options.items())
    )
