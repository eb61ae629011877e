"""What a GGUF file says of itself, read without its weights and without torch: architecture, sizes, the names and shapes of its tensors."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tui.engine.base import ModelLoadError

_AGAIN: Final = "It is cut short or damaged: download it again."
_VERSIONS: Final = (2, 3)
_SCALARS: Final = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d",
}  # fmt: skip
_STRING_TYPE: Final = 8
_ARRAY_TYPE: Final = 9
_MAX_DEPTH: Final = 4


@dataclass(frozen=True, slots=True)
class Header:
    """What a GGUF file says of itself.

    Attributes:
        architecture: as llama.cpp names it.
        values: numbers and texts by their keys, and of arrays the number of entries.
        tensors: shapes by their names, the dimension that varies fastest first.
        parameters: how many numbers the tensors hold.
        kinds: how many of these are stored as which type, as in `{"Q4_1": 134_000_000}`.
        end: where the last of them ends, in bytes from the start of the file.
    """

    architecture: str
    values: Mapping[str, Any] = field(default_factory=dict)
    tensors: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    parameters: int = 0
    kinds: Mapping[str, int] = field(default_factory=dict)
    end: int = 0

    def number(self, name: str) -> int:
        """Return a number of the architecture's own, such as `block_count`; 0 when it is not there."""
        value = self.values.get(f"{self.architecture}.{name}")
        return value if isinstance(value, int) else 0


def read_header(path: Path) -> Header:
    """Return a file's header after checking that the file is whole.

    Raises:
        ModelLoadError: it can't be read, is not GGUF, or is cut short.
    """
    try:
        size = path.stat().st_size
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
        ):
            header = _Reader(data).header()
    except OSError as error:
        raise ModelLoadError(
            f"The file {path} can't be read ({error.strerror or error}).", "Check its permissions."
        ) from error
    except (ValueError, KeyError, struct.error) as error:
        raise ModelLoadError(f"{path} is not a whole GGUF file ({error}).", _AGAIN) from error
    if header.end > size:
        raise ModelLoadError(
            f"{path} is not a whole GGUF file: {size:,} of {header.end:,} bytes are there.", _AGAIN
        )
    return header


class _Reader:
    """Reads a header from its bytes; what arrays hold is skipped over."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._at = 0

    def header(self) -> Header:
        if self._data[:4] != b"GGUF":
            raise ValueError("it does not start as one")
        self._at = 4
        (version,) = self._take("<I")
        if version not in _VERSIONS:
            raise ValueError(f"its version {version} is not known")
        tensor_count, value_count = self._take("<QQ")
        values: dict[str, Any] = {}
        for _ in range(value_count):
            key = self._string()
            (kind,) = self._take("<I")
            values[key] = self._value(kind)
        architecture = values.get("general.architecture")
        alignment = values.get("general.alignment", 32)
        if not isinstance(alignment, int) or alignment < 1:
            raise ValueError("its alignment is not valid")
        return self._tensors(
            architecture if isinstance(architecture, str) else "", values, alignment, tensor_count
        )

    def _tensors(
        self, architecture: str, values: Mapping[str, Any], alignment: int, count: int
    ) -> Header:
        from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

        last = 0
        tensors: dict[str, tuple[int, ...]] = {}
        kinds: dict[str, int] = {}
        for _ in range(count):
            name = self._string()
            (dimensions,) = self._take("<I")
            shape = self._take(f"<{min(dimensions, 8)}Q")
            elements = 1
            for length in shape:
                elements *= length
            kind, offset = self._take("<IQ")
            stored = GGMLQuantizationType(kind)
            block, block_bytes = GGML_QUANT_SIZES[stored]
            last = max(last, offset + elements // block * block_bytes)
            tensors[name] = shape
            kinds[stored.name] = kinds.get(stored.name, 0) + elements
        start = (self._at + alignment - 1) // alignment * alignment
        return Header(architecture, values, tensors, sum(kinds.values()), kinds, start + last)

    def _take(self, layout: str) -> tuple[Any, ...]:
        start = self._at
        self._advance(struct.calcsize(layout))
        return struct.unpack_from(layout, self._data, start)

    def _string(self) -> str:
        (length,) = self._take("<Q")
        self._advance(length)
        return self._data[self._at - length : self._at].decode("utf-8", "replace")

    def _advance(self, count: int) -> None:
        self._at += count
        if self._at > len(self._data):
            raise ValueError("it ends in the middle of its header")

    def _value(self, kind: int, depth: int = 0) -> Any:
        if kind == _STRING_TYPE:
            return self._string()
        if kind == _ARRAY_TYPE and depth < _MAX_DEPTH:
            element, count = self._take("<IQ")
            self._skip(element, count, depth)
            return count
        if kind in _SCALARS:
            return self._take(_SCALARS[kind])[0]
        raise ValueError(f"it holds a value of unknown type {kind}")

    def _skip(self, element: int, count: int, depth: int) -> None:
        if element in _SCALARS:
            self._advance(struct.calcsize(_SCALARS[element]) * count)
            return
        for _ in range(count):
            if element == _STRING_TYPE:
                (length,) = self._take("<Q")
                self._advance(length)
            else:
                self._value(element, depth + 1)
