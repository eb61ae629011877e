"""Has the engine for servers do its jobs on a thread as the worker does, and no longer than a test can wait."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.engine.conftest import Heard, never
from tui.conversation.turn import Message
from tui.engine.base import EngineError, GenerateRequest, LoadRequest, ModelInfo
from tui.engine.remote.address import parse
from tui.engine.remote.engine import RemoteEngine
from tui.engine.remote.servers import Server

PATIENCE_S = 25.0
QUESTION = (Message("user", "What color is it?"),)


@dataclass
class Outcome(Heard):
    """What a job emitted, and how it ended."""

    events: list[Any] = field(default_factory=list)
    finished: Any = None
    error: EngineError | None = None

    @property
    def said(self) -> str:
        return self.reasoning + self.text


class Asker:
    """Drives one engine."""

    def __init__(self, *servers: Server) -> None:
        self.engine = RemoteEngine(lambda: servers)
        self._thread = ThreadPoolExecutor(1)

    def run(self, job: Any, *args: Any) -> Any:
        """Return what a job returns; a job that hangs fails the test."""
        return self._thread.submit(job, *args).result(PATIENCE_S)

    def load(self, model: str, emit: Any = lambda _event: None, cancelled: Any = never) -> ModelInfo:  # fmt: skip
        return self.run(self.engine.load, LoadRequest(model), emit, cancelled)

    def ask(self, messages: Any = QUESTION, *, cancelled: Any = never, **options: Any) -> Outcome:
        """Return a reply, however it ended; an error that is none of the engine's own is raised."""
        heard = Outcome()
        request = GenerateRequest(tuple(messages), **options)
        stop = (lambda: cancelled(heard)) if cancelled is not never else never
        try:
            heard.finished = self.run(self.engine.generate, request, heard.events.append, stop)
        except EngineError as error:
            heard.error = error
        return heard

    def close(self) -> None:
        self.run(self.engine.unload)
        self._thread.shutdown()


@contextmanager
def asking(*servers: Server) -> Iterator[Asker]:
    asker = Asker(*servers)
    try:
        yield asker
    finally:
        asker.close()


def known(server: Any, **options: Any) -> Server:
    """A server of the user's configuration."""
    return Server(parse(server.url), **options)


def words(count: int) -> str:
    return " ".join(itertools.repeat("word", count))


def after_words(count: int) -> Any:
    """Cancels once so many words came."""
    return lambda heard: len(heard.said.split()) >= count


def soon(event: threading.Event) -> bool:
    return event.wait(PATIENCE_S)
