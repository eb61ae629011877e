"""What a file is that is no text of chats, going by its first bytes, and whether it may hold chats nevertheless."""

from __future__ import annotations

from enum import Enum
from pathlib import PurePosixPath
from typing import Final

from tui.dataclass import dataclass

HEAD_BYTES: Final = 1 << 12
"""So much of a file's beginning is enough to know it."""
_PAGE_START: Final = 1 << 16


class Holds(Enum):
    """What may be in a file that can't be read here."""

    CHATS = "chats"
    MEDIA = "pictures, sounds, films and what a page is drawn with"
    OTHER = "something else"


@dataclass(frozen=True, slots=True)
class Sign:
    """A kind of file that is no text of chats.

    Attributes:
        what: what it is, in a sentence.
        hint: what to do, in a sentence; empty where nothing can be done.
        holds: whether a person may expect chats of it.
    """

    what: str
    hint: str = ""
    holds: Holds = Holds.CHATS


_PICTURE: Final = Sign("It is an image.", holds=Holds.MEDIA)
_SIGNS: Final = (
    (
        b"SQLite format 3\0",
        Sign("It is an SQLite database.", "Export the chats from the program that created it."),
    ),
    (b"\x1f\x8b", Sign("It is compressed (gzip).", "Unpack it first.")),
    (b"7z\xbc\xaf\x27\x1c", Sign("It is a 7z archive.", "Unpack it and import the folder.")),
    (b"Rar!", Sign("It is a RAR archive.", "Unpack it and import the folder.")),
    (b"\x28\xb5\x2f\xfd", Sign("It is compressed (zstd).", "Unpack it first.")),
    (b"BZh", Sign("It is compressed (bzip2).", "Unpack it first.")),
    (b"\xfd7zXZ", Sign("It is compressed (xz).", "Unpack it first.")),
    (b"%PDF", Sign("It is a PDF.", "Export the chats as JSON.", holds=Holds.OTHER)),
    (b"\x89PNG", _PICTURE),
    (b"\xff\xd8\xff", _PICTURE),
    (b"GIF8", _PICTURE),
    (b"RIFF", Sign("It is an image or audio file.", holds=Holds.MEDIA)),
    (b"GGUF", Sign("It is a GGUF model.", holds=Holds.OTHER)),
    (b"PAR1", Sign("It is a Parquet table.", "Save it as JSON Lines.")),
    (b"ARROW1", Sign("It is an Arrow table.", "Save it as JSON Lines.")),
    (
        b"version https://git-lfs",
        Sign("It is a Git LFS pointer.", "Run git lfs pull to download the file itself."),
    ),
)
_TAR: Final = slice(257, 262)
_PAGES: Final = (b"<!doctype html", b"<html", b"<?xml")
_TAKEOUT: Final = b"My Activity"
_TAKEOUT_PAGE: Final = (
    "It is a Google My Activity page in HTML.",
    "In Google Takeout, choose JSON as the format for My Activity.",
)
_MEDIA_SUFFIXES: Final = frozenset(
    [
        ".png",
        ".jpg",
        ".jpeg",
        ".gif",
        ".webp",
        ".avif",
        ".heic",
        ".bmp",
        ".tif",
        ".tiff",
        ".svg",
        ".ico",
        ".mp3",
        ".m4a",
        ".wav",
        ".ogg",
        ".opus",
        ".flac",
        ".aac",
        ".mp4",
        ".m4v",
        ".mov",
        ".webm",
        ".mkv",
        ".avi",
        ".css",
        ".js",
        ".ttf",
        ".otf",
        ".woff",
        ".woff2",
    ]
)


def sign_of(data: bytes) -> Sign | None:
    """Return what kind of other file one is that begins so; None where it may be a text."""
    if data[_TAR] == b"ustar":
        return Sign("It is a tar archive.", "Unpack it and import the folder.")
    if data[:64].lstrip().lower().startswith(_PAGES):
        if _TAKEOUT in data[:_PAGE_START]:
            # The page that lists what else is in an archive of Takeout names it, too.
            is_own = b"<title>My Activity" in data[:_PAGE_START]
            return Sign(*_TAKEOUT_PAGE, holds=Holds.CHATS if is_own else Holds.OTHER)
        return Sign("It is a web page.", "Export the chats as JSON.", holds=Holds.OTHER)
    return next((sign for start, sign in _SIGNS if data.startswith(start)), None)


def is_media(name: str) -> bool:
    """Whether a file is a picture, a sound, a film or what a page is drawn with, by its name."""
    return PurePosixPath(name.replace("\\", "/")).suffix.lower() in _MEDIA_SUFFIXES
