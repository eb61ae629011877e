"""Cache layers that grow in place and forget nothing.

transformers' own copy all keys and values for each new token, which at a few thousand tokens costs as much as the attention
itself, and forget what slides out of a window, so that they can't be cut back behind it. Imports torch and transformers:
only to be imported when a model is there.
"""

from __future__ import annotations

import copy
from typing import Any, Final, Self

import torch
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

_LEAST_TOKENS: Final = 256
"""A layer begins with room for this many tokens."""
_SPARE_TOKENS: Final = 256
"""A layer that has to grow makes room for this many more at most: memory that is not used is missing elsewhere."""


class Room:
    """Space for one kind of states; what is held is a view on its start."""

    def __init__(self) -> None:
        self._space: torch.Tensor | None = None

    def extended(self, held: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
        """Return what is held with new states at its end; `held` is what the last call returned, or a start of it."""
        kept = held.shape[-2] if held.dim() == new.dim() else 0
        total = kept + new.shape[-2]
        space = self._space
        if (
            space is None
            or space.shape[-2] < total
            # Somebody put other states in their place, as when beams are reordered.
            or (kept and held.data_ptr() != space.data_ptr())
        ):
            # Copying all of it once in so many tokens costs next to nothing beside the attention over it.
            shape = (*new.shape[:-2], total + min(total // 2, _SPARE_TOKENS), new.shape[-1])
            shape = (*shape[:-2], max(_LEAST_TOKENS, shape[-2]), shape[-1])
            space = torch.empty(shape, dtype=new.dtype, device=new.device)
            if kept:
                space[..., :kept, :] = held
            self._space = space
        space[..., kept:total, :] = new
        return space[..., :total, :]


class GrowingLayer(DynamicLayer):
    """Keys and values of a full-attention layer."""

    keys: torch.Tensor
    values: torch.Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        self._rooms = (Room(), Room())

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_args: Any, **_kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Take new states, and return all."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        self.keys = self._rooms[0].extended(self.keys, key_states)
        self.values = self._rooms[1].extended(self.values, value_states)
        return self.keys, self.values

    def crop(self, tokens_to_remove: int) -> None:
        """Take states off the end; transformers gives the count as a negative number."""
        self.cut_to(self.get_seq_length() - abs(tokens_to_remove))

    def cut_to(self, tokens: int) -> None:
        """Keep the first tokens."""
        if self.is_initialized:
            self.keys = self.keys[..., :tokens, :]
            self.values = self.values[..., :tokens, :]

    def copy_start(self, tokens: int) -> Self:
        """Return a copy of the first tokens."""
        made = copy.copy(self)
        made._rooms = (Room(), Room())  # noqa: SLF001 - its own class
        made.cut_to(tokens)
        if made.is_initialized:
            made.keys, made.values = made.keys.clone(), made.values.clone()
        return made

    def reset(self) -> None:
        """Forget everything."""
        self._rooms = (Room(), Room())
        super().reset()


class GrowingSlidingLayer(GrowingLayer, DynamicSlidingWindowLayer):
    """Keys and values of a sliding-window layer; tokens outside the window are kept so that it can be moved back."""

    def __init__(self, sliding_window: int, **_kwargs: Any) -> None:
        DynamicSlidingWindowLayer.__init__(self, sliding_window=sliding_window)
        self._rooms = (Room(), Room())

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_args: Any, **_kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Take new states, and return those that they see."""
        super().update(key_states, value_states)
        self.cumulative_length += key_states.shape[-2]
        visible = self.sliding_window - 1 + key_states.shape[-2]
        return self.keys[..., -visible:, :], self.values[..., -visible:, :]

    def get_seq_length(self) -> int:
        """Return how many tokens were taken, those before the window too."""
        return self.cumulative_length

    def activate_past_recording(self) -> None:
        """Do nothing: the past is always recorded."""

    def reaches_back_to(self, tokens: int) -> bool:
        """Return whether the whole window before the token after the first `tokens` is still there."""
        held = self.keys.shape[-2] - (self.cumulative_length - tokens)
        return bool(held >= min(self.sliding_window - 1, tokens))

    def cut_to(self, tokens: int) -> None:
        """Keep the first tokens."""
        if self.is_initialized:
            super().cut_to(self.keys.shape[-2] - (self.cumulative_length - tokens))
            self.cumulative_length = tokens

    def forget_past(self) -> None:
        """Keep no more than the window."""
        surplus = self.keys.shape[-2] - (self.sliding_window - 1) if self.is_initialized else 0
        if surplus > 0:
            self.keys = self.keys[..., surplus:, :].clone()
            self.values = self.values[..., surplus:, :].clone()
            self._rooms = (Room(), Room())
