"""RMS norms for CPUs, in one pass instead of the six of the models' own modules, which cost more than they compute.

Imports torch: only to be imported when a model is there.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, Final

import torch
from torch import Tensor, nn

from tui.engine.local.cpu.native import Native

_LANES: Final = 8
"""Sizes are multiples of this."""
_EQUAL_SHARE: Final = 0.99
"""So many numbers must be equal to the last bit. Sums in another order cost one in some thousands; rounding once where a norm rounds
twice, as that of OLMo 2 does not, costs a quarter of them."""


class FastNorm(nn.Module):
    """Replaces a norm, with the same rounding. Its weight stays the same object."""

    def __init__(self, original: Any, kernels: Native) -> None:
        super().__init__()
        self.weight: Tensor = original.weight
        self.variance_epsilon = float(original.variance_epsilon)
        self._kernels = kernels
        self._plain = original.forward

    def forward(self, x: Tensor) -> Tensor:
        """Return rows with a mean square of one, times the weight."""
        fits = x.dtype is torch.bfloat16 and x.is_cpu and x.shape[-1:] == self.weight.shape
        made: Tensor = (
            self._kernels.normalised(x, self.weight, self.variance_epsilon)
            if fits
            else self._plain(x)
        )
        return made

    def extra_repr(self) -> str:
        """Describe the norm as the models' own do."""
        return f"{tuple(self.weight.shape)}, eps={self.variance_epsilon}"


def faster(model: nn.Module, kernels: Native) -> Iterator[tuple[nn.Module, str, FastNorm]]:
    """Yield what can take the place of a model's norms, with the places.

    Many models have a norm of their own by a similar name: only those are taken that are seen to give the same.
    """
    for parent in list(model.modules()):
        for name, norm in list(parent.named_children()):
            if _is_plain(norm):
                made = FastNorm(norm, kernels)
                if _gives_the_same(made, norm):
                    yield parent, name, made


def _is_plain(norm: nn.Module) -> bool:
    weight = getattr(norm, "weight", None)
    return (
        type(norm).__name__.endswith("RMSNorm")
        and isinstance(getattr(norm, "variance_epsilon", None), float)
        and isinstance(weight, Tensor)
        and weight.dim() == 1
        and weight.dtype is torch.bfloat16
        and weight.is_contiguous()
        and weight.numel() > 0
        and not weight.numel() % _LANES
        and [name for name, _ in (*norm.named_parameters(), *norm.named_buffers())] == ["weight"]
        and len(inspect.signature(norm.forward).parameters) == 1
    )


def _gives_the_same(made: FastNorm, norm: nn.Module) -> bool:
    generator = torch.Generator().manual_seed(1)
    # Half of the rows are so small that the epsilon counts.
    scales = torch.tensor([3.0, made.variance_epsilon**0.5]).repeat(32).unsqueeze(1)
    x = (torch.randn(64, made.weight.numel(), generator=generator) * scales).bfloat16()
    with torch.inference_mode():
        equal: Tensor = made(x) == norm(x)
    return int(equal.sum()) >= _EQUAL_SHARE * equal.numel()
