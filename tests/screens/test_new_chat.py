"""What a new chat begins with, and what becomes of a reply under way."""

from __future__ import annotations

import threading

from tests.screens.conftest import Desk, answered, ready, say, until
from tests.screens.host import screen_text
from tests.scripted import ScriptedEngine
from tui.conversation import Status
from tui.settings.state import AppState

SIZE = (100, 30)


async def test_a_new_chat_says_what_it_has_from_before_and_reset_drops_it(desk: Desk):
    state = AppState(system_prompt="You are a pirate.", parameters={"temperature": 0.9})
    async with desk.app(state=state).run_test(size=SIZE) as pilot:
        screen = await ready(pilot)
        await until(pilot, lambda: "You are a pirate." in screen_text(pilot))
        assert "temperature 0.9" in screen_text(pilot)
        screen.do("settings.reset")
        await until(pilot, lambda: "You are a pirate." not in screen_text(pilot))
        assert (screen.core.settings.system_prompt, dict(screen.core.settings.parameters)) == (
            "",
            {},
        )
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        assert screen.conversation.system_prompt == ""


async def test_what_is_set_in_a_new_chat_is_not_called_a_left_over(desk: Desk):
    async with desk.app().run_test(size=SIZE) as pilot:
        screen = await ready(pilot)
        screen.do("settings.reset")
        await say(pilot, "/set temperature=0.5")
        screen.core.settings.set_prompt("You are a pirate.")
        await until(pilot, lambda: screen.core.settings.parameters == {"temperature": 0.5})
        await until(pilot, lambda: "Ready" in screen_text(pilot))
        assert "Remembered" not in screen_text(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        screen.do("chat.new")
        await until(pilot, lambda: "Remembered from last time" in screen_text(pilot))
        assert "temperature 0.5" in screen_text(pilot)
        assert "You are a pirate." in screen_text(pilot)


async def test_what_the_configuration_says_is_not_called_a_left_over(desk: Desk):
    said = {"chat.system_prompt": "Be brief.", "generation.top_k": 3}
    async with desk.app(command_line=said).run_test(size=SIZE) as pilot:
        screen = await ready(pilot)
        await until(pilot, lambda: "Ready" in screen_text(pilot))
        assert "Remembered from last time" not in screen_text(pilot)
        screen.do("settings.reset")
        await pilot.pause()
        assert screen.core.settings.system_prompt == "Be brief."


async def test_a_new_chat_in_the_middle_of_a_reply_keeps_what_was_said(desk: Desk):
    engine = ScriptedEngine(["kept words never"], hold=threading.Event())
    async with desk.app(engine).run_test(size=SIZE, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "one")
        await until(pilot, lambda: screen.reply is not None and screen.reply.new_tokens)
        left = screen.conversation.id
        await pilot.press("ctrl+n")
        await until(pilot, lambda: screen.conversation.id != left)
        await until(pilot, lambda: any("was stopped" in one.message for one in pilot.app._notifications))  # fmt: skip

        def kept():
            return desk.store.load(left, lock=False).conversation.path[-1]

        await until(pilot, lambda: kept().status is Status.STOPPED)
        assert kept().text.strip() == "kept words"


async def test_a_temporary_chat_is_not_left_in_the_middle_of_a_reply(desk: Desk):
    engine = ScriptedEngine(["words that nobody keeps"], hold=threading.Event())
    async with desk.app(engine).run_test(size=SIZE, notifications=True) as pilot:
        screen = await ready(pilot)
        screen.do("chat.temporary")
        await until(pilot, lambda: screen.core.session.temporary)
        await say(pilot, "one")
        await until(pilot, lambda: screen.reply is not None)
        there = screen.conversation.id
        await pilot.press("ctrl+n")
        await until(pilot, lambda: any("Press Esc to stop it first" in one.message for one in pilot.app._notifications))  # fmt: skip
        assert screen.conversation.id == there


async def test_continue_is_offered_on_replies_alone(desk: Desk):
    async with desk.app().run_test(size=(140, 30)) as pilot:
        screen = await ready(pilot)
        await say(pilot, "one")
        await answered(pilot, screen, 2)
        await pilot.press("alt+up")
        await until(pilot, lambda: "Continue" in screen_text(pilot))
        await pilot.press("up")
        await until(pilot, lambda: "Continue" not in screen_text(pilot))
        assert not screen.can_do("turn.continue")
        await pilot.press("escape")
        await until(pilot, lambda: screen.focused is screen.composer)
        assert screen.can_do("turn.continue")


async def test_the_settings_key_goes_there_and_from_there_hides_them(desk: Desk):
    async with desk.app().run_test(size=(120, 40)) as pilot:
        screen = await ready(pilot)
        assert screen.has_class("-sidebar")
        await pilot.press("f2")
        await until(pilot, lambda: screen.view.sidebar.has_focus_within)
        assert screen.has_class("-sidebar")
        await pilot.press("f2")
        await until(pilot, lambda: not screen.has_class("-sidebar"))
        assert screen.focused is screen.composer
