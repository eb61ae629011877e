"""Every action is reached by its keys, by the palette and by its command, at the sizes that matter; the list is the registry."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from tests.screens.conftest import ROOMY, Desk, answered, ready, say, until
from tests.scripted import ScriptedEngine
from tui.actions import Action, actions
from tui.keymap import MAPS
from tui.scopes import MAIN, Scope, When
from tui.screens.chat import ChatScreen
from tui.screens.chat.commands import Commands
from tui.screens.chat.offered_actions import OfferedActions
from tui.screens.palette import CommandPalette

SIZES = [(60, 20), (80, 24), (120, 40), (200, 60)]
EACH_SIZE = pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
TWO_SIZES = pytest.mark.parametrize("size", SIZES[1::2], ids=lambda size: f"{size[0]}x{size[1]}")
"""Where each action takes longer."""
IDLE = [one for one in actions(*MAIN) if one.when not in (When.BUSY, When.EMPTY)]
BUSY = [one for one in actions(*MAIN) if one.when is When.BUSY]
EMPTY = [one for one in actions(*MAIN) if one.when is When.EMPTY]


class Record:
    """Takes the place of everything that can be done, but for one thing, and notes what was asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, but: str = "") -> None:
        self.done: list[str] = []
        really_run = Commands.run

        def run(commands: Commands, action_id: str, argument: str = "") -> None:
            if action_id == but:
                really_run(commands, action_id, argument)
            else:
                self.done.append(action_id)

        monkeypatch.setattr(Commands, "run", run)


async def look(pilot: Pilot[Any], record: Record, action: Action, how: str) -> None:
    """Wait until an action was asked for, and nothing else."""
    for _ in range(200):
        if record.done:
            break
        await asyncio.sleep(0.005)
        await pilot.pause()
    assert record.done[:1] == [action.id], f"{action.id} by {how}"
    record.done.clear()


async def two_turns(pilot: Pilot[Any]) -> ChatScreen:
    screen = await ready(pilot)
    await say(pilot, "hi")
    await answered(pilot, screen, 2)
    return screen


@EACH_SIZE
async def test_every_action_with_a_key_is_reached_by_each_of_them(desk: Desk, size, monkeypatch):
    async with desk.app(ScriptedEngine(["Hello."])).run_test(size=size) as pilot:
        screen = await two_turns(pilot)
        record = Record(monkeypatch)
        for action in IDLE:
            for key in action.keys:
                screen.set_focus(
                    screen.view.transcript if action.scope is Scope.TURN else screen.composer
                )
                screen.view.transcript.cursor = (
                    screen.conversation.path[-1].id if action.scope is Scope.TURN else None
                )
                await pilot.press(key)
                await look(pilot, record, action, key)


@TWO_SIZES
async def test_every_action_is_reached_by_its_command(desk: Desk, size, monkeypatch):
    async with desk.app(ScriptedEngine(["Hello."])).run_test(size=size) as pilot:
        screen = await two_turns(pilot)
        record = Record(monkeypatch)
        for action in IDLE:
            for name in action.commands:
                screen.set_focus(screen.composer)
                screen.composer.set_text(f"/{name}")
                await pilot.press("enter")
                await look(pilot, record, action, f"/{name}")
                assert screen.composer.text == ""


async def test_every_action_is_reached_by_the_palette(desk: Desk, monkeypatch):
    # The palette lies over everything: what it finds where it has the least room it finds everywhere.
    async with desk.app(ScriptedEngine(["Hello."])).run_test(size=SIZES[0]) as pilot:
        await two_turns(pilot)
        record = Record(monkeypatch, but="app.palette")
        # What it offers when is another test's business.
        monkeypatch.setattr(OfferedActions, "offers", lambda *_: True)
        for action in IDLE:
            if action.listed:
                await by_palette(pilot, action)
                await look(pilot, record, action, "palette")


async def by_palette(pilot: Pilot[Any], action: Action) -> None:
    """Open the palette, type the action's title and take the first that is found."""
    await pilot.press("ctrl+p")
    await until(pilot, lambda: isinstance(pilot.app.screen, CommandPalette))
    palette = pilot.app.screen
    palette.query_one(Input).value = action.title
    await pilot.press("enter")
    await until(pilot, lambda: not isinstance(pilot.app.screen, CommandPalette))


@EACH_SIZE
async def test_what_only_a_busy_app_can_do_is_reached_while_it_is_busy(
    desk: Desk, size, monkeypatch
):
    hold = threading.Event()
    async with desk.app(ScriptedEngine(["one two"], hold=hold)).run_test(size=size) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await until(pilot, lambda: screen.reply is not None)
        record = Record(monkeypatch, but="app.palette")
        for action in BUSY:
            screen.set_focus(screen.composer)
            for key in action.keys:
                await pilot.press(key)
                await look(pilot, record, action, key)
            for name in action.commands:
                screen.composer.set_text(f"!{name}")
                await pilot.press("enter")
                await look(pilot, record, action, f"!{name}")
            if action.listed:
                await by_palette(pilot, action)
                await look(pilot, record, action, "palette")
        hold.set()


async def test_what_only_an_empty_chat_can_do_is_reached_there_alone(desk: Desk, monkeypatch):
    async with desk.app(ScriptedEngine(["Hello."])).run_test(size=SIZES[0]) as pilot:
        screen = await ready(pilot)
        with monkeypatch.context() as context:
            record = Record(context, but="app.palette")
            for action in EMPTY:
                for key in action.keys:
                    await pilot.press(key)
                    await look(pilot, record, action, key)
                if action.listed:
                    await by_palette(pilot, action)
                    await look(pilot, record, action, "palette")
        await two_turns(pilot)
        record = Record(monkeypatch)
        await pilot.press(*(key for action in EMPTY for key in action.keys))
        assert record.done == []
        assert not any(screen.can_do(action.id) for action in EMPTY)


@pytest.mark.parametrize("name", [one for one in MAPS if one != "default"])
async def test_every_action_is_reached_by_the_keys_of_a_ready_made_map(
    desk: Desk, name, monkeypatch
):
    app = desk.app(ScriptedEngine(["Hello."]), command_line={"keys.map": name})
    async with app.run_test(size=ROOMY) as pilot:
        screen = await two_turns(pilot)
        record = Record(monkeypatch)
        for action in IDLE:
            for key in app.keymap_in_force.keys[action.id]:
                screen.set_focus(
                    screen.view.transcript if action.scope is Scope.TURN else screen.composer
                )
                screen.view.transcript.cursor = (
                    screen.conversation.path[-1].id if action.scope is Scope.TURN else None
                )
                if len(key) > 1 or action.scope is Scope.TURN:
                    await pilot.press(key)
                    await look(pilot, record, action, key)
