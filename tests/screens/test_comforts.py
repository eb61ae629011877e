"""History, drafts, titles and alerts."""

from __future__ import annotations

import threading

from tests.screens.conftest import Desk, answered, ready, say, shown, until
from tests.screens.test_commanding import typed
from tests.scripted import ScriptedEngine
from tui.app import Start
from tui.conversation import ReplyStats
from tui.engine.base import Finished, LoadRequest, TextDelta
from tui.settings.history import read_drafts, read_history

SIZE = (120, 40)


async def test_up_brings_back_this_chats_messages_and_then_those_of_others(desk: Desk):
    async with desk.app().run_test(size=SIZE) as pilot:
        screen = await ready(pilot)
        await say(pilot, "elsewhere")
        await answered(pilot, screen, 2)
        await until(pilot, lambda: read_history(desk.paths.history))
    async with desk.app().run_test(size=SIZE) as pilot:
        screen = await ready(pilot)
        await say(pilot, "here")
        await answered(pilot, screen, 2)
        screen.composer.focus()
        await pilot.press("up")
        assert screen.composer.text == "here"
        await pilot.press("up")
        assert screen.composer.text == "elsewhere"
        await pilot.press("down", "down")
        assert screen.composer.text == ""


async def test_history_is_searched_over_all_chats(desk: Desk):
    async with desk.app().run_test(size=SIZE) as pilot:
        screen = await ready(pilot)
        for text in ("one cat", "two dogs"):
            await say(pilot, text)
            await until(pilot, lambda: screen.reply is None and not screen.composer.text)
            await answered(pilot, screen, len(screen.conversation.path))
        await pilot.press("ctrl+n", "f5")
        await until(pilot, lambda: "two dogs" in shown(pilot) and "What you sent" in shown(pilot))
        await pilot.press(*"cat", "enter")
        await until(pilot, lambda: screen.composer.text == "one cat")


async def test_what_is_sent_in_a_temporary_chat_is_not_kept(desk: Desk):
    async with desk.app().run_test(size=SIZE) as pilot:
        screen = await ready(pilot)
        await typed(pilot, "/temporary")
        await until(pilot, lambda: screen.temporary)
        await say(pilot, "secret")
        await answered(pilot, screen, 2)
        screen.composer.set_text("draft")
        screen.keep_draft()
        await pilot.pause(0.1)
    desk.apps[-1].close()
    assert read_history(desk.paths.history) == []
    assert read_drafts(desk.paths.drafts) == {}


async def test_a_draft_stays_with_its_chat_over_a_restart(desk: Desk):
    async with desk.app().run_test(size=SIZE) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        chat = screen.conversation.id
        screen.composer.set_text("half a thou")
        await pilot.press("ctrl+n")
        await until(pilot, lambda: screen.conversation.id != chat)
        assert screen.composer.text == ""
        await until(pilot, lambda: chat in read_drafts(desk.paths.drafts))
    desk.apps[-1].close()
    start = Start(desk.store.load(chat), LoadRequest("scripted"))
    async with desk.app(start=start).run_test(size=SIZE) as pilot:
        screen = await ready(pilot)
        await until(pilot, lambda: screen.composer.text == "half a thou")
        await say(pilot, "ght")
        await answered(pilot, screen, 4)
        await until(pilot, lambda: read_drafts(desk.paths.drafts) == {})


async def test_a_draft_is_kept_when_the_app_is_left(desk: Desk):
    app = desk.app()
    async with app.run_test(size=SIZE) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        chat = screen.conversation.id
        screen.composer.set_text("half")
        await pilot.press("ctrl+q")
        await pilot.pause()
    app.close()
    assert read_drafts(desk.paths.drafts)[chat].text == "half"


async def test_a_long_reply_calls_back_to_the_window_only_when_it_is_not_in_front(
    desk: Desk, monkeypatch
):
    rung: list[str] = []
    long = Finished(ReplyStats(5, new_tokens=1, ttft_s=20, decode_s=1))

    class Slow(ScriptedEngine):
        def generate(self, request, emit, cancelled):
            super().generate(request, emit, cancelled)
            return long

    hold = threading.Event()
    hold.set()
    app = desk.app(Slow([[TextDelta("done")]], hold=hold))
    monkeypatch.setattr(type(app), "bell", lambda _self: rung.append("bell"))
    async with app.run_test(size=SIZE) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        await pilot.pause()
        assert rung == []
        hold.clear()
        screen.composer.set_text("again")
        await pilot.press("enter")
        app.app_focus = False
        hold.set()
        await answered(pilot, screen, 4)
        await until(pilot, lambda: rung == ["bell"])


async def test_the_window_is_called_like_the_chat(desk: Desk, monkeypatch):
    app = desk.app()
    written: list[str] = []
    monkeypatch.setattr(type(app), "_to_terminal", lambda _self, text: written.append(text))
    async with app.run_test(size=SIZE) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        await typed(pilot, "/rename Cats \x1b]0;x")
        await until(pilot, lambda: any("Cats" in one for one in written))
    title = next(one for one in written if "Cats" in one)
    assert title.startswith("\x1b]2;Cats")
    assert title.count("\x1b") == 1
    app.close()
    assert written[-1] == "\x1b[23;2t"
