"""A chat's core on a scripted engine and a temporary folder, without a screen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.scripted import ScriptedEngine
from tui.actions import action
from tui.chat.core import Core, make_core
from tui.chat.loader import ModelLoader
from tui.chat.settings import ChatSettings
from tui.engine.base import LoadRequest
from tui.engine.client import EngineClient
from tui.engine.worker import EngineWorker
from tui.scopes import Scope
from tui.sessions import Loaded
from tui.sessions.store import SessionStore
from tui.sessions.writer import SessionWriter
from tui.settings.measurements import Measurements
from tui.settings.preferences import Preferences
from tui.settings.state import AppState

WAIT_S = 20.0


@dataclass
class Person:
    """Is told, and answers questions as a test says."""

    told: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    offered: list[list[str]] = field(default_factory=list)
    """The ids of the answers to each question."""
    answers: list[str | None] = field(default_factory=list)
    """What is answered to the next questions."""
    tasks: list[asyncio.Task[object]] = field(default_factory=list)

    def tell(self, text: str, **_how: Any) -> None:
        self.told.append(text)

    async def ask(
        self, title: str, text: str, answers: Any, *, interrupts: bool = False
    ) -> str | None:
        self.asked.append(title)
        self.offered.append([one.id for one in answers])
        given = self.answers.pop(0)
        assert given is None or given in {one.id for one in answers}
        return given

    def way(self, action_id: str) -> str:
        known = action(action_id)
        is_keyed = known.keys and known.scope is not Scope.TURN
        return f"Press {known.keys[0]}" if is_keyed else f"Type /{known.commands[0]}"

    def start(self, work: Coroutine[Any, Any, object]) -> object:
        self.tasks.append(asyncio.get_running_loop().create_task(work))
        return self.tasks[-1]

    async def offer_ways_out(self, request: LoadRequest, failed: Any, *, in_reply: bool) -> bool:
        return await self.ask("There is not enough memory", "", _ANSWERS) == "shorter"


@dataclass(frozen=True)
class _Answer:
    id: str


_ANSWERS = (_Answer("shorter"), _Answer("no"))


@dataclass
class Desk:
    """What a test works with."""

    core: Core
    engine: ScriptedEngine
    person: Person
    states: list[AppState]
    store: SessionStore
    draft: str = ""

    async def until(self, condition: Callable[[], object]) -> None:
        """Let everything work until a condition holds."""
        async with asyncio.timeout(WAIT_S):
            while not condition():
                self.core.client.pump()
                await asyncio.sleep(0.001)
        self._raise_failures()

    async def load(self, model: str = "scripted") -> None:
        """Load a model."""
        self.core.loader.load(LoadRequest(model))
        await self.until(lambda: self.core.loader.ready)

    async def say(self, text: str) -> None:
        """Send a message, and wait until nothing is under way any more."""
        self.send(text)
        await self.until(lambda: not self.core.replies.is_due)

    def send(self, text: str) -> None:
        """Send a message."""
        self.core.sender.dispatch(self.core.sender.outgoing(text))

    async def still(self) -> None:
        """Wait until nothing is under way and everything is on the disk."""
        await self.until(
            lambda: not self.core.client.busy and all(task.done() for task in self.person.tasks)
        )
        await asyncio.wrap_future(self.core.writer.run(lambda: None))

    def _raise_failures(self) -> None:
        for task in self.person.tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                raise error

    @property
    def texts(self) -> list[str]:
        """What was said on the active path."""
        return [turn.text for turn in self.core.session.conversation.path]


@asynccontextmanager
async def desk(
    folder: Path,
    engine: ScriptedEngine | None = None,
    *,
    opened: Loaded | None = None,
    preferences: Preferences | None = None,
) -> AsyncIterator[Desk]:
    """Put a core together, and take it apart at the end."""
    engine = engine or ScriptedEngine()
    worker = EngineWorker(engine)
    store = SessionStore(folder / "chats", folder / "index.sqlite")
    writer = SessionWriter(store)
    person = Person()
    states: list[AppState] = []
    settings = ChatSettings(
        preferences or Preferences(),
        opened.conversation if opened is not None else None,
        keep=states.append,
    )
    client = EngineClient(worker, lambda: None)
    made: list[Desk] = []
    core = make_core(
        client,
        writer,
        settings,
        person,
        loader=ModelLoader(client, settings),
        rescue=person,
        measurements=Measurements(None),
        draft=lambda: made[0].draft,
        opened=opened,
    )
    made.append(Desk(core, engine, person, states, store))
    try:
        yield made[0]
    finally:
        core.counting.close()
        for task in person.tasks:
            task.cancel()
        worker.close(5)
        writer.close(5)
