"""What was written stays within reach: in an edit that is left, in a message that was brought back, under a question."""

from __future__ import annotations

from tests.screens.conftest import ROOMY, Desk, ready, until
from tests.screens.test_turns import talking, texts
from tests.screens.test_typing_on_turns import keys_of
from tui.chat.ui import Answer
from tui.screens.ask import Ask
from tui.widgets.turn_editor import TurnEditor

ANSWERS = (Answer("drop", "Leave out the oldest", "o"), Answer("keep", "Keep", "k"))


async def test_letters_typed_when_a_question_comes_up_answer_nothing_and_are_kept(
    desk: Desk, monkeypatch
):
    monkeypatch.setattr(Ask, "burst_s", 1.0)
    async with desk.app().run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        asked = screen.run_worker(screen.ui.ask("The context is full", "", ANSWERS))
        await until(pilot, lambda: isinstance(pilot.app.screen, Ask))
        await pilot.press(*keys_of("ok so"))
        assert isinstance(pilot.app.screen, Ask)
        assert screen.composer.text == "ok so"
        pilot.app.screen._typed_at = float("-inf")
        await pilot.press("k")
        await until(pilot, lambda: asked.is_finished)
        assert asked.result == "keep"
        assert screen.composer.text == "ok so"


async def test_an_edit_that_was_left_goes_on_when_the_turn_is_edited_again(desk: Desk):
    async with talking(desk, ["first"]) as (pilot, screen, _):
        await pilot.press("alt+up", "e")
        await until(pilot, lambda: bool(screen.query(TurnEditor)))
        await pilot.press("!", "escape")
        await until(pilot, lambda: not screen.query(TurnEditor))
        assert texts(screen) == ["question", "first"]
        await pilot.press("e")
        await until(pilot, lambda: bool(screen.query(TurnEditor)))
        assert screen.query_one(TurnEditor).text == "first!"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: texts(screen) == ["question", "first!"])
        await pilot.press("alt+up", "e")
        await until(pilot, lambda: bool(screen.query(TurnEditor)))
        assert screen.query_one(TurnEditor).text == "first!"


async def test_changes_to_a_message_that_was_brought_back_are_there_again(desk: Desk):
    async with talking(desk, ["first"]) as (pilot, screen, _):
        await pilot.press("d", "up", "!", "down")
        assert screen.composer.text == "d"
        await pilot.press("up")
        assert screen.composer.text == "question!"
