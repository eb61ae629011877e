"""The column of chats on a wide screen."""

from __future__ import annotations

import threading

from tests.screens.conftest import WIDE, Desk, answered, ready, say, shown, until
from tests.scripted import ScriptedEngine
from tui.screens.session_list import SessionList
from tui.sessions.store import SessionStore
from tui.widgets.chat_list import ChatList
from tui.widgets.footer import Footer

BROAD = (180, 40)


def listed(screen):
    """The titles in the column."""
    chats = screen.query_one(ChatList)
    return [str(one.prompt).strip() for one in chats.options if one.id]


async def test_chats_stand_beside_the_open_one_and_open_by_enter_and_click(desk: Desk):
    engine = ScriptedEngine(["one", "two"])
    async with desk.app(engine).run_test(size=BROAD) as pilot:
        screen = await ready(pilot)
        await say(pilot, "first question")
        await answered(pilot, screen, 2)
        first = screen.conversation.id
        await until(pilot, lambda: listed(screen) == ["● first question"])
        await pilot.press("ctrl+n")
        await say(pilot, "second question")
        await answered(pilot, screen, 2)
        await until(pilot, lambda: listed(screen) == ["● second question", "first question"])
        assert "Today" in shown(pilot)
        chats = screen.query_one(ChatList)
        screen.set_focus(chats)
        chats.highlighted = chats.get_option_index(first)
        await pilot.press("enter")
        await until(pilot, lambda: screen.conversation.id == first)
        assert screen.focused is screen.composer
        row = next(
            y for y, line in enumerate(shown(pilot).splitlines()) if "second question" in line[:32]
        )
        await pilot.click(offset=(6, row))
        await until(pilot, lambda: screen.conversation.id != first)


async def test_a_screen_that_gets_narrower_has_no_column(desk: Desk):
    async with desk.app().run_test(size=BROAD) as pilot:
        screen = await ready(pilot)
        assert screen.query_one("#chats").display
        await pilot.resize_terminal(*WIDE)
        await until(pilot, lambda: not screen.query_one("#chats").display)


async def test_a_plain_screen_has_one_column(desk: Desk):
    async with desk.app(command_line={"screen.plain": True}).run_test(size=BROAD) as pilot:
        screen = await ready(pilot)
        assert not screen.query_one("#chats").display


async def test_a_title_of_any_origin_is_text(desk: Desk):
    async with desk.app(ScriptedEngine(["one"])).run_test(size=BROAD) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        screen.do("chat.rename", "[red]x\x1b[2J[/red]")
        await until(pilot, lambda: any("[red]x" in title for title in listed(screen)))
        assert "\x1b" not in listed(screen)[0]


async def test_a_chat_that_comes_late_takes_nobody_out_of_another(desk: Desk, monkeypatch):
    engine = ScriptedEngine(["one", "two"])
    async with desk.app(engine).run_test(size=BROAD) as pilot:
        screen = await ready(pilot)
        await say(pilot, "first question")
        await answered(pilot, screen, 2)
        first = screen.conversation.id
        await pilot.press("ctrl+n")
        gate = threading.Event()
        load = SessionStore.load

        def slow(store, chat_id):
            gate.wait(10)
            return load(store, chat_id)

        monkeypatch.setattr(SessionStore, "load", slow)
        opening = screen.run_worker(screen.handlers.chats.open_saved(first))
        await pilot.press("ctrl+n")
        here = screen.conversation.id
        gate.set()
        await until(pilot, lambda: opening.is_finished)
        assert screen.conversation.id == here
        assert opening.result is False


async def test_what_a_dialog_did_to_chats_is_seen_in_the_column(desk: Desk):
    async with desk.app(ScriptedEngine(["one", "two"])).run_test(size=BROAD) as pilot:
        screen = await ready(pilot)
        await say(pilot, "first question")
        await answered(pilot, screen, 2)
        first = screen.conversation.id
        await pilot.press("ctrl+n")
        await say(pilot, "second question")
        await answered(pilot, screen, 2)
        await until(pilot, lambda: len(listed(screen)) == 2)
        await pilot.press("f3")
        await until(pilot, lambda: isinstance(pilot.app.screen, SessionList))
        await screen.core.writer.do(lambda store: store.trash(first))
        await pilot.press("escape")
        await until(pilot, lambda: listed(screen) == ["● second question"])


async def test_the_line_of_keys_says_what_can_be_done_in_the_column(desk: Desk):
    app = desk.app(ScriptedEngine(["one", "two"]))
    async with app.run_test(size=BROAD, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "first question")
        await answered(pilot, screen, 2)
        first = screen.conversation.id
        await pilot.press("ctrl+n")
        await say(pilot, "second question")
        await answered(pilot, screen, 2)
        await until(pilot, lambda: len(listed(screen)) == 2)
        chats = screen.query_one(ChatList)
        screen.set_focus(chats)
        line = screen.query_one(Footer)
        await until(pilot, lambda: line.render().plain.strip().startswith("Enter Open  Del Trash  Esc Write"))  # fmt: skip
        chats.highlighted = chats.get_option_index(first)
        await pilot.press("delete")
        await until(pilot, lambda: listed(screen) == ["● second question"])
        assert [one.id for one in desk.store.trashed()] == [first]
        assert any("Press F8 to restore it." in one.message for one in app._notifications)
        await until(pilot, lambda: "F8 Restore" in line.render().plain)
        await pilot.press("f8")
        await until(pilot, lambda: len(listed(screen)) == 2)
        assert not desk.store.trashed()
        # Another press does nothing in the open chat.
        await pilot.press("f8", "ctrl+z")
        assert len(screen.conversation.path) == 2
        chats.highlighted = chats.get_option_index(first)
        await pilot.press("delete")
        await until(pilot, lambda: listed(screen) == ["● second question"])
        # In place of the open chat, a new one is opened.
        second = screen.conversation.id
        screen.set_focus(chats)
        chats.highlighted = chats.get_option_index(second)
        await pilot.press("delete")
        await until(pilot, lambda: {one.id for one in desk.store.trashed()} == {first, second})
        assert not screen.conversation.turns
        assert screen.conversation.id != second
        await until(pilot, lambda: chats.highlighted is not None)
        await pilot.press("escape")
        assert screen.focused is screen.composer


async def test_the_column_has_a_highlight_wherever_its_keys_act(desk: Desk):
    app = desk.app(ScriptedEngine(["one"]))
    async with app.run_test(size=BROAD) as pilot:
        screen = await ready(pilot)
        chats, line = screen.query_one(ChatList), screen.query_one(Footer)
        screen.set_focus(chats)
        await until(pilot, lambda: line.render().plain.strip().startswith("Esc Write"))
        await pilot.press("escape")
        await say(pilot, "first question")
        await answered(pilot, screen, 2)
        first = screen.conversation.id
        await pilot.press("ctrl+n")
        await until(pilot, lambda: listed(screen) == ["first question"])
        assert chats.highlighted is None
        screen.set_focus(chats)
        await until(pilot, lambda: "Enter Open  Del Trash" in line.render().plain)
        await pilot.press("delete")
        await until(pilot, lambda: not listed(screen))
        await until(pilot, lambda: "Open" not in line.render().plain and "F8 Restore" in line.render().plain)  # fmt: skip
        await pilot.press("f8")
        await until(pilot, lambda: listed(screen) == ["first question"])
        await pilot.press("enter")
        await until(pilot, lambda: screen.conversation.id == first)
