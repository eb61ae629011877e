"""The one thread that owns the model.

Loading, generating and unloading are jobs on it, strictly one after another. What they emit goes to a buffer that the
screen's timer drains; the thread never calls into the screen. Cancelling is a flag that the engine looks at.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from tui.conversation.turn import ReplyStats
from tui.engine.base import (
    Cancelled,
    ContextOverflowError,
    Engine,
    EngineError,
    Event,
    Failed,
    FailureCause,
    Finished,
    GenerateRequest,
    GenerationError,
    LoadCancelled,
    LoadRequest,
    MemoryReading,
    ModelReady,
    Progress,
    ReasoningDelta,
    StopReason,
    TextDelta,
    TextSplit,
    Unloaded,
)

_log = logging.getLogger(__name__)

JobId = int
_UNEXPECTED_HINT: Final = "The log has the details (chat-tui --log-path)."


@dataclass(slots=True)
class _Job:
    id: JobId
    run: Callable[[_Job], Event]
    when_cancelled: Callable[[], Event] | None
    """Its end event when it was cancelled before it started or raised `Cancelled`; None if it can't be cancelled."""
    cancelled: threading.Event = field(default_factory=threading.Event)


class EngineWorker:
    """Runs an engine's jobs on a thread of its own.

    Every job ends with exactly one of the events that the method which asks for it names; only those that
    still wait when the worker is closed end without.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._ids = itertools.count(1)
        self._wake = threading.Condition()
        self._jobs: deque[_Job] = deque()
        self._current: _Job | None = None
        self._closed = self._is_held = False
        self._to_prepare: GenerateRequest | None = None
        """What to compute ahead when there is no job."""
        self._events: deque[tuple[JobId, Event]] = deque()
        self._thread: threading.Thread | None = None

    # -- asking for work; from the UI thread

    def load(self, request: LoadRequest) -> JobId:
        """Queue a load. It ends with `ModelReady`, `LoadCancelled` or `Failed`."""
        return self._submit(
            lambda job: ModelReady(
                self._engine.load(request, self._emitter(job), job.cancelled.is_set)
            ),
            lambda: LoadCancelled(keeps_model=self._engine.loaded is not None),
            ends_preparing=True,
        )

    def generate(self, request: GenerateRequest) -> JobId:
        """Queue a reply. It ends with `Finished` or `Failed`."""
        return self._submit(
            lambda job: self._engine.generate(request, self._emitter(job), job.cancelled.is_set),
            lambda: Finished(ReplyStats(), StopReason.CANCELLED),
            ends_preparing=True,
        )

    def unload(self) -> JobId:
        """Queue an unload. It ends with `Unloaded` or `Failed`."""

        def run(_job: _Job) -> Event:
            self._engine.unload()
            return Unloaded()

        return self._submit(run, None, ends_preparing=True)

    def describe(self, request: GenerateRequest) -> JobId:
        """Queue the making of a prompt. It ends with `PromptDescribed` or `Failed`."""
        return self._submit(lambda _job: self._engine.describe(request), None)

    def split(self, text: str) -> JobId:
        """Queue the cutting of a text into tokens. It ends with `TextSplit` or `Failed`."""
        return self._submit(lambda _job: TextSplit(self._engine.split(text)), None)

    def prepare(self, request: GenerateRequest) -> None:
        """Have what is certain of the next prompt computed ahead, while there is no job; takes the place of what was asked before.

        This is no job: it emits nothing, makes nobody wait, and is given up when a reply, a load or an unload is asked for.
        """
        with self._wake:
            if self._thread is not None and not self._closed:
                self._to_prepare = request
                self._wake.notify()

    def hold(self) -> None:
        """Begin no job until `release`."""
        with self._wake:
            self._is_held = True

    def release(self) -> None:
        """Begin with the jobs that wait."""
        with self._wake:
            self._is_held = False
            self._wake.notify()

    def cancel(self, job_id: JobId) -> None:
        """Ask a job to end soon, whether it runs or waits; does nothing for one that has ended."""
        with self._wake:
            for job in (self._current, *self._jobs):
                if job is not None and job.id == job_id:
                    job.cancelled.set()

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits."""
        with self._wake:
            return self._current is not None or bool(self._jobs)

    def memory(self) -> MemoryReading:
        """Return the memory of the device in use; cheap, from any thread."""
        return self._engine.memory()

    def target_memory(self) -> tuple[str, MemoryReading]:
        """Return the device that a model would go to, and its memory; from a thread that may wait, see `Engine`."""
        return self._engine.target_memory()

    def close(self, timeout_s: float) -> bool:
        """Cancel everything, end the thread and wait for it; return whether it ended in time."""
        with self._wake:
            self._closed = True
            for job in (self._current, *self._jobs):
                if job is not None:
                    job.cancelled.set()
            self._jobs.clear()
            self._wake.notify_all()
        if self._thread is None:
            return True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # -- what came of it; from the UI thread's timer

    def drain(self) -> list[tuple[JobId, Event]]:
        """Return what was emitted since the last call: neighbouring deltas joined, outdated progress left out."""
        drained: list[tuple[JobId, Event]] = []
        pieces: list[str] = []
        tokens = 0
        while True:
            try:
                job_id, event = self._events.popleft()
            except IndexError:
                return drained
            last = drained[-1] if drained else None
            same = last is not None and last[0] == job_id and type(last[1]) is type(event)
            if same and isinstance(event, TextDelta | ReasoningDelta):
                pieces.append(event.text)
                tokens += event.tokens
                # Join once per run of deltas: the last one in the run is what stays.
                following = self._events[0] if self._events else None
                if (
                    following is None
                    or following[0] != job_id
                    or type(following[1]) is not type(event)
                ):
                    drained[-1] = (job_id, type(event)("".join(pieces), tokens))
            elif same and isinstance(event, Progress):
                drained[-1] = (job_id, event)
            else:
                if isinstance(event, TextDelta | ReasoningDelta):
                    pieces, tokens = [event.text], event.tokens
                drained.append((job_id, event))

    # -- the thread

    def _emitter(self, job: _Job) -> Callable[[Event], None]:
        job_id, append = job.id, self._events.append
        return lambda event: append((job_id, event))

    def _submit(
        self,
        run: Callable[[_Job], Event],
        when_cancelled: Callable[[], Event] | None,
        *,
        ends_preparing: bool = False,
    ) -> JobId:
        with self._wake:
            if self._closed:
                raise RuntimeError("the worker is closed")
            if ends_preparing:
                self._to_prepare = None
            job = _Job(next(self._ids), run, when_cancelled)
            self._jobs.append(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
                self._thread.start()
            self._wake.notify()
            return job.id

    def _work(self) -> None:
        while True:
            with self._wake:
                while not self._closed and (
                    self._is_held or (not self._jobs and self._to_prepare is None)
                ):
                    self._wake.wait()
                if self._closed:
                    return
                request = self._to_prepare
                job = self._current = self._jobs.popleft() if self._jobs else None
            if job is None:
                if request is not None:
                    self._prepare(request)
                continue
            event = self._outcome(job)
            with self._wake:
                # Under the lock, so that whoever finds the worker idle also finds the end event.
                self._events.append((job.id, event))
                self._current = None
            del job, event

    def _prepare(self, request: GenerateRequest) -> None:
        """Compute ahead until that is done, a job comes, or something else is to be computed; goes on after a short job."""

        def is_interrupted() -> bool:
            return bool(self._jobs) or self._closed or self._to_prepare is not request

        try:
            done = self._engine.prepare(request, is_interrupted)
        except BaseException:  # noqa: BLE001 - nobody waits for it, and nothing may end the thread
            _log.warning("the prompt could not be prepared", exc_info=True)
            done = True
        with self._wake:
            if done and self._to_prepare is request:
                self._to_prepare = None

    def _outcome(self, job: _Job) -> Event:
        try:
            if job.when_cancelled is not None and job.cancelled.is_set():
                return job.when_cancelled()
            return job.run(job)
        except Cancelled as error:
            if job.when_cancelled is None:
                _log.exception("job %d can't be cancelled", job.id)
                return self._failed(str(error) or "The job was cancelled.", "")
            return job.when_cancelled()
        except EngineError as error:
            _log.warning("job %d failed: %s", job.id, error.message, exc_info=error)
            failed = replace(
                self._failed(error.message, error.hint), cause=error.cause, subject=error.subject
            )
            if isinstance(error, GenerationError):
                failed = replace(failed, stats=error.stats)
            if isinstance(error, ContextOverflowError):
                failed = replace(failed, overflow=error.overflow)
            return failed
        except MemoryError as error:
            _log.exception("job %d ran out of memory", job.id)
            failed = self._failed(
                f"There is not enough memory ({error or 'the system refused more'}).",
                "Try a smaller model or a quantization.",
            )
            return replace(failed, cause=FailureCause.MEMORY)
        except BaseException as error:  # noqa: BLE001 - nothing an engine raises, SystemExit included, may end the thread
            _log.exception("job %d failed unexpectedly", job.id)
            return self._failed(f"{type(error).__name__}: {error}".strip(), _UNEXPECTED_HINT)

    def _failed(self, message: str, hint: str) -> Failed:
        return Failed(message, hint, self._engine.loaded is not None)
