"""The asyncio face of the worker: each job is something to iterate over, which ends with the job.

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
    ModelReady,
    PromptDescribed,
    TextSplit,
    Unloaded,
)
from tui.engine.worker import EngineWorker, JobId

_ENDS = (Finished, Failed, ModelReady, LoadCancelled, Unloaded, PromptDescribed, TextSplit)


def ends_job(event: Event) -> bool:
    """Return whether an event is the last of its job."""
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

    async def end(self) -> Event:
        """Wait for the job's end and return the event that ended it."""
        return [event async for event in self][-1]


class EngineClient:
    """Asks the worker for jobs and hands out what they say."""

    def __init__(self, worker: EngineWorker, asked: Callable[[], object]) -> None:
        """Make it.

        Args:
            worker: runs the jobs.
            asked: called when there is something to look for, so that `pump` is called from now on.
        """
        self._worker = worker
        self._asked = asked
        self._jobs: dict[JobId, EngineJob] = {}

    def generate(self, request: GenerateRequest) -> EngineJob:
        """Queue a reply. It ends with `Finished` or `Failed`."""
        return self._job(self._worker.generate(request))

    def describe(self, request: GenerateRequest) -> EngineJob:
        """Queue the making of a prompt. It ends with `PromptDescribed` or `Failed`."""
        return self._job(self._worker.describe(request))

    def split(self, text: str) -> EngineJob:
        """Queue the cutting of a text into tokens. It ends with `TextSplit` or `Failed`."""
        return self._job(self._worker.split(text))

    def pump(self) -> list[tuple[JobId, Event]]:
        """Hand out what jobs have said since the last time; return what belongs to none that was asked for here."""
        others: list[tuple[JobId, Event]] = []
        for job_id, event in self._worker.drain():
            job = self._jobs.get(job_id)
            if job is None:
                others.append((job_id, event))
                continue
            job.take(event)
            if ends_job(event):
                del self._jobs[job_id]
        return others

    def _job(self, job_id: JobId) -> EngineJob:
        job = self._jobs[job_id] = EngineJob(job_id, self._worker.cancel)
        self._asked()
        return job
