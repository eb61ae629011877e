"""Compiles `native.c` and what it includes, tries what came out in a process of its own, and keeps it for the next start.

A file that is kept holds a digest, the verdict of the trial, and the library; anything wrong with it, and it is rebuilt. The digest
tells damage from what was written. It does not protect from somebody who can write as this user: nothing in the user's own folder
could. Others are kept out by who owns the folder and the file.

What is loaded are the bytes that were checked, from memory, so that nothing done to the file afterwards matters.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import platform
import shutil
import signal
import sys
import tempfile
from importlib import resources
from pathlib import Path
from typing import Final

from tui.dataclass import dataclass
from tui.engine.local import child
from tui.engine.local.cpu import native_trial
from tui.engine.local.scratch import clear, scratch
from tui.files import fsync_folder, make_own_folder, read_own, read_regular, write_all

_log = logging.getLogger(__name__)

_COMPILERS: Final = ("cc", "gcc", "clang")
_SOURCES: Final = ("native.c", "native_attention.h", "native_threads.h", "native_vectors.h")
"""The first one includes the others."""
_FLAGS: Final = ("-O3", "-march=native", "-ffp-contract=fast", "-fPIC", "-std=gnu11")
_COMPILE_S: Final = 60
_TRIAL_S: Final = 60
"""It takes half a second; as long as that it takes only when it never ends."""
_MOST_BYTES: Final = 1 << 26
_KEPT_FILES: Final = 8
"""A home folder may be shared by several kinds of machines."""
_FROM_OUTSIDE: Final = frozenset(
    {signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGKILL, signal.SIGTERM}
)
"""Signals that say nothing of the library: somebody ended the trial, or the system had no memory."""


class LibraryError(Exception):
    """No usable library is available; the message gives the reason."""


class _NeverEndsError(LibraryError):
    """The compiler had to be stopped; the next one would be, too."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a file holds.

    Attributes:
        problem: why the library must not be used here; empty when it passed its trial.
        code: the library; empty when it must not be used.
    """

    problem: str
    code: bytes


def search_path() -> str:
    """Return the program search path without the current folder, whose contents aren't trusted."""
    entries = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(entry for entry in entries if Path(entry).is_absolute())


def find_compiler() -> str | None:
    """Return the path of a C compiler; None where there is none."""
    path = search_path()
    return next((found for name in _COMPILERS if (found := shutil.which(name, path=path))), None)


class LibraryStore:
    """The library for this CPU, in a folder."""

    def __init__(self, folder: Path, compiler: str) -> None:
        """Name the library; the folder is made when it is needed.

        Raises:
            OSError: the compiler or this CPU's features can't be looked at.
        """
        code = resources.files(__package__)
        self._sources = {name: code.joinpath(name).read_text("utf-8") for name in _SOURCES}
        self._trial = code.joinpath("native_trial.py").read_text("utf-8")
        self._folder = folder
        self._compiler = compiler
        self.key = _fingerprint("".join(self._sources.values()), self._trial, compiler)
        """What tells this library from others."""
        self._path = folder / f"native-{self.key}"

    def take(self) -> int:
        """Return a descriptor of a library that passed its trial; it is compiled if it is not there, or not as it was left.

        Raises:
            LibraryError: it must not be used here, or can't be made.
            OSError: the folder or a file can't be used.
        """
        make_own_folder(self._folder)
        clear(self._folder)
        kept = self._read()
        if kept is None:
            return self._make()
        if kept.problem:
            raise LibraryError(f"{kept.problem}; delete {self._path} to try again")
        return _in_memory(kept.code, self._folder)

    def make_anew(self) -> int:
        """Return a descriptor like `take`, of a library that is compiled now.

        Raises:
            LibraryError: it must not be used here, or can't be made.
            OSError: the folder or a file can't be used.
        """
        self._remove()
        return self._make()

    def _read(self) -> Kept | None:
        """Return what is kept; None when it has to be made."""
        try:
            data = read_own(self._path, _MOST_BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            _log.warning("rebuilding the saved kernels: %s", error)
            self._remove()
            return None
        digest, _, rest = data.partition(b"\n")
        if digest != _digest(self.key, rest):
            _log.warning("rebuilding the saved kernels: they changed since they were written")
            self._remove()
            return None
        problem, _, code = rest.partition(b"\n")
        return Kept(problem.decode("utf-8", "replace"), code)

    def _make(self) -> int:
        with scratch(self._folder, "native") as work:
            problem, fd = "", -1
            code = b""
            try:
                code = self._compiled(work)
                fd = _in_memory(code, self._folder)
                problem = self._tried(fd)
            except _NeverEndsError as error:
                problem = str(error)
            except BaseException:
                _close(fd)
                raise
            self._keep(Kept(problem, b"" if problem else code), work)
        if problem:
            _close(fd)
            raise LibraryError(problem)
        return fd

    def _compiled(self, work: Path) -> bytes:
        """Return a new library.

        Raises:
            _NeverEndsError: the compiler doesn't end.
            LibraryError: it ended without a library.
        """
        for name, text in self._sources.items():
            (work / name).write_text(text, "utf-8")
        source, library = work / _SOURCES[0], work / "native.so"
        step = [self._compiler, *_FLAGS, "-shared", str(source), "-o", str(library)]
        # Variables of the environment could have it read headers and load plug-ins from anywhere.
        env = {"PATH": search_path(), "TMPDIR": str(work), "LC_ALL": "C"}
        ended = child.run([*step, "-lpthread", "-lm"], _COMPILE_S, cwd=work, env=env)
        if ended.code is None:
            raise _NeverEndsError(f"{self._compiler} did not finish within {_COMPILE_S} s")
        if ended.code:
            raise LibraryError(f"{self._compiler} failed ({ended.code}): {ended.said.strip()}")
        return read_regular(library, follow_links=False)

    def _tried(self, fd: int) -> str:
        """Return why a library must not be used; empty when it passed its trial.

        Raises:
            LibraryError: the trial did not take place.
        """
        if not sys.executable:
            raise LibraryError("no Python was found to test them")
        command = [sys.executable, "-I", "-S", "-B", "-c", self._trial, str(fd)]
        code = child.run(command, _TRIAL_S, cwd=self._folder, pass_fds=(fd,)).code
        if code == native_trial.RIGHT:
            return ""
        if code is None:
            return "they did not finish when tested"
        if code == native_trial.WRONG:
            return "they returned wrong numbers when tested"
        if code < 0 and -code not in _FROM_OUTSIDE:
            return f"they crashed when tested (signal {-code})"
        raise LibraryError(f"they can't be tested (status {code})")

    def _keep(self, kept: Kept, work: Path) -> None:
        """Write a file that is whole or not there at all; without room for it there is none, and the next start compiles again."""
        rest = kept.problem.replace("\n", " ").encode() + b"\n" + kept.code
        made = work / "kept"
        try:
            fd = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                write_all(fd, _digest(self.key, rest) + b"\n" + rest)
                os.fsync(fd)
            finally:
                os.close(fd)
            if self._path.is_dir():
                self._remove()
            made.replace(self._path)
            fsync_folder(self._folder)
        except OSError as error:
            _log.warning("can't save the kernels: %s", error)
        with contextlib.suppress(OSError):
            self._remove_old()

    def _remove(self) -> None:
        """Remove what has the file's name; it may be anything."""
        with contextlib.suppress(OSError):
            if self._path.is_dir() and not self._path.is_symlink():
                shutil.rmtree(self._path)
            else:
                self._path.unlink()

    def _remove_old(self) -> None:
        """Remove libraries of other versions and compilers, all but the newest, which may be those of other machines."""
        files = [path for path in self._folder.glob("native-*") if path != self._path]
        files.sort(key=lambda path: path.lstat().st_mtime_ns)
        for path in files[: max(0, len(files) - _KEPT_FILES + 1)]:
            path.unlink()


def _digest(key: str, rest: bytes) -> bytes:
    return hashlib.sha256(key.encode() + b"\n" + rest).hexdigest().encode()


def _in_memory(code: bytes, folder: Path) -> int:
    """Return a descriptor of a nameless file with a library, which nobody changes or cuts short while it is in use."""
    try:
        fd = os.memfd_create("native", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except (AttributeError, OSError):
        # Python builds for old systems don't have it.
        with tempfile.TemporaryFile(dir=folder) as file:
            fd = os.dup(file.fileno())
    try:
        write_all(fd, code)
        with contextlib.suppress(AttributeError, OSError):
            seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _close(fd: int) -> None:
    if fd >= 0:
        os.close(fd)


def _fingerprint(source: str, trial: str, compiler: str) -> str:
    """Return what tells one library from another: the code, its trial, the compiler, and the CPU that it is made for."""
    real = os.path.realpath(compiler)
    status = Path(real).stat()
    version = f"{real} {status.st_size} {status.st_mtime_ns}"
    whole = "\n".join((source, trial, *_FLAGS, version, cpu_description()))
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


def cpu_description() -> str:
    """Return what tells one kind of CPU from another, its instructions included.

    Raises:
        OSError: Linux does not say.
    """
    if sys.platform != "linux":
        return f"{platform.machine()} {platform.processor()}"
    return "".join(
        line
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
        if line.startswith(("flags", "Features", "model name"))
    )
