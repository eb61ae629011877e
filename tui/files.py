"""Reading and writing small private files so that neither a crash nor a full disk damages them.

What is written appears whole or not at all, for the owner's eyes only. It knows nothing of what the files hold, and lets
`OSError` through: each layer above turns it into a sentence of its own.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, Final

from tui.dataclass import dataclass

FILE_MODE: Final = 0o600
FOLDER_MODE: Final = 0o700
MOST_BYTES: Final = 1 << 29
"""No file that is read at once is larger."""
OTHERS_MODE: Final = 0o022
"""Which rights let others change a file, or what is in a folder."""
_CHUNK_BYTES: Final = 1 << 18
_IN_THE_WAY: Final = (
    errno.EISDIR,
    errno.ELOOP,
    errno.ENXIO,
    errno.ENODEV,
    errno.ENOENT,
    errno.EACCES,
    errno.EPERM,
)
"""How opening a file fails when something else stands in its place."""


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


def typed_path(text: str) -> Path:
    """Return the path that somebody typed, `~` and `~user` followed; as it stands where there is no such user."""
    path = Path(text)
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def with_ending(path: Path, ending: str) -> Path:
    """Return a path with an ending if its name has none; what ends in no name, as `/` does, stays as it is."""
    return path if path.suffix or not path.name else path.with_name(path.name + ending)


def is_file(path: Path) -> bool:
    """Return whether a regular file is there, as far as that can be found out: names can be too long, folders closed."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def exists(path: Path) -> bool:
    """Return whether anything is there, as far as that can be found out."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Return whether a folder is there, as far as that can be found out."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def absolute(path: Path) -> Path:
    """Return a path from the root on; as it stands where the folder that the app was started in is gone."""
    try:
        return path.absolute()
    except OSError:
        return path


def make_private_folder(folder: Path) -> None:
    """Make a folder that only its owner can read, with its parents, if it is not there.

    Raises:
        OSError: it can't be made, or something else has its name.
    """
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)


def make_own_folder(folder: Path) -> None:
    """Make a private folder, or see to it that the one that is there is the user's alone.

    Meant for what is run or mapped later: whoever can write to the folder could put other code there. The last part of the path
    must not be a link. Other people's right to write is taken away; what they may have put there is left to `read_own`.

    Raises:
        OSError: it can't be made, is no folder, or belongs to somebody else.
    """
    make_private_folder(folder)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    if found.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "it belongs to another user", str(folder))
    if found.st_mode & OTHERS_MODE:
        folder.chmod(FOLDER_MODE)


def open_regular(path: Path, *, follow_links: bool = True) -> BinaryIO:
    """Open a regular file for reading.

    Args:
        follow_links: open what a symbolic link points to, rather than refuse it.

    Raises:
        OSError: it can't be opened, or is no regular file (a pipe would block for ever).
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow_links else os.O_NOFOLLOW)
    fd = os.open(path, flags)
    try:
        # First of all: `open` refuses a folder too, and would not close it.
        mode = os.fstat(fd).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        return open(fd, "rb")  # noqa: PTH123 - a descriptor has no path; the caller closes it
    except BaseException:
        os.close(fd)
        raise


def read_regular(path: Path, *, follow_links: bool = True, most_bytes: int = MOST_BYTES) -> bytes:
    """Return the content of a regular file.

    Args:
        follow_links: read what a symbolic link points to, rather than refuse it.
        most_bytes: a larger file is refused.

    Raises:
        OSError: it can't be read, is too large, or is no regular file (a pipe would block for ever).
    """
    with open_regular(path, follow_links=follow_links) as file:
        return _limited(file, path, most_bytes)


def read_own(path: Path, most_bytes: int) -> bytes:
    """Return the content of a regular file that nobody but the user can have written.

    Args:
        most_bytes: a longer file is refused.

    Raises:
        OSError: it can't be read, is a link, has a second name, or somebody else owns it or can write to it.
    """
    with open_regular(path, follow_links=False) as file:
        found = os.fstat(file.fileno())
        if not is_users_alone(found):
            why = "another user owns it or can change it"
            raise PermissionError(errno.EPERM, why, str(path))
        if found.st_nlink != 1:
            raise PermissionError(errno.EPERM, "it has more than one hard link", str(path))
        return _limited(file, path, most_bytes)


def read_end(path: Path, most_bytes: int) -> bytes:
    """Return the last bytes of a regular file, all of them where there are fewer than `most_bytes`.

    Raises:
        OSError: it can't be read, or is no regular file.
    """
    with open_regular(path) as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - most_bytes))
        return file.read(most_bytes)


def is_users_alone(status: os.stat_result) -> bool:
    """Return whether a status is that of a regular file that belongs to the user, and that nobody else can write to."""
    return (
        stat.S_ISREG(status.st_mode)
        and status.st_uid == os.geteuid()
        and not status.st_mode & OTHERS_MODE
    )


def _limited(file: BinaryIO, path: Path, most_bytes: int) -> bytes:
    size_bytes = os.fstat(file.fileno()).st_size
    # What grows while it is read, as some files of the system do, has no size to go by.
    data = file.read(most_bytes + 1) if size_bytes <= most_bytes else b""
    if size_bytes > most_bytes or len(data) > most_bytes:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return data


def open_own(path: Path, flags: int, *, follow_links: bool = True) -> int:
    """Open a regular file of the app's own, readable by its owner alone, and return its descriptor.

    It is made where it is not there. What stands in its place and can't be used, as a folder, a pipe or somebody else's
    file, is set aside.

    Args:
        flags: how, as in `os.open`.
        follow_links: use what a symbolic link points to, rather than set the link aside.

    Raises:
        OSError: it can't be opened, or what is in its place can't be moved.
    """
    flags |= os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow_links else os.O_NOFOLLOW)
    for _ in range(2):
        try:
            fd = os.open(path, flags, FILE_MODE)
        except OSError as error:
            if error.errno not in _IN_THE_WAY or not os.path.lexists(path):
                raise
        else:
            if stat.S_ISREG(os.fstat(fd).st_mode):
                return fd
            os.close(fd)
        set_aside(path)
    raise OSError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))


def set_aside(path: Path) -> Path:
    """Give a file, or whatever has its name, another name, so that its place is free, and return that.

    Raises:
        OSError: it can't be moved.
    """
    aside = free_name(path, "set-aside")
    path.rename(aside)
    return aside


def write_all(fd: int, data: bytes) -> None:
    """Write all of `data`, also where the system takes it in several parts."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


class StagedFile:
    """New content of a file, safe on the disk under another name until `commit` puts it in place.

    There is one such name for each file, so that a process that dies leaves at most one behind, which the next takes over.
    """

    def __init__(self, path: Path, pieces: Iterable[bytes], *, is_own: bool = False) -> None:
        """Write and fsync the content.

        Args:
            path: the file.
            pieces: its content.
            is_own: whether its name is the app's own, so that a folder in its place is set aside.

        Raises:
            OSError: it could not be written; nothing is left of it.
        """
        self._path = path
        self._is_own = is_own
        self._staged = path.with_name(f".{path.name}.tmp")
        self._make_way()
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

    def _make_way(self) -> None:
        if self._staged.is_dir() and not self._staged.is_symlink():
            set_aside(self._staged)
        with contextlib.suppress(FileNotFoundError):
            self._staged.unlink()

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
            if self._is_own and self._path.is_dir() and not self._path.is_symlink():
                set_aside(self._path)
            self._staged.replace(self._path)
        except BaseException:
            self.discard()
            raise
        fsync_folder(self._path.parent)

    def discard(self) -> None:
        """Remove the content that is not in place."""
        with contextlib.suppress(OSError):
            self._staged.unlink()


def write_atomic(path: Path, data: bytes, *, is_own: bool = False) -> None:
    """Give a file new content, whole or not at all, readable by its owner alone.

    Args:
        path: the file.
        data: its content.
        is_own: whether its name is the app's own, so that a folder in its place is set aside.

    Raises:
        OSError: it could not be written; the old content is still there.
    """
    StagedFile(path, (data,), is_own=is_own).commit()


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
