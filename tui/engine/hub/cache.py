"""One repository's folder in the Hugging Face cache, laid out as huggingface_hub does it, so that other programs find what is there.

`blobs` holds contents by their hash, `snapshots` a folder a commit with links to them, `refs` which commit a branch is. Names
come in checked (`values`); what lies in the cache is looked at before it is followed, written to or taken for a file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from tui.engine.base import ModelLoadError
from tui.engine.hub.problems import check_library
from tui.engine.hub.scan import repo_at
from tui.engine.hub.values import is_commit, is_revision

_PARTIAL: Final = ".chat-tui.incomplete"
_TAG: Final = "CACHEDIR.TAG"
"""Tells programs that make backups to leave the folder out."""
_LOCK_S: Final = 0.5
_REF_BYTES: Final = 100


def cache_folder() -> Path:
    """Return the folder of the Hugging Face cache, whether it is there or not.

    Raises:
        ModelLoadError: the environment doesn't say where it is.
    """
    check_library()
    from huggingface_hub import constants

    try:
        return Path(constants.HF_HUB_CACHE).expanduser().absolute()
    except (OSError, RuntimeError, ValueError) as error:
        raise ModelLoadError(
            "The home folder isn't set, so the Hugging Face cache can't be found.",
            "Set the environment variable HF_HOME to the full path of its folder.",
        ) from error


class RepoCache:
    """The files of one repository that are on this machine."""

    def __init__(self, repo_id: str) -> None:
        """Make it; nothing is written.

        Args:
            repo_id: the repository, whose name was checked.
        """
        from huggingface_hub.file_download import repo_folder_name

        self._root = cache_folder().resolve()
        name = repo_folder_name(repo_id=repo_id, repo_type="model")
        self.folder = self._root / name
        self.blobs = self.folder / "blobs"
        self._locks = self._root / ".locks" / name

    def prepare(self) -> None:
        """Make the folders that a download needs.

        Raises:
            OSError: they can't be made.
        """
        from huggingface_hub._local_folder import _create_cachedir_tag

        # The user may keep a repository on another disk, behind a link; nothing inside it leads out of it.
        self.folder.mkdir(parents=True, exist_ok=True)
        for place in (self.blobs, self.folder / "snapshots", self.folder / "refs"):
            _real_folder(place)
        _real_folder(self._locks.parent)
        _real_folder(self._locks)
        if not (self._root / _TAG).is_symlink():
            _create_cachedir_tag(self._root)

    def blob(self, digest: str) -> Path:
        """Return where the content of a file is, or will be."""
        return self.blobs / digest

    def partial(self, digest: str) -> Path:
        """Return where the content of a file grows."""
        return self.blobs / (digest + _PARTIAL)

    def has_blob(self, digest: str, size: int) -> bool:
        """Return whether the content of a file is here, and is no link to anywhere else."""
        path = self.blob(digest)
        return self._is_inside(path) and _file_size(path) == size

    def has_file(self, commit: str, name: str, digest: str, size: int) -> bool:
        """Return whether a file of a commit is here. Without links, a snapshot has the file itself."""
        if self.has_blob(digest, size):
            return True
        place = self._snapshot(commit) / name
        return not place.is_symlink() and self._is_inside(place) and _file_size(place) == size

    def partial_size(self, digest: str, size: int) -> int:
        """Return how much of a file is here; what is longer than the file can't be a part of it."""
        held = _file_size(self.partial(digest), follow=False)
        return held if 0 <= held <= size else 0

    def partial_bytes(self) -> int:
        """Return how much is here of files that are not complete."""
        with contextlib.suppress(OSError):
            found = (_file_size(path, follow=False) for path in self.blobs.glob(f"*{_PARTIAL}"))
            return sum(size for size in found if size > 0)
        return 0

    def open_partial(self, digest: str) -> BinaryIO:
        """Open what there is of a file, to read it and to write more at its end.

        Whatever lies there and is no plain file of the user's own is taken away.

        Raises:
            OSError: it can't be opened.
        """
        return _open_own(self.partial(digest))

    def keep(self, digest: str) -> None:
        """Make what has grown the content of a file.

        Raises:
            OSError: the disk is full, or doesn't let itself be written to.
        """
        blob = self.blob(digest)
        if blob.is_dir() and not blob.is_symlink():
            shutil.rmtree(blob)
        self.partial(digest).replace(blob)

    def forget_partial(self, digest: str) -> None:
        """Take away what there is of a file."""
        _clear(self.partial(digest))

    @contextlib.contextmanager
    def locked(self, digest: str, is_wanted: Callable[[], None]) -> Iterator[None]:
        """Hold the library's lock of a file; while another process has it, `is_wanted` may raise."""
        from filelock import Timeout
        from huggingface_hub.utils._fixes import WeakFileLock

        path = self._locks / f"{digest}.lock"
        # Taking a lock cuts the file short. It may be another user's, where several share a cache.
        _clear_unless(path, lambda found: stat.S_ISREG(found.st_mode) and found.st_nlink == 1)
        with contextlib.ExitStack() as stack:
            while True:
                try:
                    stack.enter_context(WeakFileLock(path, timeout=_LOCK_S))
                    break
                except Timeout:
                    is_wanted()
            yield

    def make_snapshot(self, commit: str) -> None:
        """Make the folder of a commit, which may stay empty.

        Raises:
            OSError: it can't be made.
        """
        _real_folder(self._snapshot(commit))

    def link(self, commit: str, name: str, digest: str, *, is_last: bool = True) -> None:
        """Put a file into the folder of a commit.

        Args:
            commit, name, digest: which file, and what is in it.
            is_last: no other file of the commit has the same content.

        Raises:
            OSError: it can't be written, or is not inside this folder afterwards.
        """
        from huggingface_hub.file_download import _create_symlink

        place = self._snapshot(commit)
        *folders, last = name.split("/")
        for folder in folders:
            place /= folder
            _real_folder(place)
        place /= last
        blob = self.blob(digest)
        if blob.exists() and not (place.is_symlink() and place.resolve() == blob.resolve()):
            _clear(place)
            # Where there are no links, it moves or copies the file.
            is_moved = is_last and not blob.is_symlink()
            _create_symlink(str(blob), str(place), new_blob=is_moved)
        if not place.is_file() or not self._is_inside(place):
            raise OSError(0, "it points outside the cache", str(place))

    def note(self, revision: str, commit: str) -> None:
        """Remember which commit a branch or tag is.

        Raises:
            OSError: it can't be written.
        """
        if commit in (revision, self._noted(revision)):
            return
        place = self.folder / "refs"
        *folders, last = revision.split("/")
        for folder in folders:
            place /= folder
            _real_folder(place)
        growing = place / f".{uuid.uuid4().hex}.tmp"
        try:
            growing.write_text(commit, "ascii")
            growing.replace(place / last)
        finally:
            growing.unlink(missing_ok=True)

    def snapshot(self, revision: str) -> Path | None:
        """Return the folder of a branch, tag or commit; None when it is not here."""
        commit = revision if is_commit(revision) else self._noted(revision)
        folder = self._snapshot(commit) if is_commit(commit) else None
        is_here = folder is not None and folder.is_dir() and self._is_inside(folder)
        return folder if is_here else None

    def newest(self) -> Path | None:
        """Return the folder of the revision that lists show where nothing is noted of `main`; None elsewhere.

        A note that is wrong is not made good by a guess.
        """
        if os.path.lexists(self.folder / "refs" / "main"):
            return None
        found = repo_at(self.folder)
        is_here = found is not None and is_commit(found.snapshot.name)
        return found.snapshot if found and is_here and self._is_inside(found.snapshot) else None

    def _noted(self, revision: str) -> str:
        if not is_revision(revision):
            return ""
        path = self.folder / "refs" / revision
        try:
            if not stat.S_ISREG(path.lstat().st_mode):
                return ""
            with path.open("rb") as file:
                return file.read(_REF_BYTES).decode("ascii", "replace").strip()
        except OSError:
            return ""

    def _snapshot(self, commit: str) -> Path:
        return self.folder / "snapshots" / commit

    def _is_inside(self, path: Path) -> bool:
        """Return whether a path ends in this repository's folder, or where the cache keeps what several share."""
        try:
            found = path.resolve(strict=True)
        except (OSError, RuntimeError):
            return False
        return found.is_relative_to(self.folder.resolve()) or found.is_relative_to(self._root)


def _real_folder(place: Path) -> None:
    """Make a folder. A link in its place may be the user's own, so that it is neither followed nor taken away.

    Raises:
        OSError: it can't be made, or is a link.
    """
    if place.is_symlink():
        raise OSError(errno.ELOOP, "it is a link, and downloads don't follow links", str(place))
    place.mkdir(exist_ok=True)


def _open_own(path: Path) -> BinaryIO:
    flags = os.O_RDWR | os.O_CREAT | _flag("O_NOFOLLOW") | _flag("O_CLOEXEC") | _flag("O_NONBLOCK")
    _clear_unless(path, _is_own_file)
    fd = os.open(path, flags | _flag("O_BINARY"), 0o666)
    if not _is_own_file(os.fstat(fd)):
        # It was created a moment ago.
        os.close(fd)
        _clear(path)
        fd = os.open(path, flags | _flag("O_BINARY") | os.O_EXCL, 0o666)
    return os.fdopen(fd, "r+b")


def _flag(name: str) -> int:
    """Return a flag for opening files; 0 on a system that doesn't have it."""
    return int(getattr(os, name, 0))


def _clear_unless(path: Path, is_fine: Callable[[os.stat_result], bool]) -> None:
    with contextlib.suppress(FileNotFoundError):
        if not is_fine(path.lstat()):
            _clear(path)


def _is_own_file(found: os.stat_result) -> bool:
    """Return whether this is a plain file of the user's that has no other name."""
    is_mine = not hasattr(os, "geteuid") or found.st_uid == os.geteuid()
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and is_mine


def _clear(path: Path) -> None:
    """Take away whatever lies there; what a link leads to stays."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _file_size(path: Path, *, follow: bool = True) -> int:
    """Return the size of a plain file; -1 where there is none."""
    try:
        found = path.stat(follow_symlinks=follow)
    except (OSError, ValueError):
        return -1
    return found.st_size if stat.S_ISREG(found.st_mode) else -1
