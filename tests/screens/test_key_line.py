"""The line of keys teaches: what can be done here, nothing that would be refused, and where Esc leads."""

import threading

from textual.pilot import Pilot

from tests.screens.conftest import ROOMY, WIDE, Desk, answered, ready, say, until
from tests.scripted import ScriptedEngine
from tui.widgets.footer import Footer
from tui.widgets.turn_editor import TurnEditor

EVERYWHERE = ("F3 Chats", "F4 Model", "Ctrl+N New")


def line(pilot: Pilot) -> str:
    return pilot.app.screen.query_one(Footer).render().plain.strip()


async def shows(pilot: Pilot, *texts: str) -> None:
    """Wait until the line begins with some entries, in that order."""
    await until(pilot, lambda: line(pilot).startswith("  ".join(texts)))


async def test_in_an_empty_message_commands_are_named_and_turns_once_there_are_any(desk: Desk):
    async with desk.app(ScriptedEngine(["Hello."])).run_test(size=(140, 40)) as pilot:
        screen = await ready(pilot)
        await shows(pilot, "Enter Send", "/ Commands", "F2 Settings", *EVERYWHERE)
        assert line(pilot).endswith("F1 Help")
        await pilot.press("a")
        await until(pilot, lambda: "/ Commands" not in line(pilot))
        assert "Ctrl+P Commands" in line(pilot)
        screen.composer.clear()
        await until(pilot, lambda: "/ Commands" in line(pilot))
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        await shows(pilot, "Enter Send", "/ Commands", "Alt+Up Turns", "F2 Settings")


async def test_a_list_of_completions_has_its_own_keys(desk: Desk):
    async with desk.app().run_test(size=ROOMY) as pilot:
        await ready(pilot)
        await pilot.press("slash")
        await shows(pilot, "↑ ↓ Choose", "Tab/Enter Complete", "Esc Close", "F2 Settings")
        await pilot.press("escape")
        await shows(pilot, "Enter Send")


async def test_a_click_on_the_sign_of_commands_lists_them(desk: Desk):
    async with desk.app().run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await shows(pilot, "Enter Send", "/ Commands")
        await pilot.click(Footer, offset=(line(pilot).index("/ Commands") + 2, 0))
        await until(pilot, lambda: screen.composer.menu_open)
        assert screen.composer.text == "/"


async def test_on_a_turn_only_what_suits_the_turn_is_named(desk: Desk):
    async with desk.app(ScriptedEngine(["one", "two"])).run_test(size=WIDE) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        await pilot.press("alt+up")
        on_reply = "e Edit", "r Regenerate", "c Continue", "f Fork", "y Copy", "Del Delete", "i Details", "u Undo", "Esc Write"  # fmt: skip
        await shows(pilot, *on_reply)
        await pilot.press("r")
        await until(
            pilot, lambda: screen.reply is None and "two" in screen.conversation.path[-1].text
        )
        await pilot.press("alt+up")
        await shows(pilot, "← → Variants", *on_reply)
        await pilot.press("up")
        await shows(pilot, "e Edit", "r Regenerate", "f Fork")


async def test_at_80_columns_what_belongs_to_the_place_stays(desk: Desk):
    async with desk.app(ScriptedEngine(["one"])).run_test(size=(80, 24)) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        await shows(pilot, "Enter Send", "/ Commands", "Alt+Up Turns", "F2 Settings")
        assert line(pilot).endswith("F1 Help")
        await pilot.press("alt+up")
        await shows(pilot, "e Edit", "r Regenerate", "c Continue", "f Fork", "y Copy", "Del Delete")
        assert line(pilot).endswith("Esc Write")


async def test_while_a_reply_is_written_esc_comes_first_and_nothing_that_has_to_wait(desk: Desk):
    hold = threading.Event()
    async with desk.app(ScriptedEngine(["one two"], hold=hold)).run_test(size=WIDE) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await until(pilot, lambda: screen.reply is not None)
        await shows(pilot, "Esc Stop", "Enter Send")
        await pilot.press("alt+up")
        await shows(pilot, "Esc Stop", "y Copy", "i Details", "F2 Settings")
        hold.set()
        await answered(pilot, screen, 2)
        await shows(pilot, "e Edit")


async def test_a_model_that_is_gone_answers_nothing(desk: Desk):
    async with desk.app(ScriptedEngine(["one"])).run_test(size=WIDE) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        screen.do("model.unload")
        await until(pilot, lambda: screen.model.info is None)
        await pilot.press("alt+up")
        await shows(pilot, "e Edit", "f Fork")


async def test_in_the_settings_the_keys_of_a_field_are_named(desk: Desk):
    async with desk.app().run_test(size=WIDE) as pilot:
        await ready(pilot)
        await pilot.press("f2")
        await shows(pilot, "↑ ↓ Change", "Tab Next", "Esc Write", "F2 Hide", *EVERYWHERE)
        await pilot.press("up")
        await shows(pilot, "↑ ↓ Change", "Tab Next", "Ctrl+R Default", "Esc Write")
        await pilot.press("ctrl+r")
        await shows(pilot, "↑ ↓ Change", "Tab Next", "Esc Write")
        await pilot.press("escape")
        await shows(pilot, "Enter Send")


async def test_in_the_search_bar_the_keys_that_hold_everywhere_are_the_same(desk: Desk):
    async with desk.app(ScriptedEngine(["one"])).run_test(size=WIDE) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        await pilot.press("ctrl+f")
        await shows(pilot, "Enter Next", "↑ Previous", "Esc Close", "F2 Settings", *EVERYWHERE)


async def test_while_a_turn_is_edited_enter_says_what_it_does_to_it(desk: Desk):
    async with desk.app(ScriptedEngine(["one"])).run_test(size=WIDE) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        for keys, entries in (
            (("alt+up", "e"), ("Enter Save", "Esc Cancel")),
            (("escape", "up", "e"), ("Enter Send", "Ctrl+S Save only", "Esc Cancel")),
        ):
            await pilot.press(*keys)
            await until(pilot, lambda: bool(screen.query(TurnEditor)))
            await shows(pilot, *entries)


async def test_a_deletion_says_the_key_in_force_that_undoes_it(desk: Desk):
    app = desk.app(ScriptedEngine(["one"]), command_line={"keys.bindings": {"chat.undo": "f12"}})
    async with app.run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        await pilot.press("alt+up", "delete")
        await until(pilot, lambda: len(screen.conversation.path) == 1)
        assert [one.message for one in app._notifications][
            -1
        ] == "1 turn deleted. Press F12 to undo."
        await pilot.press("f12")
        await answered(pilot, screen, 2)


async def test_the_message_box_names_a_key_only_where_that_leads_to_it(desk: Desk):
    hold = threading.Event()
    async with desk.app(ScriptedEngine(["one", "two"], hold=hold)).run_test(size=WIDE) as pilot:
        screen = await ready(pilot)
        hold.set()
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        await pilot.press("alt+up")
        await until(pilot, lambda: screen.composer.placeholder == "Esc to write")
        await pilot.press("e")
        await until(pilot, lambda: bool(screen.query(TurnEditor)))
        await until(pilot, lambda: screen.composer.placeholder == "Ctrl+G to write")
        await pilot.press("escape", "escape")
        hold.clear()
        await say(pilot, "more")
        await until(pilot, lambda: screen.reply is not None)
        await pilot.press("alt+up")
        await until(pilot, lambda: screen.composer.placeholder == "Write a message…")
        hold.set()
