"""The asyncio interface of the worker: each job is an async iterator that ends with the job.

Everything here belongs to the event loop's thread. The worker is looked at when `pump` is called, which is the business of whoever has a
timer; what a job has said is then handed to whoever awaits that job.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from tui.engine.base import (
    Event,
    Failed,
    Finished,
    GenerateRequest,
    LoadCancelled,
    LoadRequest,
    MemoryReading,
    ModelReady,
    PromptDescribed,
    TextSplit,
    Unloaded,
)
from tui.engine.worker import EngineWorker, JobId

_ENDS = (Finished, Failed, ModelReady, LoadCancelled, Unloaded, PromptDescribed, TextSplit)


def ends_job(event: Event) -> bool:
    """Return whether an event ends its job."""
    return isinstance(event, _ENDS)


class EngineJob:
    """One job. Iterating yields its events as they come; the one that ends it is the last."""

    def __init__(self, job_id: JobId, cancel: Callable[[JobId], None]) -> None:
        self.id = job_id
        self._cancel = cancel
        self._said: deque[Event] = deque()
        self._has_more = asyncio.Event()

    def cancel(self) -> None:
        """Ask the job to end soon; its last event still comes."""
        self._cancel(self.id)

    def take(self, event: Event) -> None:
        """Add an event to what is iterated over."""
        self._said.append(event)
        self._has_more.set()

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Yield the events; may be gone through once."""
        while True:
            while self._said:
                event = self._said.popleft()
                yield event
                if ends_job(event):
                    return
            self._has_more.clear()
            await self._has_more.wait()

    def said_so_far(self) -> list[Event]:
        """Take what was said and nobody has iterated over yet, without waiting; see `EngineClient.pump`."""
        said = list(self._said)
        self._said.clear()
        return said

    async def end(self) -> Event:
        """Wait for the job's end and return the event that ended it."""
        return [event async for event in self][-1]


class EngineClient:
    """Submits jobs to the worker and dispatches their events."""

    def __init__(self, worker: EngineWorker, asked: Callable[[], object]) -> None:
        """Make it.

        Args:
            worker: runs the jobs.
            asked: called when there is something to look for, so that `pump` is called from now on.
        """
        self._worker = worker
        self._asked = asked
        self._jobs: dict[JobId, EngineJob] = {}

    def load(self, request: LoadRequest) -> EngineJob:
        """Queue a load. It ends with `ModelReady`, `LoadCancelled` or `Failed`."""
        return self._job(self._worker.load(request))

    def unload(self) -> EngineJob:
        """Queue an unload. It ends with `Unloaded` or `Failed`."""
        return self._job(self._worker.unload())

    def generate(self, request: GenerateRequest) -> EngineJob:
        """Queue a reply. It ends with `Finished` or `Failed`."""
        return self._job(self._worker.generate(request))

    def describe(self, request: GenerateRequest) -> EngineJob:
        """Queue the making of a prompt. It ends with `PromptDescribed` or `Failed`."""
        return self._job(self._worker.describe(request))

    def split(self, text: str) -> EngineJob:
        """Queue the cutting of a text into tokens. It ends with `TextSplit` or `Failed`."""
        return self._job(self._worker.split(text))

    def prepare(self, request: GenerateRequest) -> None:
        """Have what is certain of the next prompt computed ahead; this is no job, see `EngineWorker.prepare`."""
        self._worker.prepare(request)

    def memory(self) -> MemoryReading:
        """Return the memory of the device in use; cheap."""
        return self._worker.memory()

    @property
    def lost(self) -> str:
        """Why the model that was loaded is gone though nobody unloaded it, as a sentence; empty otherwise."""
        return self._worker.lost

    @property
    def busy(self) -> bool:
        """Whether a job is running or queued, or has undispatched events."""
        return self._worker.busy or bool(self._jobs)

    def pump(self) -> None:
        """Dispatch the events that arrived since the last call."""
        for job_id, event in self._worker.drain():
            job = self._jobs.get(job_id)
            if job is None:
                continue
            job.take(event)
            if ends_job(event):
                del self._jobs[job_id]

    def _job(self, job_id: JobId) -> EngineJob:
        job = self._jobs[job_id] = EngineJob(job_id, self._worker.cancel)
        self._asked()
        return job
