"""What a GGUF file says of itself, read without its weights and without torch: architecture, sizes, the names and shapes of its tensors.

Every count in it is bounded before anything is done so many times. It is read rather than mapped into memory: a file that
gets shorter meanwhile would take the process down.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Collection, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, BinaryIO, Final

from tui.dataclass import dataclass
from tui.engine import limits
from tui.engine.base import ModelLoadError
from tui.engine.limits import Shape
from tui.files import open_regular

_OTHER: Final = "Choose another file of the model, such as one with Q4_K_M or Q8_0 in its name, or its original weights."
_AGAIN: Final = "The file may be damaged. Download it again."
_VERSIONS: Final = (2, 3)
_SCALARS: Final = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d",
}  # fmt: skip
_STRING_TYPE: Final = 8
_ARRAY_TYPE: Final = 9
_CONTROL: Final = 3
_ADDED: Final = (_CONTROL, 4)
"""The types of tokens that are kept whole in a text."""
_MOST_DEPTH: Final = 4
_MOST_VALUES: Final = 10_000
_MOST_ENTRIES: Final = 4_000_000
"""Of all arrays together: a vocabulary with scores, types and merges takes well below two million."""
_MOST_KEPT: Final = limits.LAYERS
"""Longer arrays hold no numbers of layers, and their entries are skipped over."""
_LONGEST_KEY: Final = 1_000
TOKENIZER: Final = "tokenizer."
_LONGEST_TEXT: Final = 2_000_000
_MOST_DIMENSIONS: Final = 4
_MOST_ALIGNMENT: Final = 1 << 16


@dataclass(frozen=True, slots=True, repr=False)
class Array:
    """What is kept of an array.

    Attributes:
        length: the number of its entries.
        numbers: the entries, if they are numbers and at most as many as a model can have layers; otherwise empty.
        kind: of the entries, as the format numbers them.
        start: where the first of them begins, in bytes from the start of the file.
    """

    length: int
    numbers: tuple[Any, ...] = ()
    kind: int = -1
    start: int = 0

    def __repr__(self) -> str:
        """Return the array as a message shows it."""
        return repr(list(self.numbers)) if self.numbers else f"an array of {self.length:,}"


class UnknownError(ValueError):
    """A file is of a kind that this module doesn't support."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tensor's numbers are.

    Attributes:
        kind: the number of its type.
        start: in bytes from where the tensors begin.
        size: in bytes.
    """

    kind: int
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a GGUF file.

    Attributes:
        architecture: as llama.cpp names it.
        values: numbers, texts, and an `Array` for each array, by their keys.
        tensors: shapes by their names, the dimension that varies fastest first.
        parameters: how many numbers the tensors hold.
        kinds: how many of these are stored as which type, for example `{"Q4_1": 134_000_000}`.
        end: where the last of them ends, in bytes from the start of the file.
        values_end: where the values end and the list of tensors begins.
        data_start: where the tensors begin.
        places: where each of them is.
    """

    architecture: str
    values: Mapping[str, Any] = field(default_factory=dict)
    tensors: Mapping[str, Shape] = field(default_factory=dict)
    parameters: int = 0
    kinds: Mapping[str, int] = field(default_factory=dict)
    end: int = 0
    values_end: int = 0
    data_start: int = 0
    places: Mapping[str, Place] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """What the file says that it holds, for example `model` or `adapter`; empty when it doesn't say."""
        found = self.values.get("general.type")
        return found.lower() if isinstance(found, str) else ""

    def number(self, name: str, most: int) -> int:
        """Return a number of the architecture's own, such as `block_count`; 0 when there is none from 1 to `most`.

        Of an array with a number for each layer it is the largest.
        """
        found = self.values.get(f"{self.architecture}.{name}")
        numbers = found.numbers if isinstance(found, Array) else (found,)
        return max((one for one in numbers if limits.is_count(one, most)), default=0)


def read_header(path: Path) -> Header:
    """Return a file's header after checking that the file is whole.

    Raises:
        ModelLoadError: it can't be read, is not GGUF, or is cut short.
    """
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            header = _Reader(file, size).header()
    except OSError as error:
        raise ModelLoadError(
            f"The file {path} can't be read ({error.strerror or error}).", "Check its permissions."
        ) from error
    except UnknownError as error:
        raise ModelLoadError(
            f"{path} is an unsupported kind of GGUF file: {error}.", _OTHER
        ) from error
    except ValueError as error:
        raise ModelLoadError(f"{path} isn't a complete GGUF file ({error}).", _AGAIN) from error
    if header.end > size:
        raise ModelLoadError(
            f"{path} isn't a complete GGUF file: {size:,} of {header.end:,} bytes are present.",
            _AGAIN,
        )
    return header


def read_first_values(path: Path) -> tuple[Mapping[str, Any], int]:
    """Return the values that stand before a tokenizer's, and how many tensors a file says it has; quick even for large vocabularies.

    Where there is a tokenizer, `TOKENIZER` stands for its values.

    Raises:
        OSError: it can't be read.
        ValueError: it is not GGUF, or is cut short.
    """
    with open_regular(path) as file:
        return _Reader(file, os.fstat(file.fileno()).st_size).first_values()


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """How much is in a vocabulary.

    Attributes:
        text_bytes: of all tokens together.
        added: the tokens that are kept whole in a text: control tokens, and those that somebody defined.
        added_bytes: of these together.
    """

    text_bytes: int = 0
    added: int = 0
    added_bytes: int = 0


def read_vocabulary(path: Path, header: Header) -> Vocabulary:
    """Return how much is in the vocabulary of a file whose header was read before.

    Raises:
        ModelLoadError: the file can't be read, or was changed meanwhile.
    """
    tokens, types = (
        header.values.get(f"tokenizer.ggml.{name}") for name in ("tokens", "token_type")
    )
    if not isinstance(tokens, Array) or tokens.kind != _STRING_TYPE:
        return Vocabulary()
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            lengths = _Reader(file, size).lengths(tokens)
            kinds: Sequence[Any] = ()
            if isinstance(types, Array) and types.kind in _SCALARS:
                kinds = _Reader(file, size).numbers(types)
    except OSError as error:
        raise ModelLoadError(
            f"The file {path} can't be read ({error.strerror or error}).", "Check its permissions."
        ) from error
    except ValueError as error:
        raise ModelLoadError(f"{path} isn't a complete GGUF file ({error}).", _AGAIN) from error
    added = [length for length, kind in zip(lengths, kinds, strict=False) if kind in _ADDED]
    return Vocabulary(sum(lengths), len(added), sum(added))


def read_control_tokens(path: Path, header: Header) -> tuple[str, ...]:
    """Return the texts of the tokens that steer a model, such as the end of a turn, of a file whose header was read before.

    Raises:
        ModelLoadError: the file can't be read, or was changed meanwhile.
    """
    tokens, types = (
        header.values.get(f"tokenizer.ggml.{name}") for name in ("tokens", "token_type")
    )
    if not isinstance(tokens, Array) or not isinstance(types, Array):
        return ()
    if tokens.kind != _STRING_TYPE or types.kind not in _SCALARS:
        return ()
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            kinds = _Reader(file, size).numbers(types)
            wanted = {at for at, kind in enumerate(kinds) if kind == _CONTROL}
            return _Reader(file, size).texts(tokens, wanted)
    except OSError as error:
        raise ModelLoadError(
            f"The file {path} can't be read ({error.strerror or error}).", "Check its permissions."
        ) from error
    except ValueError as error:
        raise ModelLoadError(f"{path} isn't a complete GGUF file ({error}).", _AGAIN) from error


class _Reader:
    """Reads a header from its file; what long arrays and arrays of texts hold is skipped over."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self._at = 0
        self._entries = 0

    def header(self) -> Header:
        tensor_count, value_count = self._counts()
        values: dict[str, Any] = {}
        for _ in range(value_count):
            self._entry(values)
        return self._tensors(values, _alignment(values), tensor_count)

    def first_values(self) -> tuple[Mapping[str, Any], int]:
        tensor_count, value_count = self._counts()
        values: dict[str, Any] = {}
        for _ in range(value_count):
            if self._entry(values, until=TOKENIZER):
                values[TOKENIZER] = True
                break
        return values, tensor_count

    def _counts(self) -> tuple[int, int]:
        """Return how many tensors and how many values there are."""
        if self._bytes(4) != b"GGUF":
            raise ValueError("it doesn't start with the GGUF signature")
        version = self._take("<I")
        if version not in _VERSIONS:
            swapped = int.from_bytes(version.to_bytes(4, "little"), "big")
            raise UnknownError(
                "it is in big-endian byte order"
                if swapped in _VERSIONS
                else f"it uses version {version} of the format"
            )
        tensor_count, value_count = self._take("<Q"), self._take("<Q")
        if tensor_count > limits.TENSORS or value_count > _MOST_VALUES:
            raise ValueError("it declares more contents than any model has")
        return tensor_count, value_count

    def _entry(self, values: dict[str, Any], until: str = "\0") -> bool:
        """Read the next value; return whether it was left because its name begins with `until`."""
        key = self._text(_LONGEST_KEY)
        if key.startswith(until):
            return True
        if key in values:
            raise ValueError("it contains two values with the same name")
        values[key] = self._value(self._take("<I"))
        return False

    def lengths(self, texts: Array) -> list[int]:
        """Return how long each text of an array is."""
        self._file.seek(texts.start)
        self._at = texts.start
        found = []
        for _ in range(texts.length):
            found.append(self._take("<Q"))
            self._advance(found[-1])
        return found

    def texts(self, texts: Array, wanted: Collection[int]) -> tuple[str, ...]:
        """Return those texts of an array whose numbers are wanted."""
        self._file.seek(texts.start)
        self._at = texts.start
        found = []
        for number in range(texts.length):
            if number in wanted:
                found.append(self._text(_LONGEST_TEXT))
            else:
                self._advance(self._take("<Q"))
        return tuple(found)

    def numbers(self, numbers: Array) -> list[Any]:
        """Return the entries of an array of any length."""
        self._file.seek(numbers.start)
        layout = struct.Struct(_SCALARS[numbers.kind])
        data = self._bytes(layout.size * numbers.length)
        return [one for (one,) in layout.iter_unpack(data)]

    def _tensors(self, values: Mapping[str, Any], alignment: int, count: int) -> Header:
        last, values_end = 0, self._at
        places: dict[str, Place] = {}
        tensors: dict[str, Shape] = {}
        kinds: dict[str, int] = {}
        for _ in range(count):
            name = self._text(_LONGEST_KEY)
            if name in tensors:
                raise ValueError("it contains two tensors with the same name")
            dimensions = self._take("<I")
            if dimensions > _MOST_DIMENSIONS:
                raise ValueError("a tensor has too many dimensions")
            tensors[name] = limits.shape([self._take("<Q") for _ in range(dimensions)])
            number = self._take("<I")
            kind, elements, stored = _stored(number, tensors[name])
            places[name] = Place(number, self._take("<Q"), stored)
            last = max(last, places[name].start + stored)
            kinds[kind] = kinds.get(kind, 0) + elements
        start = (self._at + alignment - 1) // alignment * alignment
        architecture = values.get("general.architecture")
        name = architecture if isinstance(architecture, str) else ""
        return Header(
            name,
            values,
            tensors,
            sum(kinds.values()),
            kinds,
            start + last,
            values_end,
            start,
            places,
        )

    def _bytes(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) < count:
            raise ValueError("its header is incomplete")
        self._at += count
        return data

    def _take(self, layout: str) -> Any:
        return struct.unpack(layout, self._bytes(struct.calcsize(layout)))[0]

    def _text(self, longest: int) -> str:
        length = self._take("<Q")
        if length > longest:
            raise ValueError(f"it contains a string of {length:,} bytes")
        return self._bytes(length).decode("utf-8", "replace")

    def _advance(self, count: int) -> None:
        if count > self._size - self._at:
            raise ValueError("its header is incomplete")
        self._file.seek(count, os.SEEK_CUR)
        self._at += count

    def _value(self, kind: int, depth: int = 0) -> Any:
        if kind == _STRING_TYPE:
            return self._text(_LONGEST_TEXT)
        if kind == _ARRAY_TYPE and depth < _MOST_DEPTH:
            element, count = self._take("<I"), self._take("<Q")
            self._entries += count
            if self._entries > _MOST_ENTRIES:
                raise ValueError("its arrays have more elements than any model's")
            return self._array(element, count, depth)
        if kind in _SCALARS:
            return self._take(_SCALARS[kind])
        raise ValueError(f"it contains a value of unknown type {kind}")

    def _array(self, element: int, count: int, depth: int) -> Array:
        if element in _SCALARS and count <= _MOST_KEPT:
            start = self._at
            numbers = tuple(self._take(_SCALARS[element]) for _ in range(count))
            return Array(count, numbers, element, start)
        found = Array(count, (), element, self._at)
        self._skip(element, count, depth)
        return found

    def _skip(self, element: int, count: int, depth: int) -> None:
        if element in _SCALARS:
            self._advance(struct.calcsize(_SCALARS[element]) * count)
            return
        for _ in range(count):
            if element == _STRING_TYPE:
                self._advance(self._take("<Q"))
            else:
                self._value(element, depth + 1)


def _alignment(values: Mapping[str, Any]) -> int:
    alignment = values.get("general.alignment", 32)
    if not limits.is_count(alignment, _MOST_ALIGNMENT) or alignment.bit_count() != 1:
        raise ValueError("its alignment is not valid")
    return int(alignment)


def _stored(number: int, shape: Shape) -> tuple[str, int, int]:
    """Return the name of a tensor's type, how many numbers it holds, and how many bytes these take."""
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

    try:
        kind = GGMLQuantizationType(number)
        block, block_bytes = GGML_QUANT_SIZES[kind]
    except (ValueError, KeyError):
        raise UnknownError(f"a tensor is of type {number}") from None
    elements = math.prod(shape)
    return kind.name, elements, elements // block * block_bytes
