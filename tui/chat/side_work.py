"""What the engine does beside the replies of a chat: titles, summaries, counts. It ends with the chat that it was begun for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from tui.chat.signal import Signal
from tui.dataclass import dataclass
from tui.engine.base import (
    Event,
    Failed,
    Finished,
    GenerateRequest,
    PromptDescribed,
    ReasoningFound,
    StopReason,
    TextDelta,
    TextSplit,
)
from tui.engine.client import EngineClient, EngineJob

STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class Written:
    """What the model wrote.

    Attributes:
        text: the answer, without reasoning.
        end: how the job ended.
    """

    text: str
    end: Event

    @property
    def failure(self) -> str:
        """What happened, as a sentence, if it failed; empty otherwise."""
        return self.end.message if isinstance(self.end, Failed) else ""

    @property
    def is_whole(self) -> bool:
        """Whether the model ended it, and nobody else."""
        return isinstance(self.end, Finished) and self.end.reason is not StopReason.CANCELLED


@dataclass(eq=False, slots=True)
class _Writing:
    """A text that is being written."""

    job: EngineJob
    label: str
    blocks: bool


class SideWork:
    """Does such work, each as a coroutine; one that is waited for when the chat is left is cancelled."""

    def __init__(self, client: EngineClient) -> None:
        self._client = client
        self.changed: Signal[None] = Signal()
        """Something begins, ends or is being stopped."""
        self._writing: list[_Writing] = []
        self._waiting: set[asyncio.Task[object]] = set()

    @property
    def label(self) -> str:
        """What is being written, in a few words; empty for nothing."""
        return self._writing[0].label if self._writing else ""

    @property
    def is_writing(self) -> bool:
        """Whether the model writes something that can be stopped."""
        return bool(self._writing)

    @property
    def blocks(self) -> bool:
        """Whether a message has to wait for something that is being written."""
        return any(one.blocks for one in self._writing)

    async def write(
        self,
        request: GenerateRequest,
        *,
        label: str = "writing",
        blocks: bool = False,
        one_line: bool = False,
    ) -> Written:
        """Have the model write something that is no turn of the chat.

        Args:
            request: what it is asked.
            label: what it is, in a few words for the status bar.
            blocks: whether a message has to wait until it has ended.
            one_line: whether it can stop after the first line.
        """
        writing = _Writing(self._client.generate(request), label, blocks)
        self._writing.append(writing)
        self.changed.emit(None)
        try:
            with self._waited_for():
                return await _gathered(writing.job, one_line=one_line)
        finally:
            writing.job.cancel()
            self._writing.remove(writing)
            self.changed.emit(None)

    async def describe(self, request: GenerateRequest) -> PromptDescribed | Failed:
        """Have the exact prompt of a request made."""
        with self._waited_for():
            event = await self._client.describe(request).end()
        assert isinstance(event, PromptDescribed | Failed)
        return event

    async def split(self, text: str) -> tuple[str, ...]:
        """Have a text cut into the model's tokens; empty where that can't be done."""
        with self._waited_for():
            event = await self._client.split(text).end()
        return event.pieces if isinstance(event, TextSplit) else ()

    def stop(self) -> bool:
        """Stop what the model writes; return whether there was anything."""
        for writing in self._writing:
            writing.label = STOPPING
            writing.job.cancel()
        if self._writing:
            self.changed.emit(None)
        return bool(self._writing)

    def end(self) -> None:
        """Stop everything, and let nothing come of it: whoever waits is cancelled."""
        for task in tuple(self._waiting):
            task.cancel()

    @contextmanager
    def _waited_for(self) -> Iterator[None]:
        task = asyncio.current_task()
        if task is None:
            yield
            return
        self._waiting.add(task)
        try:
            yield
        finally:
            self._waiting.discard(task)


async def _gathered(job: EngineJob, *, one_line: bool) -> Written:
    text = ""
    last: list[Event] = []
    async for event in job:
        match event:
            case TextDelta(more):
                text += more
            case ReasoningFound():
                text = ""
        last[:] = [event]
        if one_line and "\n" in text.strip():
            job.cancel()
    return Written(text, last[-1])
