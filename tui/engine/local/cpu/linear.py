"""Linear layers for CPUs: each product on the kernel that is fastest for its number of rows, weights as they are or in 8 or 4 bits.

PyTorch's own choice is tuned for other machines and sizes: on a CPU without 16-bit instructions its kernels for bfloat16 read a
prompt several times as slowly as its kernels for float32. Imports torch: only to be imported when a model is there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from tui.engine.local.cpu.native import GROUP, Native

_IN_LANE: Final = 4
"""So many weights share 16 bits."""
_BLOCK_WEIGHTS: Final = 2**20
"""So many weights are unpacked to float32 at a time: few enough to stay in the caches."""
_CLIPS: Final = (1.0, 0.95, 0.9, 0.85, 0.8)
"""Shares of a group's range that are tried; a smaller one has finer steps and cuts off more."""


Check = Callable[[], None]
"""Called in the middle of long work; raises when that is to end."""


def _no_check() -> None:
    """Let the work go on."""


class Weights(Protocol):
    """The weights of one linear layer, in whatever form."""

    rows: int
    columns: int

    @property
    def form(self) -> str:
        """What tells this form, with its kernel, from others."""
        ...

    def few(self, x: Tensor) -> Tensor:
        """Return the product for a few rows of inputs, of shape `(rows, columns)`."""
        ...

    def unpacked(self, start: int, stop: int) -> Tensor | None:
        """Return some rows of the weights in float32; None when this form can't be unpacked, and `few` is for any number."""
        ...


class FastLinear(nn.Module):
    """Replaces a linear layer. Its parameters stay the same objects, so that shared weights stay shared."""

    def __init__(self, weights: Weights, bias: nn.Parameter | None, many_from: int) -> None:
        """Make a layer.

        Args:
            weights: what to multiply with.
            bias: of the layer whose place it takes.
            many_from: so many rows or more are multiplied in float32.
        """
        super().__init__()
        self.in_features, self.out_features = weights.columns, weights.rows
        self.bias = bias
        self.weights = weights
        for name in ("q", "scales"):
            # Counted and moved with the model as its other weights are.
            if (tensor := getattr(weights, name, None)) is not None:
                self.register_buffer(name, tensor, persistent=False)
        self.many_from = many_from

    def forward(self, x: Tensor) -> Tensor:
        """Return the product."""
        rows = x.numel() // self.in_features
        flat = x.reshape(rows, self.in_features)
        made = self.weights.few(flat) if rows < self.many_from else in_float32(self.weights, flat)
        if self.bias is not None:
            made = made + self.bias
        return made.reshape(*x.shape[:-1], self.out_features)

    def extra_repr(self) -> str:
        """Describe the layer as torch's own do."""
        form = type(self.weights).__name__
        return f"in_features={self.in_features}, out_features={self.out_features}, {form}"


class DenseLinear(FastLinear):
    """A layer whose weights are as the checkpoint has them."""

    def __init__(self, original: nn.Linear, many_from: int, kernels: Native | None) -> None:
        super().__init__(Dense(original.weight, kernels), original.bias, many_from)
        self.weight = original.weight


class Dense:
    """Weights in 16 bits."""

    def __init__(self, weight: Tensor, kernels: Native | None) -> None:
        self._weight = weight
        self._kernels = kernels
        self.rows, self.columns = weight.shape

    @property
    def form(self) -> str:
        """What tells this form from others."""
        return _form("bfloat16", self._kernels)

    def use(self, kernels: Native | None) -> None:
        """Multiply with other kernels from now on; None for torch's own."""
        self._kernels = kernels

    def few(self, x: Tensor) -> Tensor:
        """Return the product for a few rows of inputs."""
        if self._kernels is not None:
            made: Tensor = self._kernels.bfloat16(x, self._weight)
            return made
        return functional.linear(x, self._weight)

    def unpacked(self, start: int, stop: int) -> Tensor:
        """Return some rows in float32."""
        return self._weight[start:stop].float()


class Int8:
    """Weights in 8 bits, with one scale for each row."""

    def __init__(self, weight: Tensor, kernels: Native | None) -> None:
        self.rows, self.columns = weight.shape
        self._kernels = kernels
        whole = weight.float()
        # Rounded to what they are stored in first, so that the values fit the scales that will be used.
        scales = (whole.abs().amax(1, keepdim=True) / 127).clamp_min(1e-12).bfloat16()
        self.q = (whole / scales.float()).round().clamp(-127, 127).to(torch.int8)
        self.scales = scales.flatten()

    @property
    def form(self) -> str:
        """What tells this form from others."""
        return _form("int8", self._kernels)

    def few(self, x: Tensor) -> Tensor:
        """Return the product for a few rows of inputs."""
        made: Tensor
        if self._kernels is not None:
            made = self._kernels.int8(x, self.q, self.scales)
        else:
            made = torch.ops.aten._weight_int8pack_mm(x.bfloat16(), self.q, self.scales)  # noqa: SLF001 - its only name
        return made.to(x.dtype)

    def unpacked(self, start: int, stop: int) -> Tensor:
        """Return some rows in float32."""
        return self.q[start:stop].float() * self.scales[start:stop].float().unsqueeze(1)


class Int4:
    """Weights in 4 bits, with a scale and an offset for each group, in the layout of this program's own kernel."""

    def __init__(self, weight: Tensor, kernels: Native, check: Check = _no_check) -> None:
        """Round the weights; `check` is called now and then, and may raise."""
        self.rows, self.columns = weight.shape
        self._kernels = kernels
        q, scales, offsets = _int4(weight, check)
        lanes = q.reshape(self.rows, -1, _IN_LANE, GROUP // _IN_LANE).to(torch.int32)
        packed = sum(lanes[:, :, place] << (4 * place) for place in range(_IN_LANE))
        assert isinstance(packed, Tensor)
        self.q = packed.to(torch.int16).contiguous()
        self.scales = torch.stack((scales, offsets), dim=-1).contiguous()

    @property
    def form(self) -> str:
        """What tells this form from others."""
        return _form("int4", self._kernels)

    def few(self, x: Tensor) -> Tensor:
        """Return the product for a few rows of inputs."""
        made: Tensor = self._kernels.int4(x, self.q, self.scales)
        return made

    def unpacked(self, start: int, stop: int) -> Tensor:
        """Return some rows in float32."""
        made: Tensor = self._kernels.unpacked_int4(self.q[start:stop], self.scales[start:stop])
        return made


class TorchInt4:
    """Weights in 4 bits, in the layout of torch's own kernel."""

    def __init__(self, weight: Tensor, check: Check = _no_check) -> None:
        """Round the weights; `check` is called now and then, and may raise."""
        self.rows, self.columns = weight.shape
        q, scales, offsets = _int4(weight, check)
        pack = torch.ops.aten._convert_weight_to_int4pack_for_cpu  # noqa: SLF001 - torch has no other name for it
        self.q = pack(q.to(torch.int32), 1)
        # It counts from the middle of its sixteen values.
        middle = offsets.float() + 8 * scales.float()
        both = torch.stack((scales, middle.bfloat16()), dim=-1)
        self.scales = both.transpose(0, 1).contiguous()

    @property
    def form(self) -> str:
        """What tells this form from others."""
        return _form("int4", None)

    def few(self, x: Tensor) -> Tensor:
        """Return the product for any number of rows."""
        product = torch.ops.aten._weight_int4pack_mm_for_cpu  # noqa: SLF001 - torch has no other name for it
        made: Tensor = product(x.bfloat16(), self.q, GROUP, self.scales)
        return made.to(x.dtype)

    def unpacked(self, start: int, stop: int) -> None:  # noqa: ARG002 - the protocol's
        """Return nothing: the layout is the kernel's own."""
        return


def _form(name: str, kernels: Native | None) -> str:
    return f"{name} {'torch' if kernels is None else 'compiled'}"


def takes_int4(outputs: int, inputs: int, kernels: Native | None) -> bool:
    """Return whether a layer of these sizes can be held in 4 bits."""
    return not inputs % GROUP and (kernels is not None or not outputs % 16)


def _int4(weight: Tensor, check: Check) -> tuple[Tensor, Tensor, Tensor]:
    """Return values from 0 to 15, scales and offsets, a block of rows at a time."""
    parts = []
    for block in torch.split(weight, max(1, _BLOCK_WEIGHTS // weight.shape[1])):
        check()
        parts.append(_int4_rows(block))
    q, scales, offsets = zip(*parts, strict=True)
    return torch.cat(q), torch.cat(scales), torch.cat(offsets)


def _int4_rows(weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the same for some rows: of several ranges for each group the one that is off least."""
    groups = weight.float().reshape(weight.shape[0], -1, GROUP)
    low, high = groups.amin(-1, keepdim=True), groups.amax(-1, keepdim=True)
    best: tuple[Tensor, Tensor, Tensor] | None = None
    least = torch.full_like(low, torch.inf)
    for clip in _CLIPS:
        scale = ((high - low) * clip / 15).clamp_min(1e-12).bfloat16().float()
        offset = (low + (high - low) * (1 - clip) / 2).bfloat16().float()
        q = ((groups - offset) / scale).round().clamp(0, 15)
        off = (q * scale + offset - groups).square().sum(-1, keepdim=True)
        is_better = off < least
        least = torch.where(is_better, off, least)
        made = (q, scale, offset)
        best = made if best is None else _chosen(is_better, made, best)
    assert best is not None
    q, scale, offset = best
    return (
        q.to(torch.uint8).reshape(weight.shape),
        scale.squeeze(-1).bfloat16(),
        offset.squeeze(-1).bfloat16(),
    )


def _chosen(
    is_better: Tensor, made: tuple[Tensor, Tensor, Tensor], best: tuple[Tensor, Tensor, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    q, scale, offset = (
        torch.where(is_better, new, old) for new, old in zip(made, best, strict=True)
    )
    return q, scale, offset


def in_float32(weights: Weights, x: Tensor) -> Tensor:
    """Return the product for many rows of inputs, a block of weights at a time."""
    step = max(1, _BLOCK_WEIGHTS // weights.columns)
    whole = x.float()
    parts: list[Tensor] = []
    for start in range(0, weights.rows, step):
        block = weights.unpacked(start, min(start + step, weights.rows))
        if block is None:
            return weights.few(x)
        parts.append(functional.linear(whole, block).to(x.dtype))
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)
