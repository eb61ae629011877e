"""What a safetensors file says of itself: dtype and shape of each tensor. The weights are not read."""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tui.engine import limits
from tui.engine.limits import Shape
from tui.engine.model_files import parse_json
from tui.files import open_regular

DTYPE_BYTES: Final = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "I64": 8, "I32": 4, "I16": 2, "I8": 1,
    "U8": 1, "BOOL": 1,
}  # fmt: skip
_LENGTH_BYTES: Final = 8
_LIMIT_BYTES: Final = 25_000_000
"""The Hub's own limit; a header of 100,000 tensors takes half of it."""
_CUT_SHORT: Final = "it is incomplete"
_NOT_VALID: Final = "its header is not valid"


def read_header(path: Path) -> dict[str, tuple[str, Shape]]:
    """Return dtype and shape of each tensor in a file, by their names.

    Raises:
        OSError: it can't be read, or is no regular file.
        ValueError: it is broken or cut short.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(_LENGTH_BYTES)
        if len(start) < _LENGTH_BYTES:
            raise ValueError("it is too short")
        (length,) = struct.unpack("<Q", start)
        if length > size - _LENGTH_BYTES:
            raise ValueError("its header is longer than the file")
        if length > _LIMIT_BYTES:
            raise ValueError(f"its header is longer than {_LIMIT_BYTES / 1e6:.0f} MB")
        header = parse_json(file.read(length))
    return _tensors(header, size - _LENGTH_BYTES - length)


def _tensors(header: Any, data_bytes: int) -> dict[str, tuple[str, Shape]]:
    """Return the tensors of a header after checking that they fill the rest of the file without gap or overlap."""
    if not isinstance(header, dict) or len(header) > limits.TENSORS:
        raise ValueError(_NOT_VALID)
    end = total = 0
    found: dict[str, tuple[str, Shape]] = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        if len(name) > limits.NAME:
            raise ValueError(f"it contains a name of {len(name):,} characters")
        dtype, shape, (first, last) = _entry(entry)
        found[name] = (dtype, shape)
        end, total = max(end, last), total + last - first
    if end != data_bytes:
        raise ValueError(_CUT_SHORT)
    if total != end:
        raise ValueError("its tensors overlap")
    return found


def _entry(entry: Any) -> tuple[str, Shape, tuple[int, int]]:
    values: Mapping[str, Any] = entry if isinstance(entry, dict) else {}
    dtype, offsets = values.get("dtype"), values.get("data_offsets")
    if not (isinstance(dtype, str) and isinstance(offsets, list) and _are_offsets(offsets)):
        raise ValueError(_NOT_VALID)
    shape = limits.shape(values.get("shape"))
    first, last = offsets
    if dtype in DTYPE_BYTES and math.prod(shape) * DTYPE_BYTES[dtype] != last - first:
        raise ValueError("a tensor's size doesn't match its shape")
    return dtype, shape, (first, last)


def _are_offsets(values: list[Any]) -> bool:
    are_counts = [limits.is_count(one, limits.STORED_BYTES) for one in values]
    return are_counts == [True, True] and values[0] <= values[1]
