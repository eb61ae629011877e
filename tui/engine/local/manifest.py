"""Checks that a folder still contains exactly what this app wrote: nothing truncated, changed, missing, or added.

A list of digests in the folder says what belongs there. It finds damage, and what other users did; nothing that is stored beside
the files could find what somebody did who can write as this user.

Large files are looked at as a whole only when their stamp is another: a model's weights take too long to read twice at each load.
A bit that the disk itself flips in those stays unseen; it is a wrong weight, and no code.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from tui.files import OTHERS_MODE, is_users_alone, read_own, write_atomic

_log = logging.getLogger(__name__)

NAME: Final = "manifest.json"
_FORMAT: Final = 1
_SMALL_BYTES: Final = 1 << 26
"""Files up to this size are read at each check."""
_MOST_BYTES: Final = 1 << 24
_CHUNK_BYTES: Final = 1 << 22
Check = Callable[[], None]
"""Called in the middle of long work; raises when that is to end."""
Entry = dict[str, Any]


def _no_check() -> None:
    """Let the work go on."""


def write(folder: Path, check: Check = _no_check) -> None:
    """List what is in a folder, and in the folders in it, once it is safe on the disk.

    Raises:
        OSError: something can't be read or written, or is neither file nor folder.
    """
    listed = {
        str(path.relative_to(folder)): _entry(path, path.lstat(), check) for path in _files(folder)
    }
    _write(folder, listed)


def is_whole(folder: Path, check: Check = _no_check) -> bool:
    """Return whether a folder holds what was listed, all of it and nothing else, and belongs to the user alone."""
    listed = _listed(folder)
    if listed is None:
        return False
    try:
        found = {str(path.relative_to(folder)): path for path in _files(folder)}
        if found.keys() != listed.keys():
            return False
        stale = [name for name, path in found.items() if not _has_stamp(path, listed[name])]
        if not all(_is_intact(path, listed[name], check) for name, path in found.items()):
            return False
    except OSError as error:
        _log.info("%s can't be checked: %s", folder, error)
        return False
    if stale:
        # Copied, or restored from a backup: read once, and trusted by its new stamp from now on.
        with contextlib.suppress(OSError):
            _write(
                folder,
                {
                    name: entry | {"stamp": _stamp(found[name].lstat())}
                    for name, entry in listed.items()
                },
            )
    return True


def keep_intact(folder: Path) -> int:
    """Remove all files of a folder that were not listed, or are not as they were; return how many.

    Raises:
        OSError: one can't be removed.
    """
    listed = _listed(folder) or {}
    removed = 0
    for root, folders, names in os.walk(folder):
        # Links to folders are among the folders, and are not followed.
        for name in [*names, *(one for one in folders if (Path(root) / one).is_symlink())]:
            path = Path(root) / name
            entry = listed.get(str(path.relative_to(folder)))
            if path != folder / NAME and (entry is None or not _is_intact(path, entry, _no_check)):
                path.unlink()
                removed += 1
    return removed


def _listed(folder: Path) -> dict[str, Entry] | None:
    """Return what a folder should hold; None when that isn't known, or others may have written to it."""
    try:
        found = folder.lstat()
        if (
            not stat.S_ISDIR(found.st_mode)
            or found.st_uid != os.geteuid()
            or found.st_mode & OTHERS_MODE
        ):
            return None
        document = json.loads(read_own(folder / NAME, _MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        return None
    files = document.get("files")
    if not isinstance(files, dict) or not all(isinstance(entry, dict) for entry in files.values()):
        return None
    return files


def _write(folder: Path, files: dict[str, Entry]) -> None:
    document = {"format": _FORMAT, "files": files}
    write_atomic(folder / NAME, json.dumps(document, indent=1).encode())


def _files(folder: Path) -> Iterator[Path]:
    """Yield all that is in a folder but other folders, and the list."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_dir():
            if path != folder / NAME:
                yield path
        elif path.lstat().st_mode & OTHERS_MODE:
            raise PermissionError(f"others can write to {path}")


def _entry(path: Path, found: os.stat_result, check: Check) -> Entry:
    return {
        "sha256": _digest(path, check, lasting=True),
        "size": found.st_size,
        "stamp": _stamp(found),
    }


def _stamp(found: os.stat_result) -> list[int]:
    """Return what changes whenever a file is written to, or is another; nobody but root can set the last of it."""
    return [found.st_ino, found.st_mtime_ns, found.st_ctime_ns]


def _has_stamp(path: Path, entry: Entry) -> bool:
    return bool(entry.get("stamp") == _stamp(path.lstat()))


def _is_intact(path: Path, entry: Entry, check: Check) -> bool:
    found = path.lstat()
    if not is_users_alone(found) or entry.get("size") != found.st_size:
        return False
    if found.st_size > _SMALL_BYTES and _has_stamp(path, entry):
        return True
    return bool(entry.get("sha256") == _digest(path, check))


def _digest(path: Path, check: Check, *, lasting: bool = False) -> str:
    digest = hashlib.sha256()
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(fd, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor has no path
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(f"{path} is not a regular file")
        if lasting:
            os.fsync(fd)
        while piece := file.read(_CHUNK_BYTES):
            check()
            digest.update(piece)
    return digest.hexdigest()
