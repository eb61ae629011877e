"""The screen of all settings: what is in force, where it comes from, and where a change is stored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from tests.screens.conftest import ROOMY, WIDE, Desk, answered, ready, say, shown, until
from tui.app import ChatApp
from tui.screens.ask import AskText
from tui.screens.chat import ChatScreen
from tui.screens.picker import Picker
from tui.screens.settings_screen import SettingsScreen
from tui.settings.config import read_config
from tui.settings.state import AppState


@asynccontextmanager
async def settings_of(
    app: ChatApp, size: tuple[int, int] = ROOMY, action: str = "settings.open"
) -> AsyncIterator[tuple[Pilot[Any], ChatScreen, SettingsScreen]]:
    """The settings screen over the chat."""
    async with app.run_test(size=size, notifications=True) as pilot:
        screen = await ready(pilot)
        screen.do(action)
        await until(pilot, lambda: isinstance(app.screen, SettingsScreen))
        dialog = app.screen
        assert isinstance(dialog, SettingsScreen)
        await until(pilot, lambda: dialog.query_one(OptionList).option_count)
        yield pilot, screen, dialog


async def find(pilot: Pilot[Any], dialog: SettingsScreen, words: str) -> None:
    """Have the list show what has the words, with the cursor on the first of them."""
    dialog.query_one(Input).value = words
    await until(pilot, lambda: any(words in row.searched for row in dialog._shown[1:2] if row))


async def answer(pilot: Pilot[Any], text: str) -> None:
    """Type a value in place of the one that is asked about."""
    await until(pilot, lambda: isinstance(pilot.app.screen, AskText))
    pilot.app.screen.query_one("#text", Input).value = text
    await pilot.press("enter")


def line(pilot: Pilot[Any], *words: str) -> bool:
    """Whether one line of the screen has all the words, one after the other."""
    lines = (" ".join(one.split()) for one in shown(pilot).splitlines())
    return any(" ".join(words) in one for one in lines)


async def test_the_groups_and_the_settings_have_names_for_people(desk: Desk):
    async with settings_of(desk.app()) as (pilot, _, dialog):
        assert line(pilot, "Data type", "auto", "default")
        await find(pilot, dialog, "temperature")
        assert line(pilot, "Sampling")
        assert line(pilot, "generation.temperature ·")
        assert "not set" not in shown(pilot)


async def test_a_change_of_a_parameter_holds_in_the_chat_at_once(desk: Desk):
    async with settings_of(desk.app(), WIDE) as (pilot, screen, dialog):
        await find(pilot, dialog, "top_k")
        await pilot.press("enter")
        await answer(pilot, "12")
        await until(pilot, lambda: line(pilot, "Top-k", "12", "this chat"))
        assert screen.core.settings.parameters == {"top_k": 12}
        assert screen.query_one("#parameter-top_k Input", Input).value == "12"
        assert line(pilot, "Applies to this chat and to new ones, from the next reply.")
        await pilot.press("ctrl+r")
        await until(pilot, lambda: not screen.core.settings.parameters)
        await until(pilot, lambda: line(pilot, "Top-k", "50", "default"))
    assert not desk.paths.config_file.exists()


async def test_undo_takes_back_a_setting_and_nothing_of_the_chat(desk: Desk):
    async with desk.app().run_test(size=WIDE) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        screen.core.settings.set({"temperature": 0.5})
        screen.do("settings.open")
        await until(pilot, lambda: isinstance(pilot.app.screen, SettingsScreen))
        dialog = pilot.app.screen
        await find(pilot, dialog, "temperature")
        for key in ("f8", "ctrl+z"):
            await pilot.press("ctrl+r")
            await until(pilot, lambda: "temperature" not in screen.core.settings.parameters)
            await until(pilot, lambda: "F8 Undo" in shown(pilot))
            await pilot.press(key)
            await until(pilot, lambda: "Undone: Temperature" in shown(pilot))
            assert screen.core.settings.parameters == {"temperature": 0.5}
        await pilot.press("f9")
        await until(pilot, lambda: "Redone: Temperature" in shown(pilot))
        assert "temperature" not in screen.core.settings.parameters
        await pilot.press("f8", "f8")
        await until(pilot, lambda: "There is no change to a setting to undo." in shown(pilot))
        assert "F8 Undo" not in shown(pilot)
        assert len(screen.conversation.path) == 2


async def test_a_parameter_is_saved_as_a_default(desk: Desk):
    async with settings_of(desk.app()) as (pilot, screen, dialog):
        screen.core.settings.set({"top_k": 12})
        await find(pilot, dialog, "top_k")
        await until(pilot, lambda: line(pilot, "Top-k", "12", "this chat"))
        await pilot.press("ctrl+s")
        await until(pilot, lambda: line(pilot, "Top-k", "12", "configuration file"))
        assert read_config(desk.paths.config_file).values == {"generation.top_k": 12}
        screen.core.settings.set({"top_k": 5})
        await until(pilot, lambda: "Resetting restores 12" in shown(pilot))
        await pilot.press("ctrl+r")
        await until(pilot, lambda: line(pilot, "Top-k", "12", "configuration file"))
        await pilot.press("ctrl+r")
        await until(pilot, lambda: line(pilot, "Top-k", "50", "default"))
        assert read_config(desk.paths.config_file).values == {}


async def test_the_list_follows_changes_made_elsewhere_until_it_is_closed(desk: Desk):
    state = AppState(parameters={"temperature": 0.7})
    async with settings_of(desk.app(state=state)) as (pilot, screen, dialog):
        await find(pilot, dialog, "temperature")
        assert line(pilot, "Temperature", "0.7", "last used")
        screen.core.settings.set({"temperature": 0.9})
        await until(pilot, lambda: line(pilot, "Temperature", "0.9", "this chat"))
        listeners = len(screen.core.settings.changed._listeners)
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is screen)
        assert len(screen.core.settings.changed._listeners) == listeners - 1


async def test_a_system_prompt_belongs_to_the_chat(desk: Desk):
    async with settings_of(desk.app()) as (pilot, screen, dialog):
        await find(pilot, dialog, "chat.system_prompt")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, AskText))
        await pilot.press(*"Hi", "enter")
        await until(pilot, lambda: line(pilot, "System prompt", "Hi", "this chat"))
        assert screen.core.settings.system_prompt == "Hi"
        await pilot.press("ctrl+r")
        await until(pilot, lambda: line(pilot, "System prompt", "none", "default"))
        assert screen.core.settings.system_prompt == ""


async def test_a_quantization_loads_the_model_again(desk: Desk):
    async with settings_of(desk.app()) as (pilot, screen, dialog):
        await find(pilot, dialog, "model.quantization")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, Picker))
        await pilot.press(*"int8", "enter")
        await until(pilot, lambda: line(pilot, "Quantization", "int8"))
        await until(pilot, lambda: screen.model.ready and screen.model.info.quantization == "int8")


async def test_the_theme_is_chosen_from_the_list_of_themes(desk: Desk):
    app = desk.app()
    async with settings_of(app) as (pilot, _, dialog):
        await find(pilot, dialog, "theme")
        first = app.theme
        assert line(pilot, "Theme", first, "default")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Picker))
        assert line(pilot, f"● {first}", "dark")
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.theme != first and app.screen is dialog)
        await until(pilot, lambda: line(pilot, "Theme", app.theme, "last used"))
        chosen = app.theme
        # A change of anything else keeps it.
        app.settings_changed()
        assert app.theme == chosen
        await pilot.press("ctrl+r")
        await until(pilot, lambda: line(pilot, "Theme", first, "default"))


async def test_what_to_do_with_a_full_context_holds_at_once(desk: Desk):
    async with settings_of(desk.app()) as (pilot, screen, dialog):
        await find(pilot, dialog, "when_full")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, Picker))
        await pilot.press("down", "enter")
        await until(pilot, lambda: screen.core.settings.overflow.value != "ask")
        await until(pilot, lambda: line(pilot, screen.core.settings.overflow.value, "this session"))


async def test_the_sidebar_comes_and_goes_with_its_setting(desk: Desk):
    async with settings_of(desk.app(), WIDE) as (pilot, screen, dialog):
        await find(pilot, dialog, "screen.sidebar")
        await pilot.press("enter")
        await until(pilot, lambda: not screen.has_class("-sidebar"))
        await until(pilot, lambda: line(pilot, "Sidebar", "off", "last used"))
        await pilot.press("ctrl+r")
        await until(pilot, lambda: screen.has_class("-sidebar"))


async def test_the_model_is_chosen_from_the_list_of_models(desk: Desk):
    async with settings_of(desk.app()) as (pilot, _, dialog):
        await find(pilot, dialog, "model.name")
        assert line(pilot, "Press Enter to open the model list.")
        await pilot.press("ctrl+r")
        await until(pilot, lambda: "This setting has no default." in shown(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: type(pilot.app.screen).__name__ == "ModelPicker")


async def test_what_the_command_line_sets_is_not_reset_here(desk: Desk):
    app = desk.app(command_line={"generation.top_k": 9, "screen.plain": False})
    async with settings_of(app) as (pilot, _, dialog):
        await find(pilot, dialog, "top_k")
        assert line(pilot, "Top-k", "9", "command line")
        await pilot.press("ctrl+r")
        await until(pilot, lambda: "This is set by the command line." in shown(pilot))
        await find(pilot, dialog, "screen.plain")
        await pilot.press("enter")
        await until(pilot, lambda: "Saved, but the command line overrides it" in shown(pilot))


async def test_status_lists_what_differs_from_the_defaults(desk: Desk):
    desk.paths.config_file.write_text("[generation]\ntop_k = 7\n[chat]\nuser = 'Ada'\n")
    app = desk.app(command_line={"generation.top_p": 0.5, "chat.system_prompt": "Be brief."})
    async with settings_of(app, action="settings.status") as (pilot, screen, _):
        screen.core.settings.set({"temperature": 0.3})
        await until(pilot, lambda: line(pilot, "Temperature", "0.3", "this chat"))
        assert line(pilot, "Top-p", "0.5", "command line")
        assert line(pilot, "Top-k", "7", "configuration file")
        assert line(pilot, "Your name", "Ada", "configuration file")
        assert line(pilot, "System prompt", "Be brief.", "command line")
        assert line(pilot, "Context", "2,048 tokens")
        assert "Min-p" not in shown(pilot)
        await pilot.press("ctrl+t")
        await until(pilot, lambda: line(pilot, "Data type", "auto", "default"))


async def test_the_cursor_goes_to_the_title_that_was_typed(desk: Desk):
    async with settings_of(desk.app()) as (pilot, _, dialog):
        dialog.query_one(Input).value = "temperature"
        await until(pilot, lambda: dialog.query_one(OptionList).option_count < 10)
        assert dialog._current is not None
        assert dialog._current.title == "Temperature"


@pytest.mark.parametrize("size", [(60, 16), (80, 24), (120, 40), (200, 60)])
async def test_the_cursor_reaches_every_setting_at_every_size(desk: Desk, size):
    async with settings_of(desk.app(), size) as (pilot, _, dialog):
        options = dialog.query_one(OptionList)
        dialog.action_move(10_000)
        assert options.highlighted == options.option_count - 1
        dialog.action_move(-10_000)
        await until(pilot, lambda: options.scroll_offset.y == 0)
        assert options.highlighted == 1


async def test_the_settings_screen_writes_the_file_with_its_comments_and_holds_at_once(desk: Desk):
    desk.paths.config_file.write_text("# mine\n[screen]\nplain = false # for now\n")
    app = desk.app()
    async with app.run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await pilot.press("f10")
        await until(pilot, lambda: isinstance(app.screen, SettingsScreen))
        await pilot.press(*"screen.plain", "enter")
        await until(
            pilot, lambda: read_config(desk.paths.config_file).values.get("screen.plain") is True
        )
        # While the dialog is open.
        await until(pilot, lambda: app.has_class("-plain"))
        assert isinstance(app.screen, SettingsScreen)
        await until(pilot, lambda: "on" in shown(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen and app.has_class("-plain"))
    text = desk.paths.config_file.read_text()
    assert "# mine" in text
    assert "# for now" in text


@pytest.mark.parametrize("content", ["[screen\nplain = tru", "\x00"])
async def test_a_broken_file_stops_nothing_and_is_left_alone(desk: Desk, content):
    desk.paths.config_file.write_text(content)
    app = desk.app()
    async with app.run_test(size=ROOMY) as pilot:
        await ready(pilot)
        await pilot.press("f10")
        await until(pilot, lambda: isinstance(app.screen, SettingsScreen))
        await pilot.press(*"screen.plain", "enter")
        await until(pilot, lambda: "not valid TOML" in " ".join(shown(pilot).split()))
    assert desk.paths.config_file.read_text() == content


async def test_the_settings_screen_says_when_nothing_has_the_words(desk: Desk):
    async with desk.app().run_test(size=ROOMY) as pilot:
        await ready(pilot)
        await pilot.press("f10")
        await pilot.pause()
        await pilot.press(*"zzz")
        await until(pilot, lambda: "No setting matches." in shown(pilot))
        await pilot.press("ctrl+u", *"theme")
        await until(pilot, lambda: "screen.theme" in shown(pilot))
        await until(pilot, lambda: "No setting matches." not in shown(pilot))


async def test_a_property_of_the_model_has_the_room_of_its_missing_source(desk: Desk):
    async with desk.app().run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("f10")
        await until(pilot, lambda: "bfloat16 on cpu, quantization none" in shown(pilot))
        facts = [
            one for one in shown(pilot).splitlines() if "Loaded as" in one or "Context  " in one
        ]
        assert len(facts) == 2
        assert "…" not in "".join(facts)
