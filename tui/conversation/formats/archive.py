"""ZIP archives of exported chats, read in memory: which files may contain chats, and their contents.

Nothing is ever unpacked to a disk, so no name in an archive matters; what is in it is read up to a limit, whatever its sizes say.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Final

from tui.conversation.entries import ChatFormatError
from tui.conversation.formats.signs import HEAD_BYTES, is_media

try:
    from lzma import LZMAError
except ImportError:  # Python can be built without it, and then zipfile doesn't use it either.
    LZMAError = EOFError  # type: ignore[misc, assignment]

CHAT_SUFFIXES: Final = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".zip")
"""File name endings that chat files may have."""
MOST_FILES: Final = 100_000
_SIGNS: Final = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_CENTRAL: Final = b"PK\x01\x02"
_MOST_FILE_BYTES: Final = 1 << 29
_MOST_BYTES: Final = 1 << 30
_PIECE: Final = 1 << 20
_ENCRYPTED: Final = 1
_TOO_LARGE: Final = ("It is too large.", "Unpack the archive and import the files one by one.")
_BROKEN: Final = (
    zipfile.BadZipFile,
    zlib.error,
    LZMAError,
    # The compression header determines how much memory decompression takes.
    MemoryError,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,
    OverflowError,
    LookupError,
    struct.error,
)


def is_archive(data: bytes) -> bool:
    """Whether a file is a ZIP archive, whatever its name is."""
    return data.startswith(_SIGNS)


def is_hidden(name: str) -> bool:
    """Whether a file name in a folder or an archive is hidden or system-generated."""
    path = PurePosixPath(name.replace("\\", "/"))
    return not path.name or path.name.startswith(".") or "__MACOSX" in path.parts


def may_hold_chats(name: str) -> bool:
    """Whether a file in a folder or an archive has a name that chat files have."""
    path = PurePosixPath(name.replace("\\", "/"))
    return not is_hidden(name) and path.suffix.lower() in CHAT_SUFFIXES


class Archive:
    """The files of an archive."""

    def __init__(self, data: bytes) -> None:
        """Read which files there are.

        Raises:
            ChatFormatError: it can't be read.
        """
        # Each file takes a record in memory as soon as the archive is opened.
        if data.count(_CENTRAL) > MOST_FILES:
            raise ChatFormatError(f"It is an archive with more than {MOST_FILES:,} files.")
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
            infos = [info for info in self._zip.infolist() if not info.filename.endswith("/")]
        except (*_BROKEN, NotImplementedError) as error:
            raise ChatFormatError("It is a damaged or incomplete ZIP archive.") from error
        self._left_bytes = _MOST_BYTES
        self._files: dict[str, zipfile.ZipInfo] = {}
        self.media = 0
        """The number of images and other media in it, judged by their names."""
        numbers: dict[str, int] = {}
        for info in infos:
            if is_hidden(info.filename):
                continue
            if is_media(info.filename):
                self.media += 1
                continue
            name = info.filename
            while name in self._files:
                # Continue from the last number: there may be very many files with the same name.
                number = numbers[info.filename] = numbers.get(info.filename, 1) + 1
                name = f"{info.filename} ({number})"
            self._files[name] = info

    @property
    def names(self) -> Mapping[str, int]:
        """The files to read, in the archive's order, with their declared sizes."""
        return {name: info.file_size for name, info in self._files.items()}

    def head(self, name: str) -> bytes:
        """Return the beginning of a file.

        Raises:
            ChatFormatError: it can't be read.
        """
        # It takes nothing from what the files with chats may hold together: there may be very many others.
        return next(self._unpacked(name, HEAD_BYTES), b"")

    def read(self, name: str) -> bytes:
        """Return the contents of a file.

        Raises:
            ChatFormatError: it can't be read.
        """
        if self._left_bytes < 0:
            raise ChatFormatError(*_TOO_LARGE)
        most_bytes = min(_MOST_FILE_BYTES, self._left_bytes)
        pieces: list[bytes] = []
        for piece in self._unpacked(name, _PIECE):
            pieces.append(piece)
            most_bytes -= len(piece)
            self._left_bytes -= len(piece)
            if most_bytes < 0:
                raise ChatFormatError(*_TOO_LARGE)
        return b"".join(pieces)

    def _unpacked(self, name: str, piece_bytes: int) -> Iterator[bytes]:
        info = self._files[name]
        if info.flag_bits & _ENCRYPTED:
            raise ChatFormatError("It is encrypted.", "Unpack the archive with its password first.")
        try:
            with self._zip.open(info) as file:
                while piece := file.read(piece_bytes):
                    yield piece
        except NotImplementedError as error:
            raise ChatFormatError(
                "It uses an unsupported compression method.", "Unpack the archive first."
            ) from error
        except _BROKEN as error:
            raise ChatFormatError("It is damaged inside the archive.") from error
