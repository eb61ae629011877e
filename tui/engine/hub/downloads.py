"""Background downloads from the Hub, each on its own thread.

A download that was cancelled or cut off goes on where it was when it is started again; see `fetching`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tui.dataclass import dataclass
from tui.engine import failures
from tui.engine.base import Cancelled, ModelLoadError, Progress

if TYPE_CHECKING:
    from tui.engine.hub.hub import Hub

_log = logging.getLogger(__name__)

_SPEED_OVER_S: Final = 8.0
"""The speed shown is the mean over this long."""
_SPEED_AFTER_S: Final = 1.0
"""What comes in less than this says nothing of the speed: it may have lain in a buffer."""


class DownloadStatus(StrEnum):
    """The state of a download."""

    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def has_ended(self) -> bool:
        """Whether nothing more comes of it."""
        return self is not DownloadStatus.RUNNING


@dataclass(frozen=True, slots=True)
class Download:
    """The current state of one download.

    Attributes:
        repo_id, revision: what is downloaded.
        done_bytes, total_bytes: a total of 0 means that it is not known yet.
        bytes_per_s: over the last seconds.
        problem: why it failed, and what to do.
        waiting: what it waits for, as a sentence; empty when it doesn't.
        load: whether the user wants the model loaded when it is there.
    """

    repo_id: str
    revision: str = ""
    status: DownloadStatus = DownloadStatus.RUNNING
    done_bytes: int = 0
    total_bytes: int = 0
    bytes_per_s: float = 0.0
    problem: str = ""
    waiting: str = ""
    load: bool = False

    @property
    def left_s(self) -> float:
        """Seconds that the rest will take at this speed; 0 when not known."""
        if not self.bytes_per_s or not self.total_bytes:
            return 0.0
        return max(0, self.total_bytes - self.done_bytes) / self.bytes_per_s


class Downloads:
    """Starts, cancels, and lists downloads. All methods are fast and thread-safe."""

    def __init__(self, hub: Callable[[], Hub]) -> None:
        """Make it.

        Args:
            hub: returns what downloads; called when the first download begins.
        """
        self._hub = hub
        self._lock = threading.Lock()
        self._downloads: dict[str, Download] = {}
        self._flags: dict[str, threading.Event] = {}

    def start(self, repo_id: str, revision: str = "", *, load: bool = False) -> None:
        """Begin or resume a download; one that runs already goes on.

        Args:
            load: whether the user wants the model loaded when it is there.
        """
        with self._lock:
            known = self._downloads.get(repo_id)
            if known is not None and not known.status.has_ended:
                self._downloads[repo_id] = replace(known, load=known.load or load)
                return
            flag = self._flags[repo_id] = threading.Event()
            self._downloads[repo_id] = Download(repo_id, revision, load=load)
        threading.Thread(
            target=self._run, args=(repo_id, revision, flag), name="download", daemon=True
        ).start()

    def cancel(self, repo_id: str) -> None:
        """Stop a download; what came of it is kept for the next time."""
        with self._lock:
            known = self._downloads.get(repo_id)
            if known is None or known.status.has_ended:
                return
            # It counts as cancelled at once; a thread that waits for the network may take seconds to notice.
            self._flags[repo_id].set()
            self._downloads[repo_id] = replace(
                known, status=DownloadStatus.CANCELLED, bytes_per_s=0.0, waiting=""
            )

    def forget(self, repo_id: str) -> None:
        """Take a download that has ended off the list."""
        with self._lock:
            known = self._downloads.get(repo_id)
            if known is not None and known.status.has_ended:
                del self._downloads[repo_id]

    @property
    def all(self) -> tuple[Download, ...]:
        """Every download, the oldest first."""
        with self._lock:
            return tuple(self._downloads.values())

    @property
    def running(self) -> tuple[Download, ...]:
        """Those that have not ended."""
        return tuple(one for one in self.all if not one.status.has_ended)

    def _run(self, repo_id: str, revision: str, flag: threading.Event) -> None:
        from tui.engine.local.progress import Reporter

        counter = _Counter(
            lambda done, total, speed: self._count(flag, repo_id, done, total, speed)
        )
        reporter = Reporter(counter.take, flag.is_set)
        try:
            folder = self._hub().snapshot(
                repo_id,
                revision,
                tqdm_class=reporter.download_bar("Downloading"),
                check=reporter.check,
                tell=lambda text: self._change(flag, repo_id, waiting=text),
            )
        except Cancelled:
            self._end(flag, repo_id, DownloadStatus.CANCELLED)
        except Exception as error:  # noqa: BLE001 - becomes a sentence for the user
            if flag.is_set():
                self._end(flag, repo_id, DownloadStatus.CANCELLED)
                return
            failures.log(_log, logging.WARNING, f"the download of {repo_id} failed", error)
            self._end(flag, repo_id, DownloadStatus.FAILED, _sentence(error, repo_id))
        else:
            _log.info("downloaded %s to %s", repo_id, Path(folder))
            self._end(flag, repo_id, DownloadStatus.DONE)

    def _count(
        self, flag: threading.Event, repo_id: str, done: int, total: int, speed: float
    ) -> None:
        self._change(
            flag, repo_id, done_bytes=done, total_bytes=max(done, total), bytes_per_s=speed
        )

    def _end(
        self, flag: threading.Event, repo_id: str, status: DownloadStatus, why: str = ""
    ) -> None:
        self._change(flag, repo_id, status=status, problem=why, bytes_per_s=0.0, waiting="")

    def _change(self, flag: threading.Event, repo_id: str, **changes: Any) -> None:
        """Note what a thread has to say, unless another one has taken its place or the user has cancelled it."""
        with self._lock:
            known = self._downloads.get(repo_id)
            if known is None or self._flags.get(repo_id) is not flag or known.status.has_ended:
                return
            self._downloads[repo_id] = replace(known, **changes)


class _Counter:
    """Adds the speed to what a download's bar counts."""

    def __init__(self, tell: Callable[[int, int, float], None]) -> None:
        self._tell = tell
        self._marks: deque[tuple[float, int]] = deque()

    def take(self, event: object) -> None:
        if not isinstance(event, Progress):
            return
        now_s = time.monotonic()
        if self._marks and event.done < self._marks[-1][1]:
            # Discarded data is downloaded again.
            self._marks.clear()
        self._marks.append((now_s, event.done))
        while len(self._marks) > 1 and now_s - self._marks[0][0] > _SPEED_OVER_S:
            self._marks.popleft()
        (then_s, before) = self._marks[0]
        span_s = now_s - then_s
        speed = (event.done - before) / span_s if span_s >= _SPEED_AFTER_S else 0.0
        self._tell(event.done, event.total, speed)


def _sentence(error: Exception, repo_id: str) -> str:
    from tui.engine.hub.problems import problem

    found = error if isinstance(error, ModelLoadError) else problem(error, repo_id)
    if found is None:
        return f"{repo_id} could not be downloaded ({failures.words(error)}). Restart the download to resume it."
    return f"{found.message} {found.hint}".strip()
