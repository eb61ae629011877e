"""What an empty chat shows: the mark, the model, what to ask, how far a load is."""

from __future__ import annotations

import threading

import pytest

from tests.screens.conftest import ROOMY, Desk, answered, ready, say, shown, until
from tests.scripted import ScriptedEngine
from tui.conversation import Conversation
from tui.engine.base import Progress
from tui.screens.chat.empty_state import MARK
from tui.settings.examples import STARTERS
from tui.settings.history import Draft, write_drafts
from tui.settings.state import AppState

OLD_HAND = AppState(toured=True)


async def test_a_low_screen_has_everything_whatever_is_kept_from_before(desk: Desk):
    state = AppState(parameters={"temperature": 0.5}, system_prompt="You are a pirate.")
    chat = Conversation().add_user("Why?")
    write_drafts(desk.paths.drafts, {chat.id: Draft("half")})
    store = desk.store
    store.save(chat)
    store.close()
    async with desk.app(state=state).run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await until(pilot, lambda: "has a draft" in shown(pilot))
        assert "Remembered from last time" in shown(pilot)
        await until(pilot, lambda: "Suggest five names" in shown(pilot))
        assert "edit or regenerate a turn" in shown(pilot)
        assert "/reset" in shown(pilot)


async def test_it_shows_the_mark_the_model_and_suggestions(desk: Desk):
    async with desk.app(state=OLD_HAND).run_test(size=ROOMY) as pilot:
        await ready(pilot)
        await until(pilot, lambda: "Ready" in shown(pilot))
        assert MARK[0] in shown(pilot)
        assert all(text in shown(pilot) for text in STARTERS)
        assert "Esc stop a reply" not in shown(pilot)


@pytest.mark.parametrize("key", ["alt+2", "a click"])
async def test_a_suggestion_goes_into_the_message_and_is_sent_by_enter(desk: Desk, key):
    engine = ScriptedEngine(["reply"])
    async with desk.app(engine, state=OLD_HAND).run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await until(pilot, lambda: STARTERS[1] in shown(pilot))
        if key == "a click":
            row = next(y for y, line in enumerate(shown(pilot).splitlines()) if STARTERS[1] in line)
            await pilot.click(offset=(shown(pilot).splitlines()[row].index("Write"), row))
        else:
            await pilot.press(key)
        await until(pilot, lambda: screen.composer.text == STARTERS[1])
        assert screen.focused is screen.composer
        assert engine.requests == []
        await pilot.press("enter")
        await answered(pilot, screen, 2)
        await pilot.press("alt+1")
        assert screen.composer.text == ""


async def test_a_suggestion_keeps_what_was_being_written(desk: Desk):
    async with desk.app(state=OLD_HAND).run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        screen.composer.set_text("mine")
        await pilot.press("alt+1", "alt+1")
        assert screen.composer.text == f"{STARTERS[0]}\nmine"


async def test_a_load_says_how_far_it_is_and_how_things_work(desk: Desk):
    gate = threading.Event()

    class Slow(ScriptedEngine):
        def load(self, request, emit, cancelled):
            emit(Progress("Reading weights", 30, 60))
            gate.wait(30)
            return super().load(request, emit, cancelled)

    async with desk.app(Slow(), state=OLD_HAND).run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "50%" in shown(pilot) and "Reading weights" in shown(pilot))
        assert "You can start typing." in shown(pilot)
        mark = next(line for line in shown(pilot).splitlines() if MARK[0] in line)
        assert "Esc stop a reply" in shown(pilot)
        gate.set()
        await ready(pilot)
        await until(pilot, lambda: "Esc stop a reply" not in shown(pilot))
        assert mark in shown(pilot).splitlines()


@pytest.mark.parametrize("setting", ["screen.plain", "screen.ascii"])
async def test_where_lines_draw_nothing_there_is_no_mark(desk: Desk, setting):
    async with desk.app(state=OLD_HAND, command_line={setting: True}).run_test(size=ROOMY) as pilot:
        await ready(pilot)
        await until(pilot, lambda: "Ready" in shown(pilot))
        assert not set("".join(MARK)) & set("┏┓┗┛┣┫┃━") & set(shown(pilot))
        assert "?" not in shown(pilot)


async def test_a_small_screen_has_what_matters(desk: Desk):
    async with desk.app(state=OLD_HAND).run_test(size=(40, 10)) as pilot:
        await ready(pilot)
        await until(pilot, lambda: "Ready" in shown(pilot))
        await say(pilot, "hi")


async def test_what_is_kept_from_before_leaves_out_defaults(desk: Desk):
    state = AppState(toured=True, parameters={"temperature": 0.7, "top_k": 9})
    async with desk.app(state=state).run_test(size=ROOMY) as pilot:
        await ready(pilot)
        await until(pilot, lambda: "Remembered from last time: top-k 9." in shown(pilot))


async def test_the_hint_in_the_message_is_never_cut(desk: Desk):
    async with desk.app(state=OLD_HAND).run_test(size=(98, 20)) as pilot:
        screen = await ready(pilot)
        await until(pilot, lambda: "(Ctrl+J for a new line)" in shown(pilot))
        await pilot.resize_terminal(40, 12)
        await until(pilot, lambda: screen.composer.placeholder == "Write a message…")
