"""How `generate` prepares a model's passes, determined from the model's own code.

A model's class may override how each pass is prepared: leave positions to the model, add inputs of its own, give up its cache. Whoever
runs the passes must do the same to get the same tokens. Imports torch: only to be imported when a model is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch

from tui.engine.local import cache_layers
from tui.engine.local.text_model import input_weights

if TYPE_CHECKING:
    from tui.engine.local.text_model import TextModel

_MOST_TOKENS: Final = 1 << 20
"""No reply gets further. A config can name any length, and its ids would fill the memory."""


def gives_positions(model: TextModel, argument: str) -> bool:
    """Return whether `generate` tells each pass of a model the positions of its tokens, where the model takes them.

    Args:
        model: on any device.
        argument: the name under which its forward pass takes a cache; empty for none.
    """
    made = _prepared(model, argument, 2)
    return made is None or made.get("position_ids") is not None


def gives_up_cache(model: TextModel, argument: str, length: int) -> bool:
    """Return whether `generate` computes everything again when the text grows past a length; the other arguments as above."""
    if length > _MOST_TOKENS:
        return False
    made = _prepared(model, argument, length + 1)
    return made is not None and made.get(argument) is None


def _prepared(model: TextModel, argument: str, length: int) -> dict[str, Any] | None:
    """Return what `generate` would give a pass that comes after some of a text; None where the model's code needs more to tell."""
    device = input_weights(model).device
    ids = torch.zeros((1, length), dtype=torch.long, device=device)
    positions = torch.arange(length, device=device).unsqueeze(0)
    try:
        made: dict[str, Any] = model.prepare_inputs_for_generation(
            ids,
            attention_mask=torch.ones_like(ids),
            position_ids=positions,
            use_cache=True,
            is_first_iteration=False,
            next_sequence_length=1,
            **({argument: cache_layers.fresh(model.config)} if argument else {}),
        )
    except Exception:  # noqa: BLE001 - code of many models; it is asked again with each reply, where it doesn't fail
        return None
    return made
