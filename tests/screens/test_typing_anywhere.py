"""Wherever the cursor is, text that is typed stands somewhere, and the chat stays as it is."""

from __future__ import annotations

import random
from functools import partial

import pytest
from textual.widgets import Button, Input, Select, TextArea

from tests.screens.conftest import answered, ready, say, still, until
from tests.screens.test_typing_on_turns import keys_of
from tests.scripted import ScriptedEngine
from tui.widgets.chat_list import ChatList

BROAD = (170, 40)
PLACES = {
    "the message": lambda screen: screen.composer,
    "a turn": lambda screen: screen.view.transcript,
    "the model's button": lambda screen: screen.query_one("#model", Button),
    "a choice": lambda screen: screen.query_one("#quantization", Select),
    "a value": lambda screen: screen.query_one("#parameter-temperature Input", Input),
    "the system prompt": lambda screen: screen.query_one("#system-prompt", TextArea),
    "the title of a group": lambda screen: screen.query("CollapsibleTitle").last(),
    "more values": lambda screen: screen.query(".more").first(),
    "the list of chats": lambda screen: screen.query_one(ChatList),
}
ALPHABET = "eErRcfuUyYvbwqitmjkgG=[] dDxzohln1290.,?"
MOVES = ("tab", "shift+tab", "alt+up", "f2", "escape", "down", "up", "left", "right", "home", "end")


def chat_of(screen):
    """All that the chat holds."""
    return {turn.id: (turn.text, turn.role) for turn in screen.conversation.turns.values()}


def written(screen):
    """Every text that stands in a field."""
    return [
        *(one.value for one in screen.query(Input)),
        *(one.text for one in screen.query(TextArea)),
    ]


def stands(screen, prose):
    """Whether a field has the text, as a whole."""
    return any(prose in text for text in written(screen))


@pytest.mark.parametrize("place", PLACES)
async def test_a_burst_stands_where_it_was_typed_or_in_the_message(desk, typing_pace, place):
    letters = random.Random(place)
    engine = ScriptedEngine(["first"])
    async with desk.app(engine).run_test(size=BROAD) as pilot:
        screen = await ready(pilot)
        await say(pilot, "question")
        await answered(pilot, screen, 2)
        before = chat_of(screen)
        for _ in range(3):
            prose = "h" + "".join(letters.choices(ALPHABET, k=letters.randint(3, 9))).strip()
            screen.set_focus(PLACES[place](screen))
            if place == "a turn":
                screen.view.transcript.cursor = screen.conversation.path[-1].id
            await pilot.press(*keys_of(prose))
            await until(pilot, partial(stands, screen, prose))
            assert chat_of(screen) == before
            assert len(pilot.app.screen_stack) == 1
            screen.composer.set_text("")
        await still(pilot, screen)
    assert len(engine.requests) == 1


@pytest.mark.parametrize("seed", range(3))
async def test_moving_about_and_typing_never_changes_a_chat(desk, typing_pace, seed):
    chance = random.Random(seed)
    engine = ScriptedEngine(["first"])
    async with desk.app(engine).run_test(size=BROAD) as pilot:
        screen = await ready(pilot)
        await say(pilot, "question")
        await answered(pilot, screen, 2)
        before = chat_of(screen)
        for _ in range(8):
            prose = "h" + "".join(chance.choices(ALPHABET, k=chance.randint(3, 9))).strip()
            await pilot.press(*chance.choices(MOVES, k=chance.randint(1, 4)))
            await until(pilot, lambda: len(pilot.app.screen_stack) == 1)
            await pilot.press(*keys_of(prose))
            await until(pilot, partial(stands, screen, prose))
            assert chat_of(screen) == before
        await still(pilot, screen)
    assert len(engine.requests) == 1
