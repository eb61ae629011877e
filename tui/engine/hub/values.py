"""Validates every value in the Hub's responses before it is used as a path, an address, a size, or a text.

A server is hostile until its words were checked. Nothing here asks the network or touches the disk.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping
from typing import Any, Final

from tui.engine.base import ModelLoadError
from tui.pattern import pattern
from tui.sanitize import sanitize, sanitize_line

_COMMIT: Final = pattern(r"[0-9a-f]{40}")
_DIGEST: Final = pattern(r"[0-9a-f]{40}|[0-9a-f]{64}")
_ETAG: Final = pattern(r"[0-9A-Za-z][0-9A-Za-z._-]{0,127}")
_REPO_ID: Final = pattern(r"[A-Za-z0-9][\w.\-]{0,95}(/[A-Za-z0-9_][\w.\-]{0,95})?", re.ASCII)
_REVISION: Final = pattern(r"[\w.\-+]{1,128}(/[\w.\-+]{1,128}){0,7}", re.ASCII)
_RESERVED: Final = pattern(r"(?i)(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?")
_NAME_LENGTH: Final = 1024
_PART_BYTES: Final = 255
_DEPTH: Final = 16
_MOST: Final = 2**50
_TEXT_LENGTH: Final = 100


def bad_answer(why: str) -> ModelLoadError:
    """Return the error to raise for an unusable response.

    Args:
        why: what is wrong with it, as the end of a sentence.
    """
    return ModelLoadError(
        f"The Hugging Face Hub sent an unusable response: {sanitize_line(why, 300)}.",
        "Nothing was stored. Check the address in HF_ENDPOINT, or try again later.",
    )


def commit_of(value: object) -> str:
    """Return a commit, which names a folder.

    Raises:
        ModelLoadError: it isn't valid.
    """
    if isinstance(value, str) and _COMMIT.fullmatch(value):
        return value
    raise bad_answer(f"the revision {_quoted(value)} isn't a commit")


def is_commit(value: str) -> bool:
    """Return whether this is a whole commit, rather than a branch or a tag."""
    return bool(_COMMIT.fullmatch(value))


def digest_of(value: object, name: str) -> str:
    """Return the hash of a file's content, which names the file in the cache.

    Raises:
        ModelLoadError: it is neither a SHA-1 nor a SHA-256.
    """
    found = value.lower() if isinstance(value, str) else ""
    if _DIGEST.fullmatch(found):
        return found
    raise bad_answer(f"{_quoted(name)} has the invalid hash {_quoted(value)}")


def etag_of(value: str) -> str:
    """Return a strong ETag without its quotes; empty when it is weak, or could be anything but a plain file name."""
    found = value.strip()
    if len(found) >= 2 and found[0] == found[-1] == '"':
        found = found[1:-1]
    return found if _ETAG.fullmatch(found) and ".." not in found else ""


def size_of(value: object, name: str) -> int:
    """Return a file's size in bytes.

    Raises:
        ModelLoadError: it is no size that a file can have.
    """
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST:
        return value
    raise bad_answer(f"{_quoted(name)} has the invalid size {_quoted(value)}")


def file_name_of(value: object) -> str:
    """Return the name of a file inside a repository, with slashes between its folders.

    Raises:
        ModelLoadError: it could lead out of its folder, or can't be stored everywhere.
    """
    if isinstance(value, str) and 0 < len(value) <= _NAME_LENGTH:
        parts = value.split("/")
        if len(parts) <= _DEPTH and all(_is_plain(part) for part in parts):
            return value
    raise bad_answer(f"it lists a file with the invalid name {_quoted(value)}")


def check_together(names: Collection[str]) -> None:
    """Check that the files of a repository can lie beside each other on any disk.

    Raises:
        ModelLoadError: two are one but for their case, or a file is a folder too.
    """
    files: set[str] = set()
    folders: set[str] = set()
    for name in names:
        key = unicodedata.normalize("NFC", name).casefold()
        if key in files:
            raise bad_answer(f"two of its files are named {_quoted(name)}")
        files.add(key)
        parts = key.split("/")
        folders.update("/".join(parts[:count]) for count in range(1, len(parts)))
    if both := files & folders:
        raise bad_answer(f"{_quoted(min(both))} is both a file and a folder")


def is_repo_id(value: object) -> bool:
    """Return whether this can be the id of a model, and part of a path and of an address."""
    return (
        isinstance(value, str)
        and bool(_REPO_ID.fullmatch(value))
        and ".." not in value
        and "--" not in value
    )


def is_revision(value: str) -> bool:
    """Return whether this can be a branch, a tag or a commit, and part of a path and of an address."""
    parts = value.split("/")
    return (
        bool(_REVISION.fullmatch(value))
        and ".." not in value
        and not any(part.startswith(".") or part.endswith((".", ".lock")) for part in parts)
    )


def count_of(value: object) -> int:
    """Return a number that is only shown; 0 where it is none, or absurd."""
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST
    return value if is_count and isinstance(value, int) else 0


def text_of(value: object) -> str:
    """Return a text that is only shown, on one line and not too long; empty where it is none."""
    return sanitize_line(value[: 4 * _TEXT_LENGTH], _TEXT_LENGTH) if isinstance(value, str) else ""


def mapping_of(value: object) -> Mapping[str, Any]:
    """Return a JSON object; an empty one where it is none."""
    return value if isinstance(value, dict) else {}


def _is_plain(part: str) -> bool:
    """Return whether a part of a path names something in its folder, on every system."""
    return (
        part not in ("", ".", "..")
        and len(part.encode("utf-8", "replace")) <= _PART_BYTES
        and "\\" not in part
        and ":" not in part
        and not part.endswith((".", " "))
        and not part.startswith(" ")
        and sanitize(part) == part
        and part.isprintable()
        and not _RESERVED.fullmatch(part)
    )


def _quoted(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _MOST:
        return "an implausible number"
    return repr(value[:80] if isinstance(value, str) else value)[:100]
