"""The keys of dialogs can be remapped like all others; hints and help name those in force."""

from __future__ import annotations

import re
from typing import Any

import pytest
from textual.app import App
from textual.binding import Binding
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input, OptionList

from tests.screens.conftest import ROOMY, Desk, answered, ready, say, until
from tests.screens.host import Host, screen_text, type_text
from tests.scripted import ScriptedEngine
from tui.actions import ACTIONS
from tui.app import ChatApp
from tui.conversation import Conversation
from tui.keymap import Keymap, keymap
from tui.scopes import PLACES
from tui.screens.ask import AskText
from tui.screens.dialog import Hint, KeyHints, PickList
from tui.screens.export_dialog import ExportDialog
from tui.screens.help import HelpScreen
from tui.screens.models.picker import ModelPicker
from tui.screens.picker import Entry, Picker
from tui.screens.session_list import SessionList
from tui.screens.settings_screen import SettingsScreen
from tui.screens.tree_view import TreeView, TurnTree
from tui.widgets.find_bar import FindBar


class Remapped(Host):
    """Shows one dialog, with some keys changed as the real app changes them."""

    def __init__(self, dialog: Screen[Any], **bindings: str) -> None:
        super().__init__(dialog)
        found = keymap(bindings={name.replace("__", "."): key for name, key in bindings.items()})
        assert found.problems == ()
        self.keymap_in_force: Keymap = found
        self.set_keymap({one.id: ",".join(found.keys[one.id]) for one in ACTIONS if one.keys})

    def handle_bindings_clash(self, *_args: Any, **_kwargs: Any) -> None:
        pass


def with_keys(desk: Desk, **bindings: str) -> ChatApp:
    named = {name.replace("__", "."): key for name, key in bindings.items()}
    return desk.app(ScriptedEngine(["Hello."]), command_line={"keys.bindings": named})


def hints(app: App[Any]) -> str:
    return str(app.screen.query_one(KeyHints).render())


async def open_chats(pilot: Pilot[Any]) -> SessionList:
    screen = await ready(pilot)
    await say(pilot, "hi")
    await answered(pilot, screen, 2)
    await pilot.press("f3")
    await until(pilot, lambda: isinstance(pilot.app.screen, SessionList))
    chats = pilot.app.screen
    assert isinstance(chats, SessionList)
    await until(pilot, lambda: chats.query_one(PickList).option_count)
    await pilot.press("down")
    await until(pilot, lambda: isinstance(chats.focused, PickList))
    return chats


async def test_a_remapped_key_works_in_the_list_of_chats(desk: Desk):
    app = with_keys(desk, chats__pin="f6", chats__duplicate="ctrl+l")
    async with app.run_test(size=ROOMY) as pilot:
        chats = await open_chats(pilot)
        assert "F6 Pin" in hints(app)
        assert "Ctrl+L Duplicate" in hints(app)
        await pilot.press("f6")
        await until(pilot, lambda: [one.pinned for one in desk.store.list()] == [True])
        await pilot.press("ctrl+l")
        await until(pilot, lambda: chats.query_one(PickList).option_count == 2)
        assert "Ctrl+D Duplicate" not in hints(app)


async def test_a_key_that_was_taken_away_is_in_no_hint(desk: Desk):
    app = with_keys(desk, chats__pin="none")
    async with app.run_test(size=ROOMY) as pilot:
        await open_chats(pilot)
        assert "F2 Rename   Ctrl+G Tags" in hints(app)


async def test_a_remapped_key_works_in_the_list_of_models(desk: Desk):
    app = with_keys(desk, models__switch="f9", models__add_folder="ctrl+l,f6")
    async with app.run_test(size=ROOMY) as pilot:
        await ready(pilot)
        await pilot.press("f4")
        await until(pilot, lambda: isinstance(app.screen, ModelPicker))
        assert "F9 The Hub" in hints(app)
        await pilot.press("ctrl+t")
        await pilot.press("f9")
        await until(pilot, lambda: "F9 This machine" in hints(app))
        await pilot.press("f9", "down", "ctrl+l")
        await until(pilot, lambda: isinstance(app.screen, AskText))


async def test_a_remapped_key_works_in_lists_trees_and_exports(tmp_path):
    entries = [Entry("a", "one"), Entry("b", "two")]
    app: Host = Remapped(Picker("Which?", entries), list__down="ctrl+n")
    async with app.run_test() as pilot:
        await until(pilot, lambda: app.screen.query_one(OptionList).option_count == 2)
        assert "↑/Ctrl+N Move" in hints(app)
        await pilot.press("down", "ctrl+n", "enter")
        await until(pilot, lambda: app.result == "b")

    chat = Conversation().add_user("hi")
    chat = chat.add_user("again")
    app = Remapped(TreeView(chat), tree__next_branch="j", tree__previous_branch="k")
    async with app.run_test() as pilot:
        await until(pilot, lambda: isinstance(app.screen.focused, TurnTree))
        keys = {key: one.binding.id for key, one in app.screen.active_bindings.items()}
        assert keys["j"] == "tree.next_branch"
        assert "n" not in keys
        assert "j/k Variants" in hints(app)

    formats = [("a", "One", "md"), ("b", "Two", "json")]
    app = Remapped(ExportDialog(formats, tmp_path / "x.md"), export__next_format="ctrl+n")
    async with app.run_test(size=ROOMY) as pilot:
        path = app.screen.query_one("#path", Input)
        app.screen.set_focus(path)
        await pilot.press("down", "ctrl+n")
        await until(pilot, lambda: path.value.endswith(".json"))
        await pilot.press("up")
        await until(pilot, lambda: path.value.endswith(".md"))


async def test_a_remapped_key_works_in_the_search_bar_and_the_composer(desk: Desk, monkeypatch):
    app = with_keys(desk, find__next="f12", text__newline="ctrl+o", chat__open="f3")
    async with app.run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        assert "Ctrl+O for a new line" in screen.composer.placeholder
        await type_text(pilot, "a")
        await pilot.press("ctrl+o", "b")
        assert screen.composer.text == "a\nb"
        await pilot.press("ctrl+j")
        assert screen.composer.text == "a\nb"
        screen.composer.clear()
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        await pilot.press("ctrl+f")
        stepped: list[int] = []
        monkeypatch.setattr(FindBar, "action_step", lambda _, step: stepped.append(step))
        await pilot.press("enter", "f12", "up")
        await until(pilot, lambda: stepped == [1, -1])


async def test_keys_in_hints_follow_a_change_of_the_file(desk: Desk):
    app = desk.app()
    async with app.run_test(size=ROOMY) as pilot:
        await ready(pilot)
        await pilot.press("f10")
        await until(pilot, lambda: isinstance(app.screen, SettingsScreen))
        assert "Ctrl+R Reset" in hints(app)
        desk.paths.config_file.write_text('[keys.bindings]\n"setting.unset" = "f12"\n')
        await until(pilot, lambda: "F12 Reset" in hints(app))


async def test_help_opens_over_a_dialog_with_its_keys_first(desk: Desk):
    app = with_keys(desk, chats__pin="f6")
    async with app.run_test(size=(100, 60)) as pilot:
        chats = await open_chats(pilot)
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        await until(pilot, lambda: "In the chat list" in screen_text(pilot))
        text = screen_text(pilot)
        places = ["In the chat list", "In the chat and model lists", "In any dialog"]
        assert sorted(places, key=text.index) == places
        assert re.search(r"F6 +Pin\b", text)
        await pilot.press("f1")
        await until(pilot, lambda: app.screen is chats)


async def test_help_lists_the_keys_of_every_place():
    app = Host(HelpScreen())
    async with app.run_test(size=(100, 500)) as pilot:
        await until(pilot, lambda: "In a report" in screen_text(pilot))
        text = screen_text(pilot)
        for title in PLACES.values():
            assert text.count(title) == 1


@pytest.mark.parametrize(
    ("key", "keys", "shown"),
    [
        ("form.accept", "ctrl+s", "Ctrl+S"),
        ("chats.trash", "delete", "Del"),
        ("chats.tag", "number_sign", "#"),
        ("chats.tag", "shift+f5", "Shift+F5"),
        ("Esc", "", "Esc"),
    ],
)
async def test_a_hint_names_its_key_shortly(key, keys, shown):
    class Hinted(Host):
        keymap_in_force = Keymap({"form.accept": (), key: tuple(filter(None, [keys]))})

    if not keys:
        Hinted.keymap_in_force = keymap()
    screen: Screen[None] = Screen()
    app = Hinted(screen)
    async with app.run_test() as pilot:
        await screen.mount(KeyHints([Hint(key, "do it", "close")]))
        await until(pilot, lambda: hints(app).strip() == f"{shown} Do it")


def test_a_class_can_say_what_an_action_does_otherwise():
    from tui.scopes import Scope
    from tui.widgets.bindings import bindings

    made = {
        one.id: one
        for one in bindings(Scope.LIST, does={"list.up": "move(-1)"})
        if isinstance(one, Binding)
    }
    assert made["list.up"].action == "move(-1)"
    assert made["list.down"].action == "down"
    assert "list.choose" not in made
