"""The private folder where torch stores compiled code; a later process reuses the files that are unchanged.

By itself torch takes a folder with a guessable name in the system's folder for temporary files, where another user may have put code
before. What is there is unpickled and run. It does not compile anything itself, and torch need not be there.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import logging
import os
import tempfile
from pathlib import Path
from typing import Final

from tui.engine.local import manifest
from tui.engine.local.cpu.native_library import search_path
from tui.engine.local.scratch import clear, scratch
from tui.files import OTHERS_MODE, make_own_folder

_log = logging.getLogger(__name__)

_VARIABLE: Final = "TORCHINDUCTOR_CACHE_DIR"
_HEADERS_VARIABLE: Final = "TORCHINDUCTOR_CPP_CACHE_PRECOMPILE_HEADERS"


class CodeCache:
    """The folder of one process. Another process that runs at the same time has one of its own, for as long as it runs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held = contextlib.ExitStack()
        self._is_ours = False

    def open(self) -> None:
        """Make torch use the folder; call before it compiles anything. A folder set by the user is kept."""
        # The compiler is found through the path, where the current folder must not stand.
        os.environ["PATH"] = search_path()
        # These lie in the guessable folder whatever the variable says, and save no time that could be measured.
        os.environ.setdefault(_HEADERS_VARIABLE, "0")
        if (named := os.environ.get(_VARIABLE)) and not _is_guessable(Path(named)):
            return
        try:
            self._take()
            self._is_ours = True
            os.environ[_VARIABLE] = str(self._folder)
        except OSError as error:
            _log.warning("can't keep compiled code: %s", error)
            os.environ[_VARIABLE] = str(self._passing())

    def seal(self) -> None:
        """Record the folder's contents, which are all that a later process accepts."""
        if not self._is_ours:
            return
        try:
            _close_to_others(self._folder)
            manifest.write(self._folder)
        except OSError as error:
            _log.warning("can't keep compiled code: %s", error)

    def _take(self) -> None:
        """Make the folder this process's own, and rid it of all that was not noted.

        Raises:
            OSError: it can't be used, or another process does.
        """
        make_own_folder(self._folder)
        fd = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if removed := manifest.keep_intact(self._folder):
                _log.info("removed %d compiled files that changed since they were written", removed)
        except BaseException:
            os.close(fd)
            raise
        # The lock ends with the process.
        self._held.callback(os.close, fd)

    def _passing(self) -> Path:
        """Return a folder that goes with this process."""
        atexit.register(self._held.close)
        parent = self._folder.parent
        with contextlib.suppress(OSError):
            clear(parent)
            return self._held.enter_context(scratch(parent, self._folder.name))
        return self._held.enter_context(scratch(Path(tempfile.gettempdir()), "chat-tui"))


def _is_guessable(folder: Path) -> bool:
    """Return whether a folder is the one that torch takes by itself; it sets the variable as if somebody had named it."""
    return folder.parent == Path(tempfile.gettempdir()) and folder.name.startswith("torchinductor_")


def _close_to_others(folder: Path) -> None:
    """Take from others the right to write, which torch's files have where the umask gives it."""
    for path in folder.rglob("*"):
        mode = path.lstat().st_mode
        if mode & OTHERS_MODE and not path.is_symlink():
            path.chmod(mode & 0o777 & ~OTHERS_MODE)
