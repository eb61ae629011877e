"""The help screen: what stands first, what typing does to it, what room it takes."""

import pytest
from textual.containers import VerticalScroll
from textual.widgets import Input

from tests.screens.conftest import ROOMY, Desk, answered, ready, say, until
from tests.screens.host import Host, screen_text
from tests.scripted import ScriptedEngine
from tui.actions import ACTIONS
from tui.keymap import keymap
from tui.scopes import Scope
from tui.screens.help import HelpScreen


async def test_the_place_where_one_is_comes_first(desk: Desk):
    async with desk.app(ScriptedEngine(["Hello."])).run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        for before, first in (("escape", "In the message"), ("alt+up", "On a turn")):
            await pilot.press(before, "f1")
            await until(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))
            await until(pilot, lambda first=first: first in screen_text(pilot))
            text = screen_text(pilot)
            assert text.index(first) < text.index("Esc", text.index("filter"))
            others = [text.find(other) for other in ("Chats", "Models", "In the search bar")]
            assert all(at < 0 or text.index(first) < at for at in others)
            await pilot.press("escape")
            await until(pilot, lambda: pilot.app.screen is screen)


async def test_it_lists_the_key_of_a_block_only_while_one_is_selected(desk: Desk):
    async with desk.app(ScriptedEngine(["Hello."])).run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        for keys, is_listed in ((["alt+up"], False), (["v"], True)):
            await pilot.press(*keys, "f1")
            await until(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))
            await until(pilot, lambda: "On a turn" in screen_text(pilot))
            assert ("End the selection" in screen_text(pilot)) is is_listed
            await pilot.press("escape")
            await until(pilot, lambda: pilot.app.screen is screen)


async def test_typing_filters_and_says_more_of_what_is_left():
    app = Host(HelpScreen())
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "New chat" in screen_text(pilot))
        assert "the current one is saved" not in screen_text(pilot)
        await pilot.press(*"new", "space", *"chat")
        await until(pilot, lambda: "the current one is saved" in screen_text(pilot))
        text = screen_text(pilot)
        assert "Ctrl+N" in text
        assert "/new" in text
        assert "Open a chat" not in text
        await pilot.press(*"zzz")
        await until(pilot, lambda: "Nothing matches." in screen_text(pilot))
        # A letter that closed it once is typed.
        app.screen.query_one(Input).value = ""
        await pilot.press("q")
        assert isinstance(app.screen, HelpScreen)


async def test_it_is_found_by_key_by_command_and_by_group():
    app = Host(HelpScreen())
    async with app.run_test(size=(80, 24)) as pilot:
        for typed, found in (
            ("f8", "Undo"),
            ("/preset-save", "Save as a preset"),
            ("branch tree variants", "Next variants"),
        ):
            app.screen.query_one(Input).value = typed
            await until(pilot, lambda found=found: found in screen_text(pilot))


@pytest.mark.parametrize(
    ("size", "columns"), [((80, 24), 1), ((100, 30), 2), ((200, 60), 2), ((44, 12), 1)]
)
async def test_there_are_two_columns_where_there_is_room_and_no_line_is_cut(size, columns):
    app = Host(HelpScreen())
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: "Message" in screen_text(pilot))
        dialog, body = app.screen.query_one("#dialog"), app.screen.query_one(VerticalScroll)
        assert app.screen.query_one("#right").display is (columns == 2)
        assert dialog.outer_size.width <= min(size[0], 110)
        assert dialog.region.bottom <= size[1]
        assert body.max_scroll_x == 0
        assert "…" not in screen_text(pilot).replace("with options …", "")


async def test_the_keys_scroll():
    app = Host(HelpScreen())
    async with app.run_test(size=(80, 24)) as pilot:
        body = app.screen.query_one(VerticalScroll)
        await until(pilot, lambda: body.max_scroll_y > 20)
        await pilot.press("down", "pagedown")
        await until(pilot, lambda: body.scroll_y > 10)
        await pilot.press("pageup", "up")
        await until(pilot, lambda: body.scroll_y == 0)


async def test_it_holds_every_action_that_has_a_key_or_a_command_and_no_id():
    app = Host(HelpScreen(keymap().keys, place=Scope.TURNS))
    async with app.run_test(size=(200, 60)) as pilot:
        screen = app.screen
        await until(pilot, lambda: bool(screen._groups))
        listed = {row.action.id for _, rows in screen._groups for row in rows}
        assert listed == {one.id for one in ACTIONS if one.keys or one.listed}
        assert not any(row.action.id in row.searched for _, rows in screen._groups for row in rows)
