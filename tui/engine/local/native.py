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
MOST_DIMENSIONS: Final = 256
MOST_PER_HEAD: Final = 64
"""As in the C code: the largest head, and how many heads of queries may share a head of keys."""
_COMPILERS: Final = ("cc", "gcc", "clang")
_FLAGS: Final = ("-O3", "-march=native", "-ffast-math", "-fPIC", "-std=gnu11")
_TIMEOUT_S: Final = 60
_POINTER: Final = ctypes.c_void_p
_SIZES: Final = (ctypes.c_int64,) * 3


class Native:
    """The compiled products. All take inputs of any floating type, and return what PyTorch's would."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._bfloat16 = library.product_bfloat16
        self._int8 = library.product_int8
        self._int4 = library.product_int4
        self._bfloat16.argtypes = (*(_POINTER,) * 3, *_SIZES)
        self._int8.argtypes = (*(_POINTER,) * 4, *_SIZES)
        self._int4.argtypes = (*(_POINTER,) * 5, *_SIZES)
        self._unpack_int4 = library.unpack_rows_int4
        self._unpack_int4.argtypes = (*(_POINTER,) * 3, *_SIZES[:2])
        self._unpack_int4.restype = None
        self._attention = library.attention_bfloat16
        self._attention.argtypes = (*(_POINTER,) * 5, *(ctypes.c_int64,) * 7)
        self._pieces = library.attention_pieces
        self._pieces.argtypes, self._pieces.restype = (ctypes.c_int64,), ctypes.c_int64
        for product in (self._bfloat16, self._int8, self._int4, self._attention):
            product.restype = None

    def bfloat16(self, x: Any, weights: Any) -> Any:
        """Return the product with weights in bfloat16.

        Args:
            x: of shape `(rows, columns)`.
            weights: of shape `(outputs, columns)`, contiguous.
        """
        inputs, made = _prepared(x, weights.shape[0])
        self._bfloat16(
            inputs.data_ptr(), weights.data_ptr(), made.data_ptr(), *_shape(x, weights.shape[0])
        )
        return made.to(x.dtype)

    def int8(self, x: Any, weights: Any, scales: Any) -> Any:
        """Return the product with weights in 8 bits and a scale in bfloat16 for each output."""
        inputs, made = _prepared(x, weights.shape[0])
        self._int8(
            inputs.data_ptr(),
            weights.data_ptr(),
            scales.data_ptr(),
            made.data_ptr(),
            *_shape(x, weights.shape[0]),
        )
        return made.to(x.dtype)

    def int4(self, x: Any, weights: Any, scales: Any) -> Any:
        """Return the product with weights in 4 bits.

        Args:
            x: of shape `(rows, columns)`.
            weights: of shape `(outputs, columns / GROUP, 8)` in int16; see `native.c` for what is where.
            scales: of shape `(outputs, columns / GROUP, 2)` in bfloat16: scale and offset of each group.
        """
        inputs, made = _prepared(x, weights.shape[0])
        added = inputs.reshape(x.shape[0], -1, GROUP).sum(-1)
        self._int4(
            inputs.data_ptr(),
            added.data_ptr(),
            weights.data_ptr(),
            scales.data_ptr(),
            made.data_ptr(),
            *_shape(x, weights.shape[0]),
        )
        return made.to(x.dtype)

    def unpacked_int4(self, weights: Any, scales: Any) -> Any:
        """Return weights in 4 bits, some rows of what `int4` takes, in float32."""
        import torch

        outputs, groups = weights.shape[:2]
        made = torch.empty((outputs, groups * GROUP), dtype=torch.float32)
        self._unpack_int4(
            weights.data_ptr(), scales.data_ptr(), made.data_ptr(), outputs, groups * GROUP
        )
        return made

    def attention(self, query: Any, key: Any, value: Any, scale: float) -> Any:
        """Return what one new token attends to, of shape `(1, 1, heads, dimensions)`.

        Args:
            query: of shape `(1, heads, 1, dimensions)`, in bfloat16 as all three.
            key, value: of shape `(1, key_heads, keys, dimensions)`; within a head they lie one after another.
            scale: of the scores.
        """
        import torch

        _, heads, _, dimensions = query.shape
        key_heads, keys = key.shape[1:3]
        per_head = heads // key_heads
        scaled = (query.to(torch.float32) * scale).contiguous()
        made = torch.empty((1, 1, heads, dimensions), dtype=torch.float32)
        work = torch.empty(heads * self._pieces(keys) * (dimensions + 2), dtype=torch.float32)
        self._attention(
            scaled.data_ptr(), key.data_ptr(), value.data_ptr(), work.data_ptr(), made.data_ptr(),
            key_heads, per_head, 1, keys, dimensions, key.stride(1), value.stride(1),
        )  # fmt: skip
        return made.to(query.dtype)


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
        code, objects, library = (Path(work) / f"native.{kind}" for kind in ("c", "o", "so"))
        code.write_text(source, "utf-8")
        # Linked without an OpenMP of its own: it finds the one that torch has loaded, and shares its threads.
        for step in (
            [compiler, *_FLAGS, "-fopenmp", "-c", str(code), "-o", str(objects)],
            [compiler, "-shared", str(objects), "-o", str(library)],
        ):
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
    query = torch.randn(1, 4, 1, 16, generator=generator).bfloat16()
    key, value = (torch.randn(1, 2, 300, 16, generator=generator).bfloat16() for _ in range(2))
    expected = torch.nn.functional.scaled_dot_product_attention(
        query.float(), key.float().repeat_interleave(2, 1), value.float().repeat_interleave(2, 1)
    )
    found = made.attention(query, key, value, 16**-0.5).float().transpose(1, 2)
    return torch.allclose(found, expected, atol=2e-2)


def _prepared(x: Any, outputs: int) -> tuple[Any, Any]:
    import torch

    inputs = x.to(torch.float32).contiguous()
    return inputs, torch.empty((x.shape[0], outputs), dtype=torch.float32)


def _shape(x: Any, outputs: int) -> tuple[int, int, int]:
    return x.shape[0], outputs, x.shape[1]
