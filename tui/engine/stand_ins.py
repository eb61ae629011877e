"""What lies in the place of a model's file and isn't the file: a pointer that git left, a page that says no, nothing at all.

Downloads and clones that went wrong leave such files, under the right names. Only a file's first bytes are read, and its last ones
where these are all zeros. What a whole file holds is not looked at here.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from tui.dataclass import dataclass
from tui.engine.base import ModelLoadError
from tui.files import open_regular
from tui.pattern import pattern

PARTIAL_ENDINGS: Final = (
    ".incomplete", ".part", ".partial", ".crdownload", ".download", ".aria2", ".tmp", ".!qb", ".st",
)  # fmt: skip
"""What programs put after the name of a file whose download is not finished."""
_START_BYTES: Final = 1024
_POINTER_BYTES: Final = 4096
_AGAIN: Final = "Download or copy it again."
_MESSAGE: Final = pattern(
    rb"\s*(entry not found|not found|404|403 |401 |access (to|denied)|invalid (username|credentials|token)|unauthorized|forbidden"
    rb"|repository not found|internal (server )?error|bad gateway|service unavailable|too many requests|rate limit|cannot access)",
    re.IGNORECASE,
)
_ERROR_OBJECT: Final = pattern(rb'\s*\{\s*"(error|errors|message|detail)"\s*:\s*["{\[]')
_PAGE: Final = pattern(
    rb"(\xef\xbb\xbf)?\s*(<!--.*?-->\s*)?<(!doctype html|html|head|body|script)\b",
    re.IGNORECASE | re.DOTALL,
)
_ERROR_DOCUMENT: Final = pattern(
    rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>)?\s*<(Error|html)\b", re.IGNORECASE
)
_ARCHIVES: Final = (
    (b"PK\x03\x04", "a ZIP archive"), (b"\x1f\x8b", "a gzip-compressed file"), (b"\xfd7zXZ\0", "an xz-compressed file"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"), (b"Rar!", "a RAR archive"), (b"\x28\xb5\x2f\xfd", "a zstd-compressed file"), (b"BZh", "a bzip2-compressed file"),
)  # fmt: skip
_NEVER_ARCHIVES: Final = (
    ".safetensors", ".gguf", ".json", ".jinja", ".txt", ".model", ".tiktoken",
)  # fmt: skip
_MOST_HEADER: Final = 100_000_000
_OLDER_GGML: Final = (b"lmgg", b"fmgg", b"tjgg", b"algg", b"ggml", b"ggmf", b"ggjt", b"ggla")

_PICKLES: Final = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_SUFFIXES: Final = {"gguf": ".gguf", "safetensors": ".safetensors", "torch": ".bin"}
"""How the names of files of weights end, by their formats."""
_WORDS: Final = {
    "gguf": "a GGUF file", "safetensors": "a safetensors file", "torch": "a weights file in PyTorch format",
}  # fmt: skip
_RENAMES: Final = {
    "gguf": "Rename it so that its name ends in .gguf, and use that path.",
    "safetensors": "Rename it to model.safetensors, or download it again.",
    "torch": "Rename it to pytorch_model.bin, or download it again.",
}


@dataclass(frozen=True, slots=True)
class StandIn:
    """The actual kind of a file whose name is misleading.

    Attributes:
        what: goes on after "is".
        hint: what to do; `{folder}` stands for its folder.
    """

    what: str
    hint: str = _AGAIN


def check(path: Path) -> None:
    """Check that a file is not something else in the place of a file.

    Raises:
        ModelLoadError: it is.
    """
    if (found := find(path)) is not None:
        raise error_of(path, found)


def error_of(path: Path, found: StandIn) -> ModelLoadError:
    """Return the error that says what lies in a file's place."""
    return ModelLoadError(
        f"{path.name} is {found.what} ({path.parent}).", found.hint.format(folder=path.parent)
    )


def find(path: Path) -> StandIn | None:
    """Return what lies in a file's place; None where there is no such thing, and what can't be read is another's business."""
    try:
        if path.is_symlink() and not path.exists():
            return _dead_link(path)
        with open_regular(path) as file:
            start = file.read(_START_BYTES)
            size = os.fstat(file.fileno()).st_size
            if start and not start.strip(b"\0") and size > _START_BYTES:
                file.seek(-_START_BYTES, os.SEEK_END)
                ends_in_zeros = not file.read(_START_BYTES).strip(b"\0")
            else:
                ends_in_zeros = True
    except (OSError, ValueError):
        return None
    return of(start, size, path.suffix.lower(), ends_in_zeros=ends_in_zeros)


def of(start: bytes, size: int, suffix: str = "", *, ends_in_zeros: bool = True) -> StandIn | None:
    """Return the actual kind of a file whose name is misleading, by its first bytes.

    Args:
        start: some hundred bytes of it.
        size: of the whole file.
        suffix: how its name ends.
        ends_in_zeros: what its last bytes are, if the first ones are zeros.
    """
    if not size:
        return StandIn("empty", "Its download was interrupted. Download or copy it again.")
    if not start.strip(b"\0") and ends_in_zeros:
        return StandIn(
            "filled with zeros only", "Its download was interrupted. Download or copy it again."
        )
    if size <= _POINTER_BYTES and (found := _pointer(start)):
        return found
    if _PAGE.match(start):
        return StandIn(
            "a web page, not the file itself",
            "The server returned a web page, such as a login or error page. Download it again.",
        )
    if size <= _POINTER_BYTES:
        is_error = suffix != ".jinja" and (
            _ERROR_DOCUMENT.match(start) or _ERROR_OBJECT.match(start) or _MESSAGE.match(start)
        )
        if is_error:
            return StandIn(
                "a server's error message, not the file itself",
                "Check that you have access to the model (hf auth login), and download it again.",
            )
    return _other_format(start, suffix)


def _other_format(start: bytes, suffix: str) -> StandIn | None:
    """Return what a whole file is whose format is another one than its name says."""
    if (kind := kind_of(start)) and suffix in _SUFFIXES.values() and suffix != _SUFFIXES[kind]:
        return StandIn(f"{_WORDS[kind]}, despite its name", _RENAMES[kind])
    if suffix in _NEVER_ARCHIVES and (archive := archive_of(start)):
        return StandIn(archive, "Unpack it in {folder} first.")
    if start[:4] in _OLDER_GGML:
        return StandIn(
            "a GGML file, the format before GGUF",
            "Download the model as a .gguf file or as safetensors.",
        )
    return None


def kind_of(start: bytes) -> str:
    """Return which format of weights a file has by its first bytes: a name in `_SUFFIXES`; empty for others."""
    if start.startswith(b"GGUF"):
        return "gguf"
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= _MOST_HEADER:
        return "safetensors"
    is_archive = start.startswith(b"PK\x03\x04") and b"/data.pkl" in start[:300]
    return "torch" if is_archive or start[:2] in _PICKLES else ""


def archive_of(start: bytes) -> str:
    """Return what kind of archive a file is by its first bytes; empty when it is none."""
    return next((what for magic, what in _ARCHIVES if start.startswith(magic)), "")


def partial_of(path: Path) -> Path | None:
    """Return what there is of a file whose download is not finished; None when there is no such thing beside it."""
    for ending in PARTIAL_ENDINGS:
        other = path.with_name(path.name + ending)
        if other.is_file():
            return other
    return None


def is_partial(name: str) -> bool:
    """Return whether a name is that of a file whose download is not finished."""
    return name.lower().endswith(PARTIAL_ENDINGS)


def _pointer(start: bytes) -> StandIn | None:
    text = start.lstrip(b"\xef\xbb\xbf \r\n")
    if re.match(rb"version https://(git-lfs|hawser)\.github\.com/spec/", text):
        return StandIn(
            "a Git LFS pointer, not the file itself",
            "Run `git lfs pull` in {folder}, or download the file again.",
        )
    if text.startswith(b"# xet version"):
        return StandIn(
            "a Xet pointer, not the file itself",
            "Run `git xet checkout` or `git lfs pull` in {folder}, or download the file again.",
        )
    if b"/annex/objects/" in text[:200]:
        return _ANNEX
    return None


def _dead_link(path: Path) -> StandIn:
    try:
        target = str(path.readlink())
    except OSError:
        target = ""
    if "annex/objects" in target:
        return _ANNEX
    return StandIn("a link to a file that doesn't exist")


_ANNEX: Final = StandIn(
    "a git-annex pointer, not the file itself", "Run `git annex get .` in {folder}."
)
