"""The real app on a scripted engine and a temporary folder."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.quick_pilot import make_quick, wait_for_idle
from tests.scripted import ScriptedEngine
from tui.app import ChatApp, Start
from tui.chat.servers import Servers
from tui.engine.base import Engine, LoadRequest
from tui.engine.hub.hub import Hub
from tui.screens.ask import Ask
from tui.screens.chat import ChatScreen
from tui.screens.chat.pane import TurnPane
from tui.screens.reading_dialog import ReadingDialog
from tui.sessions.store import SessionStore
from tui.sessions.writer import SessionWriter
from tui.settings.paths import AppPaths
from tui.settings.preferences import Preferences
from tui.settings.presets import Library
from tui.settings.state import AppState
from tui.settings.themes import shipped_themes

ROOMY = (98, 40)
"""As large as a screen can be on which the settings, half of all widgets, are not made before one wants them."""
WIDE = (120, 40)
"""With the settings beside the chat."""
LOOK_S = 0.02


@dataclass
class Desk:
    """Makes apps that share one folder, as starts of the app one after another do."""

    paths: AppPaths
    apps: list[ChatApp] = field(default_factory=list)
    states: list[AppState] = field(default_factory=list)

    @property
    def store(self) -> SessionStore:
        return SessionStore(self.paths.sessions, self.paths.index)

    def app(
        self,
        engine: Engine | None = None,
        *,
        start: Start | None = None,
        state: AppState | None = None,
        hub: Hub | None = None,
        command_line: dict[str, Any] | None = None,
        keys: dict[str, str] | None = None,
    ) -> ChatApp:
        preferences = Preferences(
            self.paths.config_file,
            command_line=command_line,
            state=state,
            library=Library(self.paths.presets, self.paths.prompts),
        )
        app = ChatApp(
            engine or ScriptedEngine(),
            SessionWriter(self.store),
            state or AppState(),
            start=start or Start(request=LoadRequest("scripted")),
            themes=shipped_themes(),
            save_state=self.states.append,
            # Nobody listens there: what asks the network by mistake fails at once.
            hub=hub or Hub("http://127.0.0.1:9"),
            preferences=preferences,
            servers=Servers(lambda: preferences.values.servers, keys or {}),
            paths=self.paths,
            rescue_folders=[self.paths.data.parent],
        )
        self.apps.append(app)
        return app

    def files(self) -> list[dict[str, Any]]:
        """The chat files, the newest last."""
        found = sorted(self.paths.sessions.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        return [json.loads(path.read_text()) for path in found]

    def close(self) -> None:
        for app in self.apps:
            app.close()


@pytest.fixture(autouse=True)
def _pilots_are_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    make_quick(monkeypatch)


@pytest.fixture(autouse=True)
def _keys_act_at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests press the keys of a turn one right after another and mean each; `typing_pace` is for those that type."""
    if "typing_pace" not in request.fixturenames:
        monkeypatch.setattr(TurnPane, "burst_s", 0.0)
        monkeypatch.setattr(Ask, "burst_s", 0.0)
        monkeypatch.setattr(ReadingDialog, "burst_s", 0.0)


@pytest.fixture
def typing_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Letters that come within a second are prose, however slow the machine is."""
    monkeypatch.setattr(TurnPane, "burst_s", 1.0)
    monkeypatch.setattr(ReadingDialog, "burst_s", 1.0)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    paths = AppPaths.under(tmp_path / "home")
    paths.ensure()
    made = Desk(paths)
    yield made
    made.close()


async def until(
    pilot: Pilot[Any], condition: Callable[[], object], timeout_s: float = 30.0
) -> None:
    """Let the app work until `condition` holds, and paint what came of it."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "the app did not get there"
        # A look at the screen costs more than what a thread that takes its time could have changed on it.
        if not await wait_for_idle(max_sleep=LOOK_S):
            await asyncio.sleep(LOOK_S)
    await wait_for_idle()


async def ready(pilot: Pilot[Any]) -> ChatScreen:
    """Wait for the model and the sidebar where there is room for it, and return the chat screen."""
    screen = pilot.app.screen
    assert isinstance(screen, ChatScreen)

    def is_ready() -> bool:
        return screen.model.ready and (
            screen.view.sidebar.is_filled or not screen.has_class("-sidebar")
        )

    await until(pilot, is_ready)
    return screen


async def say(pilot: Pilot[Any], text: str) -> None:
    """Type a message and send it."""
    screen = pilot.app.screen
    assert isinstance(screen, ChatScreen)
    screen.composer.focus()
    for character in text:
        await pilot.press({" ": "space"}.get(character, character))
    await pilot.press("enter")


def send(screen: ChatScreen, text: str) -> None:
    """Send a message without typing it."""
    sender = screen.core.sender
    sender.send(sender.outgoing(text))


async def answered(pilot: Pilot[Any], screen: ChatScreen, turns: int) -> None:
    """Wait until the chat has that many turns and no reply is under way."""
    await until(pilot, lambda: screen.reply is None and len(screen.conversation.path) == turns)


async def still(pilot: Pilot[Any], screen: ChatScreen) -> None:
    """Wait until nothing is under way any more: whatever was to come of what was done before has come."""
    core = screen.core

    def is_idle() -> bool:
        is_due = core.replies.is_due or core.loader.loading
        return not (core.client.busy or is_due or any(one.is_running for one in screen.workers))

    await until(pilot, is_idle)
    await asyncio.wrap_future(core.writer.run(lambda: None))
    await pilot.pause()
    await until(pilot, is_idle)


def shown(pilot: Pilot[Any]) -> str:
    """The text on the screen, as a user sees it."""
    width, height = pilot.app.size
    lines = pilot.app.screen._compositor.render_strips()
    return "\n".join(line.text[:width] for line in lines[:height])
