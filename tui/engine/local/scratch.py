"""Private folders to make something in before it gets its name, which a process that is killed doesn't leave behind for good.

Each is locked by the process that made it. The lock ends with the process, so the next one knows which folders it may remove.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_SUFFIX: Final = ".part"
_TRIES: Final = 20


@contextlib.contextmanager
def scratch(parent: Path, name: str) -> Iterator[Path]:
    """Lend a new private folder; it is removed at the end, with all that is still in it.

    Args:
        parent: the folder that it is made in; must be there.
        name: the start of its name.

    Raises:
        OSError: it can't be made.
    """
    folder, lock = _made(parent, name)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def clear(parent: Path) -> None:
    """Remove the folders of processes that are gone; does nothing where that can't be told."""
    for folder in parent.glob(f"*{_SUFFIX}"):
        with contextlib.suppress(OSError):
            lock = _lock(folder)
            try:
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def _made(parent: Path, name: str) -> tuple[Path, int]:
    """Return a new folder and its lock. Another process may take it for an old one before it is locked; then there is another."""
    for _ in range(_TRIES):
        folder = Path(tempfile.mkdtemp(prefix=f"{name}.", suffix=_SUFFIX, dir=parent))
        try:
            lock = _lock(folder)
        except (BlockingIOError, FileNotFoundError):
            continue
        except OSError:
            # A file system without locks: the folder will do, and `clear` can't tell whose it is and leaves it alone.
            return folder, _opened(folder)
        if folder.exists():
            return folder, lock
        os.close(lock)
    raise BlockingIOError(f"no folder could be created in {parent}")


def _lock(folder: Path) -> int:
    fd = _opened(folder)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _opened(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
