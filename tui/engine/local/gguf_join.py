"""Joins the parts of a GGUF model into one file, which is what transformers reads. The numbers are copied as they are."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Final

from tui.engine.gguf_files import Whole
from tui.files import open_regular

_COPIED_BYTES: Final = 1 << 24
_ALIGNMENT: Final = 32


def join(whole: Whole, target: Path, check: Callable[[], None]) -> None:
    """Write the parts of a model into one file.

    Args:
        whole: the parts.
        target: the file to write.
        check: called now and then; may raise.

    Raises:
        OSError: a part can't be read, or the file can't be written.
    """
    alignment = _alignment(whole)
    names = [
        (number, name) for number, header in enumerate(whole.headers) for name in header.places
    ]
    with target.open("xb") as file:
        with open_regular(whole.parts[0]) as first:
            start = first.read(whole.headers[0].values_end)
        # Magic and version, how many tensors and values, and the values.
        file.write(start[:8] + struct.pack("<Q", len(names)) + start[16:])
        at = 0
        for number, name in names:
            header = whole.headers[number]
            place, shape = header.places[name], header.tensors[name]
            written = name.encode()
            file.write(struct.pack("<Q", len(written)) + written)
            file.write(struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, place.kind, at))
            at += place.size + -place.size % alignment
        _pad(file, alignment)
        for number, (part, header) in enumerate(zip(whole.parts, whole.headers, strict=True)):
            with open_regular(part) as source:
                for _, name in (entry for entry in names if entry[0] == number):
                    place = header.places[name]
                    source.seek(header.data_start + place.start)
                    _copy(source, file, place.size, check)
                    _pad(file, alignment)


def size_bytes(whole: Whole) -> int:
    """Return the maximum size of the joined file in bytes."""
    places = [place for header in whole.headers for place in header.places.values()]
    start = sum(header.data_start for header in whole.headers)
    return start + sum(place.size for place in places) + len(places) * _alignment(whole)


def _alignment(whole: Whole) -> int:
    return int(whole.header.values.get("general.alignment", _ALIGNMENT))


def _pad(file: BinaryIO, alignment: int) -> None:
    file.write(bytes(-file.tell() % alignment))


def _copy(source: BinaryIO, target: BinaryIO, size: int, check: Callable[[], None]) -> None:
    while size:
        check()
        piece = source.read(min(size, _COPIED_BYTES))
        if not piece:
            raise OSError(0, "a part became shorter", str(source.name))
        target.write(piece)
        size -= len(piece)
