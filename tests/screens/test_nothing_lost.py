"""What was written stays within reach: in an edit that is left, in a message that was brought back, under a question."""

from __future__ import annotations

from tests.screens.conftest import ROOMY, Desk, answered, ready, say, shown, still, until
from tests.screens.test_turns import talking, texts
from tests.screens.test_typing_on_turns import keys_of
from tui.chat.ui import Answer
from tui.conversation import Conversation
from tui.screens.ask import Ask
from tui.settings.state import AppState
from tui.widgets.turn_editor import TurnEditor


def keep(desk: Desk, chat: Conversation) -> None:
    """Put a chat on the disk that no window has open."""
    store = desk.store
    store.save(chat)
    store.close()


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


async def test_what_was_set_in_a_chat_that_has_not_begun_is_there_on_return(desk: Desk):
    saved = Conversation(system_prompt="You are a cook.").add_user("soup?")
    keep(desk, saved)
    async with desk.app().run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        settings = screen.core.settings
        settings.set_prompt("You are a pirate.")
        settings.set({"temperature": 0.3})
        await screen.handlers.chats.open_saved(saved.id)
        assert settings.system_prompt == "You are a cook."
        settings.set({"temperature": 1.1})
        screen.do("chat.new")
        await until(pilot, lambda: settings.system_prompt == "You are a pirate.")
        assert settings.parameters["temperature"] == 0.3
        # And once more, since it is still a draft.
        await screen.handlers.chats.open_saved(saved.id)
        assert settings.parameters["temperature"] == 1.1
        screen.do("chat.new")
        await until(pilot, lambda: settings.system_prompt == "You are a pirate.")
        await still(pilot, screen)


async def test_what_was_set_in_a_chat_that_has_not_begun_outlives_the_app(desk: Desk):
    saved = Conversation(system_prompt="You are a cook.").add_user("soup?")
    keep(desk, saved)
    async with desk.app().run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        screen.core.settings.set_prompt("You are a pirate.")
        await screen.handlers.chats.open_saved(saved.id)
        await still(pilot, screen)
    async with desk.app().run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await until(pilot, lambda: screen.core.settings.system_prompt == "You are a pirate.")


async def test_what_is_asked_for_at_the_start_goes_before_a_draft(desk: Desk):
    async with desk.app().run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        screen.core.settings.set_prompt("You are a pirate.")
        screen.core.settings.set({"temperature": 0.3, "seed": 4})
        screen.handlers.leaving.quit()
        await until(pilot, lambda: not pilot.app.is_running)
    said = {"chat.system_prompt": "Be brief.", "generation.temperature": 0.7}
    async with desk.app(command_line=said).run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await until(pilot, lambda: screen.core.settings.parameters.get("seed") == 4)
        assert screen.core.settings.parameters["temperature"] == 0.7
        assert screen.core.settings.system_prompt == "Be brief."


async def test_a_draft_of_settings_ends_with_the_first_message(desk: Desk):
    saved = Conversation(system_prompt="You are a cook.").add_user("soup?")
    keep(desk, saved)
    async with desk.app().run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        screen.core.settings.set_prompt("You are a pirate.")
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        assert screen.conversation.system_prompt == "You are a pirate."
        await screen.handlers.chats.open_saved(saved.id)
        screen.do("chat.new")
        await pilot.pause()
        assert screen.core.settings.system_prompt == "You are a cook."


async def test_a_reset_is_taken_back_with_the_key_that_the_notice_names(desk: Desk):
    state = AppState(system_prompt="You are a pirate.", parameters={"temperature": 0.9})
    async with desk.app(state=state).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        screen.do("settings.reset")
        await until(pilot, lambda: any(one.message.endswith("Press F8 to undo.") for one in pilot.app._notifications))  # fmt: skip
        assert screen.core.settings.system_prompt == ""
        await pilot.press("f8")
        assert screen.core.settings.system_prompt == "You are a pirate."
        assert dict(screen.core.settings.parameters) == {"temperature": 0.9}


async def test_a_message_that_is_undone_is_in_the_composer_and_goes_with_redo(desk: Desk):
    async with talking(desk, ["first"]) as (pilot, screen, _):
        await pilot.press("f8", "f8")
        assert texts(screen) == []
        assert screen.composer.text == "question"
        await pilot.press("f9")
        assert (texts(screen), screen.composer.text) == (["question"], "")
        await pilot.press("f8", "!")
        assert screen.composer.text == "question!"
        await pilot.press("f9")
        assert (texts(screen), screen.composer.text) == (["question"], "question!")
        await pilot.press("f8")
        assert screen.composer.text == "question!"


async def test_a_message_that_nobody_answered_is_answered_by_regenerate(desk: Desk):
    async with talking(desk, ["first", "second", "third"]) as (pilot, screen, _):
        await say(pilot, "more")
        await answered(pilot, screen, 4)
        await pilot.press("f8")
        assert texts(screen) == ["question", "first", "more"]
        screen.do("turn.regenerate")
        await answered(pilot, screen, 4)
        assert texts(screen) == ["question", "first", "more", "third"]


async def test_an_unfinished_edit_of_a_reply_is_no_message_in_any_chat(desk: Desk):
    async with talking(desk, ["first"]) as (pilot, screen, _):
        here = screen.conversation.id
        await pilot.press("alt+up", "e")
        await until(pilot, lambda: bool(screen.query(TurnEditor)))
        await pilot.press("!", "ctrl+n")
        await until(pilot, lambda: screen.conversation.id != here)
        assert screen.composer.text == ""
        await screen.handlers.chats.open_saved(here)
        assert screen.composer.text == ""
        assert texts(screen) == ["question", "first"]
        await still(pilot, screen)
    async with desk.app().run_test(size=ROOMY, notifications=True) as pilot:
        # It also outlives the app.
        screen = await ready(pilot)
        await screen.handlers.chats.open_saved(here)
        await until(pilot, lambda: "unfinished edit" in shown(pilot))
        await pilot.press("alt+up", "e")
        await until(pilot, lambda: bool(screen.query(TurnEditor)))
        assert screen.query_one(TurnEditor).text == "first!"


async def test_values_left_in_an_empty_chat_do_not_replace_newer_ones(desk: Desk):
    saved = Conversation(system_prompt="").add_user("soup?")
    keep(desk, saved)
    async with desk.app().run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        settings = screen.core.settings
        settings.set({"temperature": 1.5})
        await screen.handlers.chats.open_saved(saved.id)
        settings.set({"temperature": 1.3})
        screen.do("chat.new")
        await until(pilot, lambda: screen.conversation.id != saved.id)
        await still(pilot, screen)
        assert settings.parameters["temperature"] == 1.3
