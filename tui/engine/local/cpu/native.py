"""Calls the products of `native.c`: for a few rows of inputs they read weights about as fast as memory gives them.

They need a C compiler on the machine and are made once, in a second; `native_library` does that. Without one, or when they don't give
the right numbers here, there are none, and PyTorch's own kernels do the work. What the C code takes for granted of sizes and types is
checked here, at every call: a model's files decide shapes, and a wrong one would read memory that is not the product's.
"""

from __future__ import annotations

import ctypes
import logging
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tui.engine.local.cpu.native_library import LibraryError, LibraryStore, find_compiler

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_log = logging.getLogger(__name__)

GROUP: Final = 32
"""Columns of weights come in multiples of this."""
_LANES: Final = 8
"""Sizes of heads and norms are multiples of this."""
_POINTER: Final = ctypes.c_void_p


class _UnloadableError(Exception):
    """A library can't be loaded into this process."""


class Native:
    """The compiled matrix products. All accept inputs of any floating type and return the same as PyTorch's."""

    def __init__(self, library: ctypes.CDLL, name: str = "") -> None:
        """Take a library; its name tells it from others."""
        self.name = name
        self._bfloat16 = library.product_bfloat16
        self._int8 = library.product_int8
        self._int4 = library.product_int4
        for product in (self._bfloat16, self._int8, self._int4):
            product.argtypes = (*(_POINTER,) * 4, *(ctypes.c_int64,) * 4)
        self._unpack_int4 = library.unpack_rows_int4
        self._unpack_int4.argtypes = (*(_POINTER,) * 3, *(ctypes.c_int64,) * 2)
        self._unpack_int4.restype = None
        self._attention = library.attention_bfloat16
        self._attention.argtypes = (*(_POINTER,) * 4, ctypes.c_double, *(ctypes.c_int64,) * 7)
        self._normalised = library.normalised_bfloat16
        self._normalised.argtypes = (
            *(_POINTER,) * 3, ctypes.c_double, *(ctypes.c_int64,) * 2,
        )  # fmt: skip
        self._normalised.restype = None
        self._use_threads = library.use_threads
        self._use_threads.argtypes = (ctypes.c_int64,)
        self._use_threads.restype = ctypes.c_int64

    def use_threads(self, count: int) -> int:
        """Have so many threads share the work, the caller's one of them; return how many will."""
        return int(self._use_threads(count))

    def bfloat16(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return the product with weights in bfloat16.

        Args:
            x: of shape `(rows, columns)`.
            weights: of shape `(outputs, columns)`; what `can_multiply` says of them must hold.

        Raises:
            ValueError: the sizes or types don't match.
        """
        _check(can_multiply(weights))
        return _product(self._bfloat16, x, weights, None, weights.shape[1])

    def int8(self, x: Tensor, weights: Tensor, scales: Tensor) -> Tensor:
        """Return the product with weights in 8 bits and a scale in bfloat16 for each output.

        Raises:
            ValueError: the sizes or types don't match.
        """
        import torch

        outputs, columns = weights.shape
        _check(_is_plain(weights, torch.int8) and _is_plain(scales, torch.bfloat16))
        _check(scales.numel() == outputs and columns > 0 and not columns % GROUP)
        return _product(self._int8, x, weights, scales, columns)

    def int4(self, x: Tensor, weights: Tensor, scales: Tensor) -> Tensor:
        """Return the product with weights in 4 bits.

        Args:
            x: of shape `(rows, columns)`.
            weights: of shape `(outputs, columns / GROUP, 8)` in int16; see `native.c` for what is where.
            scales: of shape `(outputs, columns / GROUP, 2)` in bfloat16: scale and offset of each group.

        Raises:
            ValueError: the sizes or types don't match.
        """
        _check_int4(weights, scales)
        return _product(self._int4, x, weights, scales, weights.shape[1] * GROUP)

    def unpacked_int4(self, weights: Tensor, scales: Tensor) -> Tensor:
        """Return weights in 4 bits, some rows of what `int4` takes, in float32.

        Raises:
            ValueError: the sizes or types don't match.
        """
        import torch

        _check_int4(weights, scales)
        outputs, groups = weights.shape[:2]
        made = torch.empty((outputs, groups * GROUP), dtype=torch.float32)
        self._unpack_int4(
            weights.data_ptr(), scales.data_ptr(), made.data_ptr(), outputs, groups * GROUP
        )
        return made

    def normalised(self, x: Tensor, weights: Tensor, epsilon: float) -> Tensor:
        """Return rows scaled to a mean square of one, times a weight for each column.

        Args:
            x: of any shape whose last size is that of the weights, a multiple of 8; in bfloat16, as both are.
            epsilon: is added to the mean square.

        Raises:
            ValueError: the sizes or types don't match.
        """
        import torch

        x = x.contiguous()
        columns = x.shape[-1]
        _check(_is_plain(x, torch.bfloat16) and _is_plain(weights, torch.bfloat16))
        _check(weights.shape == (columns,) and columns > 0 and not columns % _LANES)
        made = x.new_empty(x.shape)
        self._normalised(
            x.data_ptr(), weights.data_ptr(), made.data_ptr(), epsilon, x.numel() // columns, columns
        )  # fmt: skip
        return made

    def attention(self, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        """Return what a few new tokens attend to, of shape `(1, queries, heads, dimensions)`.

        Args:
            query: of shape `(1, heads, queries, dimensions)`, in bfloat16 as all three; each sees the keys up to its own.
            key, value: of shape `(1, key_heads, keys, dimensions)`; within a head they lie one after another.
            scale: of the scores.

        Raises:
            ValueError: `can_attend` says no.
        """
        _check(can_attend(query, key, value))
        _, heads, queries, dimensions = query.shape
        key_heads, keys = key.shape[1:3]
        query = query.contiguous()
        made = query.new_empty((1, heads, queries, dimensions))
        done = self._attention(
            query.data_ptr(), key.data_ptr(), value.data_ptr(), made.data_ptr(), scale,
            key_heads, heads // key_heads * queries, queries, keys, dimensions, key.stride(1), value.stride(1),
        )  # fmt: skip
        return _if_done(done, made.transpose(1, 2).contiguous())


def can_multiply(weights: Tensor) -> bool:
    """Return whether `bfloat16` takes weights as they are."""
    import torch

    return (
        weights.dim() == 2
        and weights.shape[1] > 0
        and not weights.shape[1] % GROUP
        and _is_plain(weights, torch.bfloat16)
    )


def can_attend(query: Tensor, key: Tensor, value: Tensor) -> bool:
    """Return whether `attention` takes tensors as they are."""
    import torch

    half = torch.bfloat16
    if not query.dim() == key.dim() == value.dim() == 4:
        return False
    batch, heads, queries, dimensions = query.shape
    key_batch, key_heads, keys, key_dimensions = key.shape
    return (
        batch == key_batch == 1
        and query.dtype is key.dtype is value.dtype is half
        and query.is_cpu
        and key.is_cpu
        and value.is_cpu
        and key.shape == value.shape
        and dimensions == key_dimensions > 0
        and not dimensions % _LANES
        # Each head of keys has its own heads of queries.
        and key_heads > 0
        and heads >= key_heads
        and not heads % key_heads
        and queries > 0
        and keys > 0
        and key.stride()[-2:] == value.stride()[-2:] == (dimensions, 1)
    )


def build(folder: Path, tell: Callable[[str], object] = str) -> Native | None:
    """Return the products, compiling and testing them if they aren't in the folder yet; None if that isn't possible.

    Args:
        folder: where compiled libraries are kept.
        tell: is called with the reason if something is wrong here, other than that there is no compiler or another kind of machine.
    """
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
        return None
    compiler = find_compiler()
    if compiler is None:
        return None
    try:
        store = LibraryStore(folder, compiler)
        try:
            return _loaded(store.take(), store.key)
        except _UnloadableError as error:
            # As it was written, but made for another system: its C library is older, say.
            _log.warning("rebuilding the saved kernels: %s", error)
            return _loaded(store.make_anew(), store.key)
    except (LibraryError, OSError, _UnloadableError) as error:
        _log.warning("not using the kernels for this CPU: %s", error)
        tell(str(error))
    return None


def _loaded(fd: int, name: str) -> Native:
    """Load a library. Its descriptor stays open, as the library does: the system's loader tells libraries by these names."""
    try:
        return Native(ctypes.CDLL(f"/proc/self/fd/{fd}"), name)
    except (OSError, AttributeError) as error:
        os.close(fd)
        raise _UnloadableError(str(error)) from error


def _check(holds: bool) -> None:
    """Stand before every call into C, which looks at nothing.

    Raises:
        ValueError: it does not hold.
    """
    if not holds:
        raise ValueError("the kernels for this CPU don't support tensors of these sizes or types")


def _is_plain(tensor: Tensor, dtype: torch.dtype) -> bool:
    """Return whether numbers lie one after another in memory, at an address that compilers count on."""
    return (
        tensor.dtype is dtype
        and tensor.is_cpu
        and tensor.is_contiguous()
        and not tensor.data_ptr() % dtype.itemsize
    )


def _check_int4(weights: Tensor, scales: Tensor) -> None:
    import torch

    _check(_is_plain(weights, torch.int16) and _is_plain(scales, torch.bfloat16))
    outputs, groups = weights.shape[:2]
    _check(groups > 0 and weights.shape == (outputs, groups, GROUP // 4))
    _check(scales.shape == (outputs, groups, 2))


def _product(
    product: Callable[..., int], x: Tensor, weights: Tensor, scales: Tensor | None, columns: int
) -> Tensor:
    """Call a product, which takes and returns bfloat16 or float32; other types go by way of float32."""
    import torch

    _check(x.dim() == 2 and x.shape[1] == columns and x.is_cpu)
    is_half = x.dtype is torch.bfloat16
    inputs = (x if is_half else x.to(torch.float32)).contiguous()
    rows, outputs = x.shape[0], weights.shape[0]
    made = inputs.new_empty((rows, outputs))
    done = product(
        inputs.data_ptr(),
        weights.data_ptr(),
        None if scales is None else scales.data_ptr(),
        made.data_ptr(),
        is_half,
        rows,
        outputs,
        columns,
    )
    return _if_done(done, made if is_half else made.to(x.dtype))


def _if_done(done: int, made: Tensor) -> Tensor:
    """Return what was made.

    Raises:
        MemoryError: there was no memory for it.
    """
    if not done:
        raise MemoryError("not enough memory for a product")
    return made
