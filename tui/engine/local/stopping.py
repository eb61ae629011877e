"""Stopping criteria of a reply: the token IDs that end a turn, and cancellation by the user."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from tui.engine.base import (
    Cancelled,
    IsCancelled,
)
from tui.engine.local.model_settings import token_ids
from tui.engine.local.text_model import input_weights

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class CancelCriteria:
    """A stopping criterion for `generate` that ends decoding within a step of a cancel."""

    def __init__(self, cancelled: IsCancelled) -> None:
        self._cancelled = cancelled
        self.fired = False

    def __call__(self, input_ids: Tensor, _scores: Tensor, **_kwargs: Any) -> Tensor:
        """Return for each sequence of the batch whether it is done."""
        import torch

        self.fired = self.fired or self._cancelled()
        return torch.full(
            (input_ids.shape[0],), self.fired, dtype=torch.bool, device=input_ids.device
        )


def end_of_turn_ids(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, of_template: Iterable[int]
) -> frozenset[int]:
    """Return the ids that end a reply: those that model and tokenizer name, and those that the chat template ends turns with.

    Some models name only the end of the text and rely on the template's own end of turn, such as `<|im_end|>`.
    """
    vocabulary = input_weights(model).shape[0]
    holders = (model.generation_config, model.config, model.config.get_text_config(), tokenizer)
    named = [token_ids(getattr(holder, "eos_token_id", None), vocabulary) for holder in holders]
    return frozenset().union(*named, token_ids(list(of_template), vocabulary))


@contextlib.contextmanager
def cancellable_layers(model: PreTrainedModel, cancelled: IsCancelled) -> Iterator[None]:
    """Make every layer of a model raise `Cancelled` when the job was cancelled.

    This stops a forward pass in the middle, which leaves any cache unusable: only for models whose prompt can't be
    computed in chunks.
    """

    def look(*_args: object) -> None:
        if cancelled():
            raise Cancelled

    lists = (list(one.children()) for one in model.modules() if type(one).__name__ == "ModuleList")
    layers: Iterable[Module] = next(filter(None, lists), [model])
    handles = [layer.register_forward_pre_hook(look) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
