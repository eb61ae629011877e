"""CPU features as reported by the operating system, determined without the libraries that use them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

_FLAGS: Final = Path("/proc/cpuinfo")
_AVX512_BF16: Final = "avx512_bf16"


@cache
def has_avx512_bf16() -> bool:
    """Return whether the CPU multiplies bfloat16 in 512 bits at once; True where the system doesn't tell."""
    try:
        return _AVX512_BF16 in _FLAGS.read_text(errors="replace").split()
    except OSError:
        return True
