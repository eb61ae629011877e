"""Fetching files of the Hub into the Hugging Face cache so that what was cut off goes on where it was.

huggingface_hub throws away what came of a file when its download stops. Here a file grows under a name of its own beside the
cache's blobs, and becomes a blob, under the library's lock, only when its size and its hash are right. Which files a model
consists of, and the links to the blobs, are left to the library; so is a file that can't be fetched in this way.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

from tui.engine.base import Cancelled, ModelLoadError

SPARE_BYTES: Final = 64 * 2**20
"""What a download leaves free on the disk: the user's chats go there too."""
_PARTIAL: Final = ".chat-tui.incomplete"
_ETAG: Final = re.compile(r"[0-9A-Za-z-]{8,128}")
_AT_ONCE: Final = 4
_TRIES: Final = 5
"""How often in a row nothing may come of a connection."""
_PASSING: Final = (408, 429, 500, 502, 503, 504)
"""Answers that may be others a moment later."""
_READ_BYTES: Final = 2**20
_LOCK_S: Final = 0.5
_WAIT_S: Final = 1.0
_WAIT_STEPS: Final = 10
_PARTIAL_CONTENT: Final = 206
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A file that is not in the cache: where it comes from, what it becomes, what it has to be like."""

    name: str
    url: str
    blob: Path
    lock: Path
    etag: str
    size: int

    @property
    def partial(self) -> Path:
        return self.blob.with_name(self.blob.name + _PARTIAL)

    @property
    def held_bytes(self) -> int:
        """How much is here of it; what is longer than the file can't be a part of it."""
        held = _size(self.partial)
        return held if held <= self.size else 0


class Fetch:
    """Fetches the missing files of one repository."""

    def __init__(
        self,
        repo_id: str,
        files: Sequence[Any],
        *,
        endpoint: str | None,
        bar_class: type[Any] | None,
    ) -> None:
        """Make it.

        Args:
            repo_id: the repository.
            files: what huggingface_hub's dry run says of the files that belong to the model.
            endpoint: the Hub's address; None for the library's own.
            bar_class: counts the bytes, and stops the download by raising.
        """
        self._repo_id = repo_id
        self._files = files
        self._endpoint = endpoint
        self._bar_class = bar_class
        self._bar: Any = None
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def run(self) -> bool:
        """Fetch what is missing; return whether that was all of it, so that nothing is left to the library.

        Raises:
            ModelLoadError: what came is not what the Hub says it is.
            Exception: whatever huggingface_hub, the network or `bar_class` raised.
        """
        missing = [file for file in self._files if file.will_download]
        looked = self._each(self._look_at, missing)
        wanted = [one for one in looked if one is not None]
        if self._bar_class is not None:
            here = sum(file.file_size or 0 for file in self._files if not file.will_download)
            here += sum(one.held_bytes for one in wanted)
            total = sum(file.file_size or 0 for file in self._files)
            self._bar = self._bar_class(total=total, initial=here, unit="B", unit_scale=True)
            self._count(0)
        self._check_room(wanted)
        self._each(self._fetch, wanted)
        return len(wanted) == len(missing)

    def _look_at(self, file: Any) -> _Wanted | None:
        """Return what the Hub says of a file; None for one that is left to the library."""
        from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url

        url = hf_hub_url(
            self._repo_id, file.filename, revision=file.commit_hash, endpoint=self._endpoint
        )
        found = self._trying(
            lambda: get_hf_file_metadata(url, timeout=constants.HF_HUB_ETAG_TIMEOUT)
        )
        # The server's word becomes the name of a file.
        if found.size is None or not found.etag or not _ETAG.fullmatch(found.etag):
            return None
        # The Hub sends larger ones in another way only.
        if found.size > constants.MAX_HTTP_DOWNLOAD_SIZE:
            return None
        blob = blobs_folder(self._repo_id) / found.etag
        lock = blob.parents[2] / ".locks" / blob.parents[1].name / f"{found.etag}.lock"
        return _Wanted(file.filename, url, blob, lock, found.etag, found.size)

    def _check_room(self, wanted: Sequence[_Wanted]) -> None:
        """Raise before the disk is filled, rather than when it is full."""
        rest = sum(one.size - one.held_bytes for one in wanted)
        if rest and wanted:
            folder = wanted[0].blob.parent
            folder.mkdir(parents=True, exist_ok=True)
            if shutil.disk_usage(folder).free < rest + SPARE_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))

    def _fetch(self, wanted: _Wanted) -> None:
        wanted.blob.parent.mkdir(parents=True, exist_ok=True)
        wanted.lock.parent.mkdir(parents=True, exist_ok=True)
        with _locked(wanted.lock, lambda: self._count(0)):
            if wanted.blob.exists():
                self._count(wanted.size - wanted.held_bytes)
                wanted.partial.unlink(missing_ok=True)
                return
            is_resumed = wanted.held_bytes > 0
            is_right = self._grow(wanted)
            if not is_right and is_resumed:
                # What lay here was of an interrupted write, or of another process: only the whole is of use.
                is_right = self._grow(wanted)
            if not is_right:
                raise ModelLoadError(
                    f"{wanted.name} of {self._repo_id} arrived damaged.", "Start it again."
                )
            wanted.partial.replace(wanted.blob)

    def _grow(self, wanted: _Wanted) -> bool:
        """Complete what there is of a file; return whether that is right, else it is thrown away."""
        if not wanted.held_bytes:
            wanted.partial.unlink(missing_ok=True)
        try:
            with wanted.partial.open("a+b") as file:
                growing = _Growing(file, wanted.etag, wanted.size, lambda: self._count(0))
                self._trying(lambda: self._receive(wanted, growing), lambda: growing.done)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                # A disk that stays full would keep the user's words from being saved.
                wanted.partial.unlink(missing_ok=True)
            raise
        if growing.is_right:
            return True
        wanted.partial.unlink(missing_ok=True)
        self._count(-growing.done)
        return False

    def _receive(self, wanted: _Wanted, growing: _Growing) -> None:
        """Ask for the rest of a file and write it down."""
        from huggingface_hub import constants, get_session
        from huggingface_hub.utils._headers import build_hf_headers
        from huggingface_hub.utils._http import hf_raise_for_status

        if growing.done >= wanted.size:
            return
        headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
        if growing.done:
            headers["Range"] = f"bytes={growing.done}-"
        with get_session().stream(
            "GET",
            wanted.url,
            headers=headers,
            follow_redirects=True,
            timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT,
        ) as answer:
            hf_raise_for_status(answer)
            if growing.done and answer.status_code != _PARTIAL_CONTENT:
                # The server knows no ranges and sends the whole.
                self._count(-growing.done)
                growing.restart()
            # Pieces as they come: a slow connection would keep one waiting for a piece of a fixed size.
            for piece in answer.iter_bytes():
                growing.add(piece)
                self._count(len(piece))
                if growing.done > wanted.size:
                    return
        if growing.done < wanted.size:
            raise ConnectionError(f"{wanted.name} ended after {growing.done} bytes")

    def _count(self, count: int) -> None:
        """Count bytes; raises when the download is to stop."""
        if self._stopped.is_set():
            raise Cancelled
        if self._bar is not None:
            with self._lock:
                self._bar.update(count)

    def _trying(self, work: Callable[[], _Result], done: Callable[[], int] = lambda: 0) -> _Result:
        """Return what `work` returns; when the connection fails, try again as long as something comes of it."""
        tries, before = 0, done()
        while True:
            try:
                return work()
            except Exception as error:
                if not _may_pass(error):
                    raise
                tries, before = (0 if done() > before else tries + 1), done()
                if tries >= _TRIES:
                    raise
            for _ in range(_WAIT_STEPS):
                self._count(0)
                time.sleep(_WAIT_S / _WAIT_STEPS)

    def _each(self, work: Callable[[_Item], _Result], items: Sequence[_Item]) -> list[_Result]:
        """Return what `work` returns for each, a few at once; the first failure stops them all."""
        results: dict[int, _Result] = {}
        failures: list[BaseException] = []
        left = iter(list(enumerate(items)))

        def run() -> None:
            while not failures:
                with self._lock:
                    number, item = next(left, (-1, None))
                if item is None:
                    return
                try:
                    results[number] = work(item)
                except BaseException as error:  # noqa: BLE001 - raised below
                    failures.append(error)
                    self._stopped.set()

        # No pool: its threads would keep the app from ending until the network has answered.
        threads = [
            threading.Thread(target=run, name="fetch", daemon=True)
            for _ in range(min(_AT_ONCE, len(items)))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        return [results[number] for number in range(len(items))]


class _Growing:
    """A file that is being completed, and the hash of what is in it."""

    def __init__(self, file: BinaryIO, etag: str, size: int, is_wanted: Callable[[], None]) -> None:
        """Read what is there; `is_wanted` may raise meanwhile."""
        self._file = file
        self._etag = etag
        self._size = size
        self._hash = _hash_for(etag, size)
        self.done = 0
        file.seek(0)
        while piece := file.read(_READ_BYTES):
            self._note(piece)
            is_wanted()

    def add(self, piece: bytes) -> None:
        """Write more of it."""
        self._file.write(piece)
        self._note(piece)

    def restart(self) -> None:
        """Throw away what is there."""
        self._file.truncate(0)
        self._hash = _hash_for(self._etag, self._size)
        self.done = 0

    @property
    def is_right(self) -> bool:
        """Whether it is the file that the Hub named."""
        return self.done == self._size and (
            self._hash is None or self._hash.hexdigest() == self._etag.lower()
        )

    def _note(self, piece: bytes) -> None:
        self.done += len(piece)
        if self._hash is not None:
            self._hash.update(piece)


def partial_bytes(repo_id: str) -> int:
    """Return how much is here of files of a repository that are not complete."""
    return sum(_size(path) for path in blobs_folder(repo_id).glob(f"*{_PARTIAL}"))


def blobs_folder(repo_id: str) -> Path:
    """Return where the cache keeps a repository's files."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    name = repo_folder_name(repo_id=repo_id, repo_type="model")
    return Path(constants.HF_HUB_CACHE).expanduser().resolve() / name / "blobs"


def is_network_problem(error: BaseException) -> bool:
    """Return whether there was no answer, rather than one that says no."""
    seen: BaseException | None = error
    while seen is not None:
        module = type(seen).__module__.partition(".")[0]
        if isinstance(seen, ConnectionError | TimeoutError) or module in (
            "httpx",
            "httpx2",
            "httpcore",
            "requests",
            "urllib3",
        ):
            return status_of(seen) is None
        seen = seen.__cause__ or seen.__context__
    return False


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status of an answer that became an error."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def _may_pass(error: Exception) -> bool:
    return is_network_problem(error) or status_of(error) in _PASSING


def _hash_for(etag: str, size: int) -> hashlib._Hash | None:
    """Return the hash that an etag is made of: of a large file its SHA-256, of a small one git's."""
    if re.fullmatch(r"[0-9a-fA-F]{64}", etag):
        return hashlib.sha256()
    if re.fullmatch(r"[0-9a-fA-F]{40}", etag):
        return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    return None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


@contextmanager
def _locked(path: Path, is_wanted: Callable[[], None]) -> Iterator[None]:
    """Hold the library's lock of a file; while another process has it, `is_wanted` may raise."""
    from filelock import Timeout
    from huggingface_hub.utils._fixes import WeakFileLock

    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(WeakFileLock(path, timeout=_LOCK_S))
                break
            except Timeout:
                is_wanted()
        yield
