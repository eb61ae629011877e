"""Prose that is typed while a turn has the cursor goes to the message, and nothing in the chat changes."""

from __future__ import annotations

import asyncio
import random
import time

import pytest
from textual import events

from tests.screens.conftest import answered, shown, still, until
from tests.screens.test_turns import cursor_on, talking, texts
from tui.screens.chat.pane import TurnPane
from tui.widgets.turn_editor import TurnEditor

KEYS = {" ": "space", "?": "question_mark", ".": "full_stop", "/": "slash", "'": "apostrophe"}


def keys_of(text: str) -> list[str]:
    return [KEYS.get(letter, letter) for letter in text]


async def test_after_an_edit_the_cursor_is_in_the_message(desk, typing_pace):
    async with talking(desk, ["first", "second"]) as (pilot, screen, _):
        await pilot.press("alt+up", "alt+up", "e")
        await until(pilot, lambda: bool(screen.query(TurnEditor)))
        await pilot.press("!", "enter")
        await answered(pilot, screen, 2)
        assert screen.focused is screen.composer
        await pilot.press(*keys_of("Does it fly"))
        assert screen.composer.text == "Does it fly"
        assert texts(screen) == ["question!", "second"]


async def test_a_saved_edit_leads_back_to_the_message_too(desk, typing_pace):
    async with talking(desk, ["first"]) as (pilot, screen, _):
        await pilot.press("alt+up", "e")
        await until(pilot, lambda: bool(screen.query(TurnEditor)))
        await pilot.press("!", "ctrl+s")
        await until(pilot, lambda: texts(screen) == ["question", "first!"])
        await pilot.press(*keys_of("Does it"))
        assert screen.composer.text == "Does it"


@pytest.mark.parametrize("key", ["r", "equals_sign", "c"])
async def test_after_another_reply_the_cursor_is_in_the_message(desk, typing_pace, key):
    async with talking(desk, ["first", "second"]) as (pilot, screen, engine):
        await pilot.press("alt+up", key)
        await until(pilot, lambda: len(engine.requests) == 2 and screen.reply is None)
        assert screen.focused is screen.composer
        assert screen.view.transcript.cursor is None


PROSE = (
    "Does it fly",
    "De stuff",
    "explain that again",
    "redo the table",
    "use fewer words",
    "yes, delete it",
    "keep going",
    "continue in French",
    "find a better name",
    "quote it",
    "[link](x)",
    "=1",
    "/stats",
    "good",
)


async def test_a_burst_of_prose_on_a_turn_becomes_the_message(desk, typing_pace):
    async with talking(desk, ["first"]) as (pilot, screen, engine):
        chat = screen.conversation
        for prose in PROSE:
            await cursor_on(pilot, screen, 0)
            await pilot.press(*keys_of(prose))
            await until(pilot, lambda: screen.focused is screen.composer)
            assert screen.composer.text == prose
            assert screen.conversation is chat
            assert len(pilot.app.screen_stack) == 1
            screen.composer.set_text("")
        assert len(engine.requests) == 1


async def test_random_bursts_lose_no_letter_and_change_no_turn(desk, typing_pace):
    letters = random.Random(12)
    alphabet = "eErRcfuUyYvbwqitmjkgG=[] dDxzo"
    async with talking(desk, ["first"]) as (pilot, screen, engine):
        chat = screen.conversation
        for _ in range(12):
            prose = "".join(letters.choices(alphabet, k=letters.randint(3, 9)))
            await cursor_on(pilot, screen, letters.randint(0, 1))
            await pilot.press(*keys_of(prose))
            await until(pilot, lambda: screen.focused is screen.composer)
            assert screen.composer.text == prose
            assert screen.conversation is chat
            assert len(pilot.app.screen_stack) == 1
            screen.composer.set_text("")
        assert len(engine.requests) == 1


async def test_a_letter_alone_is_still_a_command(desk, typing_pace):
    async with talking(desk, ["first"]) as (pilot, screen, _):
        await pilot.press("alt+up", "e")
        await until(pilot, lambda: bool(screen.query(TurnEditor)))


async def test_a_command_comes_before_the_key_after_it(desk, typing_pace):
    async with talking(desk, ["first"]) as (pilot, screen, _):
        await pilot.press("alt+up", "q", "escape")
        await until(pilot, lambda: screen.focused is screen.composer)
        assert screen.composer.text == "> first\n\n"


async def test_a_paste_on_a_turn_goes_to_the_message(desk, typing_pace):
    async with talking(desk, ["first"]) as (pilot, screen, _):
        await pilot.press("alt+up")
        screen.view.transcript.post_message(events.Paste("rm -rf \x1b]52;c;AAAA\x07 d"))
        await until(pilot, lambda: screen.focused is screen.composer)
        await until(pilot, lambda: screen.composer.text.startswith("rm -rf"))
        assert "\x1b" not in screen.composer.text
        assert texts(screen) == ["question", "first"]


async def test_deleting_takes_the_delete_key_and_says_how_to_undo(desk, typing_pace):
    async with talking(desk, ["first"]) as (pilot, screen, _):
        await pilot.press("alt+up", "delete")
        assert texts(screen) == ["question"]
        await until(pilot, lambda: "1 turn deleted. Press F8 to undo." in shown(pilot))
        await pilot.press("f8")
        assert texts(screen) == ["question", "first"]


async def test_a_key_that_is_pressed_again_and_again_is_no_prose(desk, typing_pace):
    async with talking(desk, ["```\none\n```\n\n```\ntwo\n```"]) as (pilot, screen, _):
        await pilot.press("alt+up", "b", "b")
        await until(pilot, lambda: "Code block 1 of 2 was copied." in shown(pilot))
        assert screen.composer.text == ""


async def test_what_is_typed_while_the_editor_opens_is_in_the_editor(desk, monkeypatch):
    monkeypatch.setattr(TurnPane, "burst_s", 0.05)
    async with talking(desk, ["first"]) as (pilot, screen, engine):
        for _ in range(10):
            await pilot.press("alt+up", "alt+up")
            for key in ("e", *" rest"):
                # As the terminal's reader puts them in, without waiting for the screen.
                screen.view.transcript.post_message(events.Key(KEYS.get(key, key), key))
                if key == "e":
                    await asyncio.sleep(0.06)
            await until(pilot, lambda: bool(screen.query(TurnEditor)) or screen.composer.text)
            if not screen.composer.text:
                break
            # A machine that is behind takes all of it for prose.
            screen.composer.set_text("")
        await until(pilot, lambda: screen.query_one(TurnEditor).text == "question rest")
        assert screen.composer.text == ""
        assert len(engine.requests) == 1


async def test_letters_that_waited_while_the_app_was_busy_are_prose(desk, monkeypatch):
    monkeypatch.setattr(TurnPane, "burst_s", 0.1)
    async with talking(desk, ["first"]) as (pilot, screen, engine):
        for prose in ("re", "co", "fo", "it"):
            chat = screen.conversation
            await pilot.press("alt+up")
            keys = [events.Key(letter, letter) for letter in prose]
            # The second was pressed a moment after the first, and the app looks at it after its time is up.
            pilot.app.post_message(keys[0])
            pilot.app.call_later(lambda: time.sleep(0.3))
            pilot.app.post_message(keys[1])
            await until(pilot, lambda prose=prose: screen.composer.text == prose)
            await until(pilot, lambda: screen.view.transcript._held_timer is None)
            await still(pilot, screen)
            assert screen.conversation is chat
            assert len(pilot.app.screen_stack) == 1
            screen.composer.set_text("")
        assert len(engine.requests) == 1


async def test_a_blank_of_another_width_is_typed_like_any(desk, typing_pace):
    async with talking(desk, ["first"]) as (pilot, screen, _):
        await pilot.press("alt+up")
        for letter in "a\u00a0b\u2003c":
            screen.view.transcript.post_message(events.Key(letter, letter))
        await until(pilot, lambda: screen.composer.text == "a\u00a0b\u2003c")
