"""Compiles and calls the products of `native.c`: for a few rows of inputs they read weights about as fast as memory gives them.

They need a C compiler on the machine and are made once, in a second. Without one, or when they don't give the right
numbers here, there are none, and PyTorch's own kernels do the work.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any, Final

_log = logging.getLogger(__name__)

GROUP: Final = 32
"""Columns of weights come in multiples of this."""
_COMPILERS: Final = ("cc", "gcc", "clang")
_FLAGS: Final = ("-O3", "-march=native", "-ffp-contract=fast", "-fPIC", "-std=gnu11")
_TIMEOUT_S: Final = 60
_POINTER: Final = ctypes.c_void_p


class Native:
    """The compiled products. All take inputs of any floating type, and return what PyTorch's would."""

    def __init__(self, library: ctypes.CDLL) -> None:
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

    def bfloat16(self, x: Any, weights: Any) -> Any:
        """Return the product with weights in bfloat16.

        Args:
            x: of shape `(rows, columns)`.
            weights: of shape `(outputs, columns)`, contiguous.
        """
        return _product(self._bfloat16, x, weights, None)

    def int8(self, x: Any, weights: Any, scales: Any) -> Any:
        """Return the product with weights in 8 bits and a scale in bfloat16 for each output."""
        return _product(self._int8, x, weights, scales)

    def int4(self, x: Any, weights: Any, scales: Any) -> Any:
        """Return the product with weights in 4 bits.

        Args:
            x: of shape `(rows, columns)`.
            weights: of shape `(outputs, columns / GROUP, 8)` in int16; see `native.c` for what is where.
            scales: of shape `(outputs, columns / GROUP, 2)` in bfloat16: scale and offset of each group.
        """
        return _product(self._int4, x, weights, scales)

    def unpacked_int4(self, weights: Any, scales: Any) -> Any:
        """Return weights in 4 bits, some rows of what `int4` takes, in float32."""
        import torch

        outputs, groups = weights.shape[:2]
        made = torch.empty((outputs, groups * GROUP), dtype=torch.float32)
        self._unpack_int4(
            weights.data_ptr(), scales.data_ptr(), made.data_ptr(), outputs, groups * GROUP
        )
        return made

    def normalised(self, x: Any, weights: Any, epsilon: float) -> Any:
        """Return rows scaled to a mean square of one, times a weight for each column.

        Args:
            x: of any shape whose last size is that of the weights, a multiple of 8; in bfloat16, as both are.
            epsilon: is added to the mean square.
        """
        x = x.contiguous()
        made = x.new_empty(x.shape)
        columns = x.shape[-1]
        self._normalised(
            x.data_ptr(), weights.data_ptr(), made.data_ptr(), epsilon, x.numel() // columns, columns
        )  # fmt: skip
        return made

    def attention(self, query: Any, key: Any, value: Any, scale: float) -> Any:
        """Return what a few new tokens attend to, of shape `(1, queries, heads, dimensions)`.

        Args:
            query: of shape `(1, heads, queries, dimensions)`, in bfloat16 as all three; each sees the keys up to its own.
            key, value: of shape `(1, key_heads, keys, dimensions)`; within a head they lie one after another.
            scale: of the scores.
        """
        _, heads, queries, dimensions = query.shape
        key_heads, keys = key.shape[1:3]
        query = query.contiguous()
        made = query.new_empty((1, heads, queries, dimensions))
        done = self._attention(
            query.data_ptr(), key.data_ptr(), value.data_ptr(), made.data_ptr(), scale,
            key_heads, heads // key_heads * queries, queries, keys, dimensions, key.stride(1), value.stride(1),
        )  # fmt: skip
        return _if_done(done, made.transpose(1, 2).contiguous())


def build(folder: Path) -> Native | None:
    """Return the products, compiled if they are not in a folder yet; None where that is not possible. Needs torch to be imported.

    Args:
        folder: where compiled libraries are kept.
    """
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
        return None
    compiler = next((found for name in _COMPILERS if (found := shutil.which(name))), None)
    if compiler is None:
        return None
    source = resources.files(__package__).joinpath("native.c").read_text("utf-8")
    path = folder / f"native-{_fingerprint(source, compiler)}.so"
    try:
        if not path.exists():
            _compile(compiler, source, path)
        made = Native(ctypes.CDLL(str(path)))
    except (OSError, subprocess.SubprocessError, AttributeError):
        _log.warning("the kernels for this CPU can't be compiled", exc_info=True)
        return None
    if not _is_right(made):
        _log.warning("the kernels that were compiled for this CPU give wrong numbers")
        return None
    return made


def _compile(compiler: str, source: str, path: Path) -> None:
    """Compile to a temporary file first, so that a library that is there is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as work:
        code, library = (Path(work) / f"native.{kind}" for kind in ("c", "so"))
        code.write_text(source, "utf-8")
        step = [compiler, *_FLAGS, "-shared", str(code), "-o", str(library), "-lpthread", "-lm"]
        subprocess.run(step, check=True, capture_output=True, timeout=_TIMEOUT_S)
        library.replace(path)


def _fingerprint(source: str, compiler: str) -> str:
    """Return what tells one library from another: the code, the compiler, and the CPU that it is made for."""
    cpu = "".join(
        line
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
        if line.startswith(("flags", "Features", "model name"))
    )
    whole = "\n".join((source, *_FLAGS, os.path.realpath(compiler), cpu))
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


def _is_right(made: Native) -> bool:
    """Compare with products in plain arithmetic."""
    import torch

    generator = torch.Generator().manual_seed(1)
    for rows in (1, 2, 7):
        x = torch.randn(rows, 3 * GROUP, generator=generator)
        weights = torch.randn(5, 3 * GROUP, generator=generator).bfloat16()
        expected = x @ weights.float().T
        if not torch.allclose(made.bfloat16(x, weights), expected, atol=1e-3):
            return False
        eights = torch.randint(-127, 128, weights.shape, generator=generator, dtype=torch.int8)
        scales = (torch.rand(5, generator=generator) / 127).bfloat16()
        expected = x @ (eights.float() * scales.float().unsqueeze(1)).T
        if not torch.allclose(made.int8(x, eights, scales), expected, atol=1e-3):
            return False
        fours = torch.randint(-(2**15), 2**15, (5, 3, 8), generator=generator).to(torch.int16)
        both = (torch.randn(5, 3, 2, generator=generator) / 16).bfloat16()
        expected = x @ made.unpacked_int4(fours, both).T
        if not torch.allclose(made.int4(x, fours, both), expected, atol=1e-3):
            return False
    x = torch.randn(3, 16, generator=generator).bfloat16()
    expected = torch.nn.functional.rms_norm(x.float(), (16,), x[0].float(), 1e-5)
    if not torch.allclose(made.normalised(x, x[0], 1e-5).float(), expected, atol=1e-2, rtol=2e-2):
        return False
    key, value = (torch.randn(1, 2, 300, 16, generator=generator).bfloat16() for _ in range(2))
    for queries in (1, 3):
        query = torch.randn(1, 4, queries, 16, generator=generator).bfloat16()
        expected = torch.nn.functional.scaled_dot_product_attention(
            query.float(),
            key.float().repeat_interleave(2, 1),
            value.float().repeat_interleave(2, 1),
            attn_mask=torch.ones(queries, 300, dtype=torch.bool).tril(300 - queries),
        )
        found = made.attention(query, key, value, 16**-0.5).float().transpose(1, 2)
        if not torch.allclose(found, expected, atol=2e-2):
            return False
    return True


def _product(product: Any, x: Any, weights: Any, scales: Any) -> Any:
    """Call a product, which takes and returns bfloat16 or float32; other types go by way of float32."""
    import torch

    is_half = x.dtype is torch.bfloat16
    inputs = (x if is_half else x.to(torch.float32)).contiguous()
    rows, columns = x.shape
    outputs = weights.shape[0]
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


def _if_done(done: int, made: Any) -> Any:
    """Return what was made.

    Raises:
        MemoryError: there was no memory for it.
    """
    if not done:
        raise MemoryError("no memory for a product")
    return made
