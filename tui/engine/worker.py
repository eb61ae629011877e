"""The one thread that owns the model.

Loading, generating and unloading are jobs on it, strictly one after another. What they emit goes to a buffer that the
screen's timer drains; the thread never calls into the screen. Cancelling is a flag that the engine looks at. A job that says more than
the buffer holds waits until it is drained.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import field, replace
from typing import Final

from tui.conversation.turn import ReplyStats
from tui.dataclass import dataclass
from tui.engine import failures
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
    StopReason,
    TextSplit,
    Unloaded,
)
from tui.engine.event_buffer import EventBuffer

_log = logging.getLogger(__name__)

JobId = int
_LONGEST: Final = 2_000
"""Characters of a sentence that an engine gives."""
_UNEXPECTED_HINT: Final = "The log has the details (chat-tui --log-path)."


@dataclass(slots=True)
class _Job:
    id: JobId
    run: Callable[[_Job], Event]
    when_cancelled: Callable[[], Event] | None
    """Its end event when it was cancelled before it started or raised `Cancelled`; None if it can't be canceled."""
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
        self._events = EventBuffer()
        self._thread: threading.Thread | None = None

    # -- asking for work; from the UI thread

    def load(self, request: LoadRequest) -> JobId:
        """Queue a load. It ends with `ModelReady`, `LoadCancelled` or `Failed`."""
        return self._submit(
            lambda job: ModelReady(
                self._engine.load(request, self._emitter(job), job.cancelled.is_set)
            ),
            lambda: LoadCancelled(keeps_model=self._keeps_model()),
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

    @property
    def lost(self) -> str:
        """Why the model that was loaded is gone though nobody unloaded it, as a sentence; empty otherwise."""
        return self._engine.lost

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
        """Return what was emitted since the last call: neighboring deltas joined, outdated progress left out."""
        return self._events.drain()

    # -- the thread

    def _emitter(self, job: _Job) -> Callable[[Event], None]:
        """Return what takes a job's events; it waits while nobody looks, but never for a job that was cancelled."""
        job_id, gives_up = job.id, job.cancelled.is_set
        return lambda event: self._events.put(job_id, event, gives_up)

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
                self._events.put_last(job.id, event)
                self._current = None
            del job, event

    def _prepare(self, request: GenerateRequest) -> None:
        """Compute ahead until that is done, a job comes, or something else is to be computed; goes on after a short job."""

        def is_interrupted() -> bool:
            return bool(self._jobs) or self._closed or self._to_prepare is not request

        try:
            done = self._engine.prepare(request, is_interrupted)
        except BaseException as error:  # noqa: BLE001 - nobody waits for it, and nothing may end the thread
            failures.log(_log, logging.WARNING, "the prompt could not be prepared", error)
            done = True
        with self._wake:
            if done and self._to_prepare is request:
                self._to_prepare = None

    def _outcome(self, job: _Job) -> Event:
        """Run a job; return its end event, whatever is raised."""
        try:
            if job.when_cancelled is not None and job.cancelled.is_set():
                return job.when_cancelled()
            return job.run(job)
        except Cancelled as error:
            if job.when_cancelled is not None:
                return job.when_cancelled()
            failures.log(_log, logging.ERROR, f"job {job.id} can't be canceled", error)
            return self._failed("The job was canceled.", "")
        except EngineError as error:
            failures.log(_log, logging.WARNING, f"job {job.id} failed", error)
            return self._explained(error)
        except MemoryError as error:
            failures.log(_log, logging.ERROR, f"job {job.id} ran out of memory", error)
            return self._out_of_memory(error)
        except BaseException as error:  # noqa: BLE001 - nothing an engine raises, SystemExit included, may end the thread
            failures.log(_log, logging.ERROR, f"job {job.id} failed unexpectedly", error)
            name, said = failures.type_name(error), failures.words(error)
            return self._failed(name if said == name else f"{name}: {said}", _UNEXPECTED_HINT)

    def _explained(self, error: EngineError) -> Failed:
        """Return the end of a job whose engine says itself what happened."""
        failed = replace(
            self._failed(error.message[:_LONGEST], error.hint[:_LONGEST]),
            cause=error.cause,
            subject=error.subject,
        )
        if isinstance(error, GenerationError):
            failed = replace(failed, stats=error.stats)
        if isinstance(error, ContextOverflowError):
            failed = replace(failed, overflow=error.overflow)
        return failed

    def _out_of_memory(self, error: MemoryError) -> Failed:
        said = failures.words(error)
        why = said if said != failures.type_name(error) else "the system couldn't allocate more"
        failed = self._failed(
            f"There isn't enough memory ({why}).", "Try a smaller model or a quantization."
        )
        return replace(failed, cause=FailureCause.MEMORY)

    def _failed(self, message: str, hint: str) -> Failed:
        return Failed(message, hint, self._keeps_model())

    def _keeps_model(self) -> bool:
        try:
            return self._engine.loaded is not None
        except BaseException as error:  # noqa: BLE001 - a job ends with its event, also when the engine doesn't know what it has
            failures.log(_log, logging.ERROR, "the engine didn't report what is loaded", error)
            return False
