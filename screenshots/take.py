"""Takes the pictures in this folder: the real app with the demo model, in terminals of three sizes.

    make screenshots

Each picture is written as SVG and PNG. Decoding is greedy, so the text stays the same on one machine.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import picture
from textual.pilot import Pilot

from tui.app import ChatApp, Start
from tui.conversation import ASSISTANT, Conversation
from tui.engine.base import LoadRequest
from tui.engine.local.engine import LocalEngine
from tui.parameters import Value
from tui.screens.chat import ChatScreen
from tui.sessions import Loaded, SessionStore
from tui.sessions.writer import SessionWriter
from tui.settings.paths import AppPaths
from tui.settings.state import AppState
from tui.settings.themes import shipped_themes

FOLDER: Final = Path(__file__).parent
SIZES: Final = ((80, 24), (120, 40), (200, 60))
MIDDLE: Final = SIZES[1]
THEMES: Final = ("ember-dark", "glacier", "beacon")
STREAMED: Final = 60
GREEDY: Final[Mapping[str, Value]] = {"temperature": 0.0, "max_new_tokens": 300}
QUESTIONS: Final = (
    "What is a generator in Python? Answer in two sentences.",
    "Write a short Python function that yields the squares of the numbers up to n, with an example.",
)
OTHERS: Final = (
    "Why does my sourdough not rise?",
    "Regular expressions for log files",
    "A week in Lisbon with children",
    "Explain a hash table to a ten-year-old",
    "Names for a small bakery",
)
"""Titles of other chats, for the lists."""
UNSENT: Final = "And how would I write that as a generator expression?"
LONGEST_S: Final = 300.0


async def main() -> None:
    """Take every picture."""
    with tempfile.TemporaryDirectory() as folder:
        paths = AppPaths.under(Path(folder))
        paths.ensure()
        cache = Path(os.environ.get("CHAT_TUI_TEST_CACHE") or paths.cache)
        await _begin(paths, cache)
        await _talk(paths, cache)
        for size in SIZES:
            await _show(size, paths, cache)
        for theme in THEMES:
            await _show_themed(theme, paths, cache)


async def _talk(paths: AppPaths, cache: Path) -> None:
    """Create the chat in the pictures, and picture it while a reply is streaming."""
    app = new_app(SessionStore(paths.sessions, paths.index), cache)
    async with app.run_test(size=MIDDLE) as pilot:
        await wait(pilot, lambda: chat(app).model.ready)
        for number, question in enumerate(QUESTIONS, 1):
            chat(app).composer.set_text(question)
            await pilot.press("enter")
            if question == QUESTIONS[-1]:
                await wait(pilot, lambda: chat(app).reply)
                # A short reply may end before that.
                await wait(pilot, lambda: not (now := chat(app).reply) or now.new_tokens > STREAMED)
                await _write(pilot, "streaming")
            await wait(pilot, lambda n=number: _answers(app) == n and not chat(app).reply)
    app.close()


def _answers(app: ChatApp) -> int:
    return sum(turn.role == ASSISTANT for turn in chat(app).conversation.path)


async def _begin(paths: AppPaths, cache: Path) -> None:
    """Add other chats to the lists, and picture the initial chat and the palette."""
    store = SessionStore(paths.sessions, paths.index)
    for title in OTHERS:
        store.save(Conversation(title=title).add_user(title))
    app = new_app(store, cache, parameters={})
    async with app.run_test(size=MIDDLE) as pilot:
        await wait(pilot, lambda: chat(app).model.ready)
        await _write(pilot, "empty")
        await pilot.press("ctrl+p")
        await _write(pilot, "palette")
    app.close()


async def _show(size: tuple[int, int], paths: AppPaths, cache: Path) -> None:
    store = SessionStore(paths.sessions, paths.index)
    newest = store.newest()
    assert newest is not None
    app = new_app(store, cache, store.load(newest))
    async with app.run_test(size=size) as pilot:
        await wait(pilot, lambda: chat(app).model.ready)
        chat(app).composer.set_text(UNSENT)
        await _write(pilot, f"chat-{size[0]}x{size[1]}")
        if size == MIDDLE:
            for key, name in (("f3", "chats"), ("f4", "models"), ("f1", "help")):
                await pilot.press(key)
                await pilot.pause(1.0)
                await _write(pilot, name)
                await pilot.press("escape")
    app.close()


async def _show_themed(theme: str, paths: AppPaths, cache: Path) -> None:
    """Picture the chat with a command being typed, the settings screen and the status, in one theme."""
    store = SessionStore(paths.sessions, paths.index)
    newest = store.newest()
    assert newest is not None
    app = new_app(store, cache, store.load(newest), theme)
    async with app.run_test(size=MIDDLE) as pilot:
        await wait(pilot, lambda: chat(app).model.ready)
        chat(app).composer.set_text("/pre")
        await _write(pilot, f"commands-{theme}")
        chat(app).composer.set_text("")
        await pilot.press("f10")
        await _write(pilot, f"settings-{theme}")
        await pilot.press("escape")
        await pilot.pause(0.2)
        chat(app).do("settings.status")
        await _write(pilot, f"status-{theme}")
    app.close()


def new_app(
    store: SessionStore,
    cache: Path,
    opened: Loaded | None = None,
    theme: str = "",
    parameters: Mapping[str, Value] = GREEDY,
) -> ChatApp:
    """Return the app with the demo model.

    Args:
        store: the chats.
        cache: the engine's cache folder.
        opened: the chat to open; None for a new one.
        theme: the color theme; empty for the default.
        parameters: the generation parameters.
    """
    return ChatApp(
        LocalEngine(cache),
        SessionWriter(store),
        AppState(parameters=dict(parameters), theme=theme),
        start=Start(opened, LoadRequest("demo")),
        themes=shipped_themes(),
    )


def chat(app: ChatApp) -> ChatScreen:
    """Return the chat screen."""
    return next(screen for screen in app.screen_stack if isinstance(screen, ChatScreen))


async def wait(pilot: Pilot[None], happened: Callable[[], object]) -> None:
    """Run the app until a condition is true.

    Raises:
        TimeoutError: the condition stays false.
    """
    deadline = time.monotonic() + LONGEST_S
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError("timed out; run chat-tui in a terminal to find out why")
        await pilot.pause(0.1)


async def _write(pilot: Pilot[None], name: str) -> None:
    pilot.app.clear_notifications()
    await pilot.pause(0.5)
    picture.write(pilot.app.export_screenshot(title="chat-tui"), FOLDER / name)
    print(FOLDER.name + f"/{name}.svg, .png")


if __name__ == "__main__":
    asyncio.run(main())
