"""Reading and writing small private files so that neither a crash nor a full disk damages them.

What is written appears whole or not at all, for the owner's eyes only. It knows nothing of what the files hold, and lets
`OSError` through: each floor above turns it into a sentence of its own.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FILE_MODE: Final = 0o600
FOLDER_MODE: Final = 0o700
_CHUNK_BYTES: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells one version of a file from another without reading it."""

    inode: int
    size_bytes: int
    mtime_ns: int


def stamp(path: Path) -> Stamp | None:
    """Return the stamp of a file; None where there is none."""
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Stamp(found.st_ino, found.st_size, found.st_mtime_ns)


def make_private_folder(folder: Path) -> None:
    """Make a folder that only its owner can read, with its parents, if it is not there.

    Raises:
        OSError: it can't be made, or something else has its name.
    """
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)


def read_regular(path: Path, *, follow_links: bool = True) -> bytes:
    """Return the content of a regular file.

    Args:
        follow_links: read what a symbolic link points to, rather than refuse it.

    Raises:
        OSError: it can't be read, or is no regular file (a pipe would block for ever).
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow_links else os.O_NOFOLLOW)
    fd = os.open(path, flags)
    with open(fd, "rb") as file:  # noqa: PTH123 - a descriptor has no path
        mode = os.fstat(fd).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        return file.read()


def write_all(fd: int, data: bytes) -> None:
    """Write all of `data`, also where the system takes it in several parts."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


class StagedFile:
    """New content of a file, safe on the disk under another name until `commit` puts it in place.

    There is one such name for each file, so that a process that dies leaves at most one behind, which the next takes over.
    """

    def __init__(self, path: Path, pieces: Iterable[bytes]) -> None:
        """Write and fsync the content.

        Raises:
            OSError: it could not be written; nothing is left of it.
        """
        self._path = path
        self._staged = path.with_name(f".{path.name}.tmp")
        with contextlib.suppress(FileNotFoundError):
            self._staged.unlink()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(self._staged, flags, FILE_MODE)
        try:
            try:
                self._write(fd, pieces)
                os.fsync(fd)
                found = os.fstat(fd)
            finally:
                os.close(fd)
        except BaseException:
            self.discard()
            raise
        self.stamp = Stamp(found.st_ino, found.st_size, found.st_mtime_ns)
        """What the file's stamp is once it is committed."""

    @staticmethod
    def _write(fd: int, pieces: Iterable[bytes]) -> None:
        buffer = bytearray()
        for piece in pieces:
            buffer += piece
            if len(buffer) >= _CHUNK_BYTES:
                write_all(fd, bytes(buffer))
                buffer.clear()
        write_all(fd, bytes(buffer))

    def commit(self) -> None:
        """Put the content in the file's place, and make that last.

        Raises:
            OSError: the file has its old content, or, when the folder could not be fsynced, either.
        """
        try:
            self._staged.replace(self._path)
        except BaseException:
            self.discard()
            raise
        fsync_folder(self._path.parent)

    def discard(self) -> None:
        """Remove the content that is not in place."""
        with contextlib.suppress(OSError):
            self._staged.unlink()


def write_atomic(path: Path, data: bytes) -> None:
    """Give a file new content, whole or not at all, readable by its owner alone.

    Raises:
        OSError: it could not be written; the old content is still there.
    """
    StagedFile(path, (data,)).commit()


def fsync_folder(folder: Path) -> None:
    """Make the names in a folder last, where the file system can."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(fd)


def free_name(path: Path, mark: str) -> Path:
    """Return `<path>.<mark>-<n>` with the first n that is not taken."""
    number = 1
    while True:
        candidate = path.with_name(f"{path.name}.{mark}-{number}")
        if not os.path.lexists(candidate):
            return candidate
        number += 1


def reason(error: OSError) -> str:
    """Return why a file operation failed, in the system's words and lower case."""
    return (error.strerror or type(error).__name__).lower()
