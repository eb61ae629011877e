"""History, drafts, titles and alerts."""

from __future__ import annotations

import threading

import pytest

from tests.screens.conftest import ROOMY, Desk, answered, ready, say, shown, still, until
from tests.screens.test_commanding import typed
from tests.scripted import ScriptedEngine
from tui.app import Start
from tui.conversation import ReplyStats
from tui.engine.base import Finished, LoadRequest, TextDelta
from tui.sessions import Loaded
from tui.settings.history import Attachment, Draft, read_drafts, read_history, write_drafts
from tui.settings.presets import Preset


async def test_up_brings_back_this_chats_messages_and_then_those_of_others(desk: Desk):
    async with desk.app().run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await say(pilot, "elsewhere")
        await answered(pilot, screen, 2)
        await until(pilot, lambda: read_history(desk.paths.history))
    async with desk.app().run_test(size=ROOMY) as pilot:
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
    async with desk.app().run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        for text in ("one cat", "two dogs"):
            await say(pilot, text)
            await until(pilot, lambda: screen.reply is None and not screen.composer.text)
            await answered(pilot, screen, len(screen.conversation.path))
        await pilot.press("ctrl+n", "f5")
        await until(pilot, lambda: "two dogs" in shown(pilot) and "Your messages" in shown(pilot))
        await pilot.press(*"cat", "enter")
        await until(pilot, lambda: screen.composer.text == "one cat")


async def test_what_is_sent_in_a_temporary_chat_is_not_kept(desk: Desk):
    async with desk.app().run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await typed(pilot, "/temporary")
        await until(pilot, lambda: screen.core.session.temporary)
        await say(pilot, "secret")
        await answered(pilot, screen, 2)
        screen.composer.set_text("draft")
        screen.view.area.keep_draft()
        await still(pilot, screen)
    desk.apps[-1].close()
    assert read_history(desk.paths.history) == []
    assert read_drafts(desk.paths.drafts)[0] == {}


async def test_a_draft_stays_with_its_chat_over_a_restart(desk: Desk):
    async with desk.app().run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        chat = screen.conversation.id
        screen.composer.set_text("half a thou")
        await pilot.press("ctrl+n")
        await until(pilot, lambda: screen.conversation.id != chat)
        assert screen.composer.text == ""
        await until(pilot, lambda: chat in read_drafts(desk.paths.drafts)[0])
    desk.apps[-1].close()
    start = Start(desk.store.load(chat), LoadRequest("scripted"))
    async with desk.app(start=start).run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await until(pilot, lambda: screen.composer.text == "half a thou")
        await say(pilot, "ght")
        await answered(pilot, screen, 4)
        await until(pilot, lambda: read_drafts(desk.paths.drafts)[0] == {})


async def test_a_draft_is_kept_when_the_app_is_left(desk: Desk):
    app = desk.app()
    async with app.run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        chat = screen.conversation.id
        screen.composer.set_text("half")
        await pilot.press("ctrl+q")
        await until(pilot, lambda: not app.is_running)
    app.close()
    assert read_drafts(desk.paths.drafts)[0][chat].text == "half"


async def test_a_draft_is_shown_when_its_chat_is_opened_from_one_that_has_not_begun(desk: Desk):
    async with desk.app().run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        chat = screen.conversation
        screen.composer.set_text("of the first")
        await pilot.press("ctrl+n")
        await until(pilot, lambda: screen.conversation.id != chat.id)
        screen.composer.set_text("of a new one")
        screen.handlers.chats.open(Loaded(chat))
        assert screen.composer.text == "of the first"
        await say(pilot, " and more")
        await answered(pilot, screen, 4)
        await pilot.press("ctrl+n")
        await until(pilot, lambda: screen.composer.text == "of a new one")


async def test_what_is_written_in_a_new_chat_stays_there(desk: Desk):
    async with desk.app().run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        chat = screen.conversation
        screen.do("chat.new")
        screen.composer.set_text("delta draft")
        screen.view.area.set_attachments((Attachment("a.txt", "x"),))
        screen.handlers.chats.open(Loaded(chat))
        assert screen.composer.text == ""
        assert screen.view.area.attachments == ()
        screen.view.area.keep_draft()
        screen.do("chat.new")
        assert screen.composer.text == "delta draft"
        assert [one.name for one in screen.view.area.attachments] == ["a.txt"]


async def test_the_chat_that_holds_a_draft_is_marked_and_named_by_a_new_chat(desk: Desk):
    async with desk.app().run_test(size=(180, 40)) as pilot:
        screen = await ready(pilot)
        await say(pilot, "How is bread baked?")
        await answered(pilot, screen, 2)
        screen.composer.set_text("half a thought")
        await pilot.press("ctrl+q")
        await until(pilot, lambda: not pilot.app.is_running)
    desk.apps[-1].close()
    async with desk.app().run_test(size=(180, 40)) as pilot:
        screen = await ready(pilot)
        assert screen.composer.text == ""
        said = "“How is bread baked?” has a draft. F3 lists the chats."
        await until(pilot, lambda: said in shown(pilot))
        await until(pilot, lambda: "✎ How is bread baked?" in shown(pilot))
        await pilot.press("f3")
        await until(pilot, lambda: "· draft ·" in shown(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: screen.composer.text == "half a thought")
        # Here it is on the screen.
        await until(pilot, lambda: "● How is bread baked?" in shown(pilot))
        screen.composer.begin()
        screen.view.area.keep_draft()
        await pilot.press("ctrl+n")
        await until(pilot, lambda: not screen.conversation.turns)
        await until(pilot, lambda: "✎" not in shown(pilot))
        assert "has a draft" not in shown(pilot)


async def test_the_draft_of_a_temporary_chat_goes_with_it(desk: Desk):
    async with desk.app().run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        chat = screen.conversation
        screen.do("chat.new")
        screen.composer.set_text("for later")
        screen.do("chat.temporary")
        assert screen.composer.text == ""
        await say(pilot, "secret")
        await answered(pilot, screen, 2)
        screen.composer.set_text("unkept")
        # The copy replaces the original, so it takes over what is being written.
        screen.do("chat.duplicate")
        assert screen.composer.text == "unkept"
        screen.handlers.chats.open(Loaded(chat))
        assert screen.composer.text == ""
        screen.do("chat.new")
        assert screen.composer.text == "for later"


async def test_an_example_leaves_the_draft_to_the_next_new_chat(desk: Desk):
    async with desk.app().run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        screen.composer.set_text("for later")
        screen.do("chat.example", "socks")
        await answered(pilot, screen, 2)
        assert screen.composer.text == ""
        screen.view.area.keep_draft()
        screen.do("chat.new")
        assert screen.composer.text == "for later"


async def test_a_draft_joins_what_was_typed_before_it_was_read(desk: Desk):
    write_drafts(desk.paths.drafts, {"": Draft("of last time")})
    app = desk.app()
    async with app.run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await until(pilot, lambda: screen.composer.text == "of last time")
        screen.composer.set_text("typed at once")
        screen.view.area._take_kept([], {"": Draft("of last time")})
        assert screen.composer.text == "of last time\ntyped at once"


async def test_two_windows_keep_each_others_drafts(desk: Desk):
    first, second = desk.app(), desk.app()
    async with first.run_test(size=ROOMY) as one, second.run_test(size=ROOMY) as two:
        chats = []
        for pilot in (one, two):
            screen = await ready(pilot)
            await say(pilot, "hi")
            await answered(pilot, screen, 2)
            screen.composer.set_text("half")
            screen.view.area.keep_draft()
            chats.append(screen.conversation.id)
        await until(two, lambda: {*read_drafts(desk.paths.drafts)[0]} == {*chats})


@pytest.mark.parametrize("key", ["ctrl+n", "ctrl+q"])
async def test_the_edit_of_a_turn_and_a_system_prompt_outlast_leaving_the_chat(desk: Desk, key):
    app = desk.app()
    async with app.run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        chat = screen.conversation.id
        screen.core.session.replace_prompt("be brief")
        await screen.handlers.editing.edit()
        await pilot.press(*"gh")
        await pilot.press(key)
        await until(pilot, lambda: key != "ctrl+q" or not app.is_running)
        await until(pilot, lambda: chat in read_drafts(desk.paths.drafts)[0])
    app.close()
    assert list(read_drafts(desk.paths.drafts)[0][chat].edits.values()) == ["high"]
    assert desk.store.load(chat).conversation.system_prompt == "be brief"


async def test_undo_takes_back_a_system_prompt_that_was_typed_and_redo_brings_it_again(desk: Desk):
    async with desk.app().run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        screen.core.session.replace_prompt("be brief")
        screen.do("chat.undo")
        assert (screen.core.settings.system_prompt, len(screen.conversation.path)) == ("", 2)
        screen.do("chat.redo")
        assert screen.core.settings.system_prompt == "be brief"


async def test_what_was_being_written_outlasts_an_earlier_message_that_was_brought_back(desk: Desk):
    app = desk.app()
    async with app.run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        screen.composer.set_text("half a thought")
        await pilot.press("up")
        assert screen.composer.text == "hi"
        screen._painter.show_conversation()
        await pilot.press("down")
        assert screen.composer.text == "half a thought"
        await pilot.press("up", "enter")
        await answered(pilot, screen, 4)
        assert screen.composer.text == "half a thought"
        await pilot.press("up", "!", "ctrl+q")
        await until(pilot, lambda: not app.is_running)
    app.close()
    chat = screen.conversation.id
    assert read_drafts(desk.paths.drafts)[0][chat].text == "half a thought\nhi!"


async def test_the_search_of_what_was_sent_keeps_what_was_being_written(desk: Desk):
    async with desk.app().run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        screen.composer.set_text("half a thought")
        await pilot.press("f5")
        await until(pilot, lambda: "Your messages" in shown(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: screen.composer.text == "hi")
        await pilot.press("down")
        assert screen.composer.text == "half a thought"


async def test_a_preset_takes_no_system_prompt_away_for_good(desk: Desk):
    async with desk.app().run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        screen.core.session.replace_prompt("typed at length")
        screen.handlers.library.apply(Preset("other", system_prompt="another"))
        screen.do("chat.undo")
        screen.do("chat.undo")
        assert screen.core.settings.system_prompt == ""
        screen.do("chat.redo")
        assert screen.core.settings.system_prompt == "typed at length"


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
    async with app.run_test(size=ROOMY) as pilot:
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
    async with app.run_test(size=ROOMY) as pilot:
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
