"""Fetching files of the Hub into the Hugging Face cache so that what was cut off goes on where it was.

huggingface_hub throws away what came of a file when its download stops, and makes paths of what a server says. Here a file
grows under a name of its own beside the cache's blobs, and becomes a blob, under the library's lock, only when its size and
its hash are those that the Hub's list has. Which files a model consists of is said by `listing`.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, Final

from tui.engine.at_once import each
from tui.engine.base import Cancelled, ModelLoadError
from tui.engine.hub import xet
from tui.engine.hub.cache import RepoCache
from tui.engine.hub.client import PARTIAL_CONTENT, HubClient, Patience, range_start, range_total
from tui.engine.hub.listing import Listing, RemoteFile
from tui.engine.hub.problems import status_of
from tui.engine.hub.values import bad_answer, etag_of

SPARE_BYTES: Final = 64 * 2**20
"""What a download leaves free on the disk: the user's chats go there too."""
TRIES: Final = 5
"""How often in a row nothing may come of a connection."""
WAIT_S: Final = 300.0
"""How long the Hub may ask to wait."""
_AT_ONCE: Final = 4
_READ_BYTES: Final = 2**20
_PROGRESS_BYTES: Final = 4096
"""What has to come of a connection for it to count as one."""
_WHOLE: Final = 200
_NO_SUCH_RANGE: Final = 416


class Fetch:
    """Fetches the missing files of one repository."""

    def __init__(
        self,
        client: HubClient,
        listing: Listing,
        cache: RepoCache,
        *,
        bar_class: type[Any] | None,
        patience: Patience,
    ) -> None:
        """Make it.

        Args:
            client: asks the Hub.
            listing: the files that belong to the model.
            cache: where they go.
            bar_class: counts the bytes and stops the download by raising.
            patience: reports what the download waits for, and stops it by raising.
        """
        self._client = client
        self._listing = listing
        self._cache = cache
        self._bar_class = bar_class
        self._bar: Any = None
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._asked = patience
        self._patience = Patience(TRIES, WAIT_S, lambda: self._count(0), patience.tell)

    def run(self) -> None:
        """Fetch what is missing.

        Raises:
            ModelLoadError: what came is not what the Hub says it is.
            OSError: the disk has no room, or the cache can't be written to.
            Exception: whatever huggingface_hub, the network or `bar_class` raised.
        """
        wanted = missing_files(self._cache, self._listing)
        if self._bar_class is not None:
            total = self._listing.total_bytes
            rest = sum(self._rest_of(file) for file in wanted)
            self._bar = self._bar_class(
                total=total, initial=total - rest, unit="B", unit_scale=True
            )
        self._count(0)
        if not wanted:
            return
        self._cache.prepare()
        self._check_room(wanted)
        each(self._fetch, wanted, _AT_ONCE, self._stopped.set)

    def _rest_of(self, file: RemoteFile) -> int:
        return file.size - self._cache.partial_size(file.digest, file.size)

    def _check_room(self, wanted: list[RemoteFile]) -> None:
        """Raise before the disk is filled, rather than when it is full."""
        rest = sum(self._rest_of(file) for file in wanted)
        if rest and shutil.disk_usage(self._cache.blobs).free < rest + SPARE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._cache.blobs))

    def _fetch(self, file: RemoteFile) -> None:
        with self._cache.locked(file.digest, lambda: self._count(0)):
            if self._cache.has_blob(file.digest, file.size):
                self._count(self._rest_of(file))
                self._cache.forget_partial(file.digest)
                return
            # What lay here may be of something else, and a connection may do damage: a second time, it is the server's.
            if not (self._grow(file) or self._grow(file)):
                raise ModelLoadError(
                    f"{file.name} of {self._listing.repo_id} was damaged during the download.",
                    "A second attempt failed in the same way. Restart the download, or choose another model.",
                )
            self._cache.keep(file.digest)

    def _grow(self, file: RemoteFile) -> bool:
        """Complete what there is of a file; return whether that is right, else it is thrown away."""
        if not self._cache.partial_size(file.digest, file.size):
            self._cache.forget_partial(file.digest)
        if xet.is_needed(file.size):
            self._fetch_huge(file)
        try:
            with self._cache.open_partial(file.digest) as opened:
                growing = _Growing(opened, file, self._patience.check)
                self._client.again(
                    lambda: self._receive(file, growing),
                    self._patience,
                    lambda: growing.most // _PROGRESS_BYTES,
                )
        except OSError as error:
            if error.errno == errno.ENOSPC:
                # A full disk would prevent saving the user's chats.
                self._cache.forget_partial(file.digest)
            raise
        if growing.is_right:
            return True
        self._cache.forget_partial(file.digest)
        self._count(-growing.done)
        return False

    def _receive(self, file: RemoteFile, growing: _Growing) -> None:
        """Ask for the rest of a file and write it down."""
        if growing.done >= file.size:
            return
        try:
            with self._client.stream(
                self._address(file), growing.headers, self._patience
            ) as answer:
                self._write(answer, file, growing)
        except Exception as error:
            if status_of(error) != _NO_SUCH_RANGE or not growing.done:
                raise
            # The server doesn't support ranges: only the whole file is useful.
            self._restart(growing)
            self._receive(file, growing)
            return
        if growing.done < file.size:
            raise ConnectionError(f"{file.name} ended after {growing.done} bytes")

    def _write(self, answer: Any, file: RemoteFile, growing: _Growing) -> None:
        if answer.status_code not in (_WHOLE, PARTIAL_CONTENT):
            raise bad_answer(f"the request for {file.name} returned status {answer.status_code}")
        if growing.done and not growing.is_continued_by(answer.status_code, answer.headers):
            self._restart(growing)
            if answer.status_code == PARTIAL_CONTENT:
                raise ConnectionError(
                    f"the server sent a different part of {file.name} than was requested"
                )
        growing.etag = etag_of(answer.headers.get("etag", ""))
        pace = _Pace(self._client.limits.pace_bytes, self._client.limits.pace_s)
        # Pieces as they come: a slow connection would keep one waiting for a piece of a fixed size.
        for piece in answer.iter_raw():
            self._count(growing.add(piece))
            pace.check(len(piece))
            if growing.done > file.size:
                return

    def _fetch_huge(self, file: RemoteFile) -> None:
        """Fetch a file of which the Hub sends no bytes itself; whether they are right is looked at as with any other."""
        self._cache.forget_partial(file.digest)
        xet.fetch(
            self._client, self._address(file), self._cache.partial(file.digest), file.size,
            self._patience, self._bar_class,
        )  # fmt: skip

    def _restart(self, growing: _Growing) -> None:
        self._count(-growing.done)
        growing.restart()

    def _address(self, file: RemoteFile) -> str:
        from huggingface_hub import hf_hub_url

        return hf_hub_url(
            self._listing.repo_id,
            file.name,
            revision=self._listing.commit,
            endpoint=self._client.endpoint,
        )

    def _count(self, count: int) -> None:
        """Count bytes; raises when the download is to stop."""
        if self._stopped.is_set():
            raise Cancelled
        self._asked.check()
        if self._bar is not None:
            with self._lock:
                self._bar.update(count)


def missing_files(cache: RepoCache, listing: Listing) -> list[RemoteFile]:
    """Return the files of a model that are not here, each content once."""
    found: dict[str, RemoteFile] = {}
    for file in listing.files:
        if not cache.has_file(listing.commit, file.name, file.digest, file.size):
            found.setdefault(file.digest, file)
    return list(found.values())


class _Growing:
    """A file that is being completed, and the hash of what is in it.

    Attributes:
        done: how many bytes there are.
        most: how many there have been at most.
        etag: what the server called the file's content, so that a part of another is not taken for its rest.
    """

    def __init__(self, opened: BinaryIO, file: RemoteFile, is_wanted: Callable[[], None]) -> None:
        """Read what is there; `is_wanted` may raise meanwhile."""
        self._opened = opened
        self._file = file
        self._hash = _hash_for(file)
        self.done = self.most = 0
        self.etag = ""
        while piece := opened.read(_READ_BYTES):
            self._note(piece)
            is_wanted()
            if self.done > file.size:
                self.restart()
                break

    def add(self, piece: bytes) -> int:
        """Write more of it, but no more than one byte beyond its end; return how much that is."""
        piece = piece[: self._file.size - self.done + 1]
        self._opened.write(piece)
        self._note(piece)
        return len(piece)

    def restart(self) -> None:
        """Throw away what is there."""
        self._opened.seek(0)
        self._opened.truncate(0)
        self._hash = _hash_for(self._file)
        self.done = 0
        self.etag = ""

    @property
    def headers(self) -> Mapping[str, str]:
        """What to send to get the rest."""
        if not self.done:
            return {}
        same = {"If-Range": f'"{self.etag}"'} if self.etag else {}
        return {"Range": f"bytes={self.done}-", **same}

    def is_continued_by(self, status: int, headers: Mapping[str, str]) -> bool:
        """Return whether an answer goes on where this ends."""
        came = etag_of(headers.get("etag", ""))
        return (
            status == PARTIAL_CONTENT
            and range_start(headers) in (self.done, None)
            and range_total(headers) in (self._file.size, None)
            and not (came and self.etag and came != self.etag)
        )

    @property
    def is_right(self) -> bool:
        """Whether it is the file that the Hub named."""
        return self.done == self._file.size and self._hash.hexdigest() == self._file.digest

    def _note(self, piece: bytes) -> None:
        self.done += len(piece)
        self.most = max(self.most, self.done)
        self._hash.update(piece)


class _Pace:
    """Finds out that a connection gives so little that it is none."""

    def __init__(self, least_bytes: int, span_s: float) -> None:
        self._least_bytes = least_bytes
        self._span_s = span_s
        self._since_s = time.monotonic()
        self._count = 0

    def check(self, count: int) -> None:
        """Note what has come.

        Raises:
            TimeoutError: it is too little for the time.
        """
        self._count += count
        now_s = time.monotonic()
        if now_s - self._since_s < self._span_s:
            return
        if self._count < self._least_bytes:
            raise TimeoutError(f"only {self._count} bytes arrived in {self._span_s:.0f} s")
        self._since_s, self._count = now_s, 0


def _hash_for(file: RemoteFile) -> hashlib._Hash:
    """Return the hash that a file's digest is made of: of a large file its SHA-256, of a small one git's."""
    if len(file.digest) == 64:
        return hashlib.sha256()
    return hashlib.sha1(b"blob %d\0" % file.size, usedforsecurity=False)
