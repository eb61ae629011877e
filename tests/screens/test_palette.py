"""The command palette: finds by a few letters what can be done now, and does it."""

import threading

import pytest
from textual import events
from textual.widgets import Input, Label, OptionList

from tests.screens.conftest import ROOMY, Desk, answered, ready, say, shown, until
from tests.screens.host import Host
from tests.scripted import ScriptedEngine
from tui.actions import action
from tui.screens.dialog import KeyHints
from tui.screens.help import HelpScreen
from tui.screens.palette import CommandPalette
from tui.settings.state import AppState


def rows(palette) -> list[str]:
    return [str(option.prompt) for option in palette.query_one(OptionList).options]


def titles(palette) -> list[str]:
    return [row.partition("  ")[0] for row in rows(palette)]


async def open_palette(pilot) -> CommandPalette:
    await pilot.press("ctrl+p")
    await until(pilot, lambda: isinstance(pilot.app.screen, CommandPalette))
    palette = pilot.app.screen
    assert isinstance(palette, CommandPalette)
    return palette


async def test_a_few_letters_find_what_is_then_done(desk: Desk):
    async with desk.app().run_test(size=ROOMY) as pilot:
        await ready(pilot)
        palette = await open_palette(pilot)
        await pilot.press(*"hel")
        await until(pilot, lambda: titles(palette)[0] == "Show help")
        assert rows(palette)[0].endswith("F1")
        assert str(palette.query_one("#what", Label).content) == action("app.help").help
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))


async def test_a_command_of_the_composer_finds_its_action_and_stands_where_there_is_no_key(
    desk: Desk,
):
    async with desk.app().run_test(size=ROOMY) as pilot:
        await ready(pilot)
        palette = await open_palette(pilot)
        await pilot.press("slash", *"theme")
        await until(pilot, lambda: titles(palette)[0] == "Choose a theme")
        assert rows(palette)[0].endswith("/theme")


async def test_what_was_chosen_last_comes_first_also_after_a_restart(desk: Desk):
    state = AppState(recent_commands=("app.stats", "chat.undo"))
    async with desk.app(state=state).run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        palette = await open_palette(pilot)
        assert titles(palette)[0] == "Show statistics"
        palette.query_one(Input).value = "Choose a theme"
        await pilot.press("enter")
        await until(pilot, lambda: "theme.choose" in screen.core.settings.state.recent_commands)
        assert screen.core.settings.state.recent_commands[:2] == ("theme.choose", "app.stats")
        await until(pilot, lambda: bool(desk.states))
        assert desk.states[-1].recent_commands[0] == "theme.choose"


async def test_only_what_would_have_an_effect_is_offered(desk: Desk):
    async with desk.app(ScriptedEngine(["Hello."])).run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        offered = titles(await open_palette(pilot))
        assert "New chat" in offered
        assert not {"Undo", "Regenerate the reply", "Export the chat", "Stop the reply", "Stop the download"} & set(offered)  # fmt: skip
        # What only a key is good for.
        assert not {"Write a message", "Show all commands", "Scroll up a page"} & set(offered)
        await pilot.press("escape")
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        offered = titles(await open_palette(pilot))
        assert {"Undo", "Regenerate the reply", "Export the chat"} <= set(offered)
        assert not {"Redo", "Show the next variant"} & set(offered)


async def test_the_key_of_what_is_done_to_a_turn_says_how_to_get_to_the_turn(desk: Desk):
    async with desk.app(ScriptedEngine(["Hello."])).run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        edit = next(
            row for row in rows(await open_palette(pilot)) if row.startswith("Edit the turn ")
        )
        assert edit.endswith("  Alt+Up e")
        await pilot.press("escape", "alt+up")
        edit = next(
            row for row in rows(await open_palette(pilot)) if row.startswith("Edit the turn ")
        )
        assert edit.endswith("  e")


async def test_what_is_no_longer_possible_when_it_is_chosen_is_not_done(desk: Desk):
    hold = threading.Event()
    async with desk.app(ScriptedEngine(["one"], hold=hold)).run_test(
        size=ROOMY, notifications=True
    ) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await until(pilot, lambda: screen.reply is not None)
        palette = await open_palette(pilot)
        palette.query_one(Input).value = "Stop the reply"
        await until(pilot, lambda: titles(palette) == ["Stop the reply"])
        hold.set()
        await until(pilot, lambda: screen.reply is None)
        await pilot.press("enter")
        await until(pilot, lambda: "That is no longer possible." in shown(pilot))


async def test_nothing_that_matches_is_said_and_enter_does_nothing():
    app = Host(CommandPalette([action("app.help")]))
    async with app.run_test() as pilot:
        await pilot.press(*"zzz", "enter")
        await until(
            pilot,
            lambda: "No command matches." in str(app.screen.query_one("#what", Label).content),
        )
        assert isinstance(app.screen, CommandPalette)


async def test_each_row_is_one_line_and_keys_stand_at_its_end_at_every_size():
    for size in ((44, 12), (80, 24), (200, 60)):
        app = Host(CommandPalette([action("app.help"), action("chat.new"), action("settings.set")]))
        async with app.run_test(size=size) as pilot:
            options = app.screen.query_one(OptionList)
            await until(pilot, lambda options=options: options.size.height == 3)
            room = options.scrollable_content_region.width - 2
            await until(
                pilot,
                lambda options=options, room=room: (
                    {len(str(one.prompt)) for one in options.options} == {room}
                ),
            )


async def test_the_arrows_choose_what_enter_runs(desk: Desk):
    async with desk.app().run_test(size=ROOMY) as pilot:
        await ready(pilot)
        for typed in ("", "set"):
            palette = await open_palette(pilot)
            await pilot.press(*typed)
            await until(pilot, lambda palette=palette, typed=typed: palette.query_one(Input).value == typed)  # fmt: skip
            chosen = []
            palette.dismiss = chosen.append
            wanted = palette._found[2].id
            await pilot.press("down", "down", "enter")
            assert chosen == [wanted]
            del palette.dismiss
            await pilot.press("escape")


async def test_enter_in_one_burst_with_a_name_runs_what_was_named(desk: Desk):
    async with desk.app().run_test(size=ROOMY) as pilot:
        await ready(pilot)
        await open_palette(pilot)
        for key in (*"help", "enter"):
            pilot.app.post_message(events.Key(key, key if len(key) == 1 else None))
        await until(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_the_frame_is_as_tall_as_what_it_holds(desk: Desk, size):
    async with desk.app().run_test(size=size) as pilot:
        await ready(pilot)
        palette = await open_palette(pilot)
        frame, keys = palette.query_one("#dialog"), palette.query_one(KeyHints)

        def is_filled() -> bool:
            return frame.region.bottom - keys.region.bottom == 1 + frame.styles.padding.bottom

        await until(pilot, is_filled)
        await pilot.press(*"theme")
        await until(pilot, lambda: len(rows(palette)) < 5)
        await until(pilot, is_filled)
