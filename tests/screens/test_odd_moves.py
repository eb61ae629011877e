"""Moves that nobody plans for: an emptied value, a narrow help, a page past the first turn, one value seen in two places."""

from __future__ import annotations

from textual.widgets import Input, Select, TextArea

from tests.screens.conftest import ROOMY, WIDE, Desk, ready, until
from tui.conversation import Conversation
from tui.conversation.context import OverflowPolicy
from tui.screens.ask import AskText
from tui.screens.help import HelpScreen
from tui.screens.settings_screen import SettingsScreen
from tui.screens.tree_view import TreeView
from tui.screens.turn_tree import TurnTree


async def test_template_switches_that_are_emptied_are_the_templates_own_again(desk: Desk):
    async with desk.app().run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        screen.core.settings.set_template({"enable_thinking": False})
        screen.do("settings.open")
        await until(pilot, lambda: isinstance(pilot.app.screen, SettingsScreen))
        settings = pilot.app.screen
        settings.query_one(Input).value = "template switches"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, AskText))
        for field in pilot.app.screen.query(TextArea):
            field.text = ""
        for field in pilot.app.screen.query(Input):
            field.value = ""
        await pilot.press("enter")
        await until(pilot, lambda: screen.core.settings.template == {})


async def test_help_is_filtered_on_the_narrowest_screen(desk: Desk):
    async with desk.app().run_test(size=(20, 8)) as pilot:
        await ready(pilot)
        pilot.app.push_screen(HelpScreen())
        await pilot.press(*"undo")
        await until(pilot, lambda: pilot.app.screen.query_one(Input).value == "undo")
        assert pilot.app.is_running


async def test_what_happens_to_a_full_context_is_the_same_in_both_places(desk: Desk):
    async with desk.app().run_test(size=WIDE) as pilot:
        screen = await ready(pilot)
        screen.core.settings.set_overflow(OverflowPolicy.DROP_OLDEST)
        select = screen.query_one("#overflow", Select)
        await until(pilot, lambda: select.value == OverflowPolicy.DROP_OLDEST.value)
        select.value = OverflowPolicy.ASK.value
        await until(pilot, lambda: screen.core.settings.overflow is OverflowPolicy.ASK)


async def test_a_page_up_reaches_the_first_turn_of_several(desk: Desk):
    chat = Conversation()
    for number in range(4):
        chat = chat.add_user(f"question {number}")
        chat = chat.edit(chat.path[0].id, f"first {number}") if number else chat
    async with desk.app().run_test(size=ROOMY) as pilot:
        await ready(pilot)
        pilot.app.push_screen(TreeView(chat))
        await until(pilot, lambda: isinstance(pilot.app.screen, TreeView))
        tree = pilot.app.screen.query_one(TurnTree)
        await pilot.press("home")
        first = tree.cursor
        await pilot.press("end", *["pageup"] * 6)
        assert tree.cursor == first
