"""Commands, completion, attachments: what a user types, sees and finds on disk."""

from __future__ import annotations

import json
import os

import pytest
from textual.events import Key, Paste
from textual.widgets import Input

from tests.screens.conftest import ROOMY, WIDE, Desk, answered, ready, say, shown, until
from tests.screens.host import type_text
from tests.scripted import ScriptedEngine
from tui.app import Start
from tui.screens.models.picker import ModelPicker
from tui.screens.path_offers import path_offers
from tui.screens.picker import Picker
from tui.screens.settings_screen import SettingsScreen
from tui.settings.examples import BUILT_IN
from tui.widgets.command_menu import CommandMenu


async def typed(pilot, text):
    """Put a text into the composer and press Enter, as after typing it whole."""
    screen = pilot.app.screen
    screen.composer.focus()
    screen.composer.set_text(text)
    await pilot.pause()
    await pilot.press("enter")
    await pilot.pause()


def told(pilot) -> str:
    """What messages say, however the names of folders have them wrapped on the screen."""
    return " ".join(one.message for one in pilot.app._notifications)


async def test_set_changes_what_the_next_reply_is_made_with(desk: Desk):
    engine = ScriptedEngine()
    async with desk.app(engine).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await typed(pilot, '!set temperature=.9 stop_strings=["a b", "c"] top_h=1e-1')
        await until(pilot, lambda: screen.core.settings.parameters)
        assert "temperature = 0.9" in shown(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
    assert engine.requests[0].parameters == {
        "temperature": 0.9,
        "stop_strings": ["a b", "c"],
        "top_h": 0.1,
    }


async def test_enter_that_overtakes_the_list_of_completions_still_runs_the_command(desk: Desk):
    async with desk.app().run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await type_text(pilot, "/statu")
        await until(pilot, lambda: screen.composer.menu_open)
        screen.composer.post_message(Key("s", "s"))
        screen.composer.post_message(Key("enter", None))
        await until(pilot, lambda: isinstance(pilot.app.screen, SettingsScreen), 3)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("/set temprature=1", "Did you mean temperature?"),
        ("/set temperature", "has no '='"),
        ("/reset temprature", "Did you mean temperature?"),
        ("/theme nope", "There is no theme nope"),
        ("/preset nope", "There is no preset 'nope'"),
        ("/prompt nope", "There is no system prompt 'nope'"),
        ("/example nope", "There is no example nope"),
        ("/attach nope.txt", "nope.txt can't be attached"),
        ("/save", "There is nothing to save yet"),
    ],
)
async def test_a_command_that_can_not_be_done_says_why(desk: Desk, command, words):
    async with desk.app().run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await typed(pilot, command)
        await until(
            pilot, lambda: words in " ".join(one.message for one in pilot.app._notifications)
        )
        assert screen.conversation.path == ()


async def test_what_is_no_command_goes_back_into_the_composer(desk: Desk):
    async with desk.app().run_test(size=WIDE, notifications=True) as pilot:
        screen = await ready(pilot)
        await typed(pilot, "/hlep me")
        await until(pilot, lambda: "Did you mean /help?" in shown(pilot))
        assert screen.composer.text == "/hlep me"
        assert screen.conversation.path == ()


async def test_a_doubled_sign_and_a_path_are_sent(desk: Desk):
    engine = ScriptedEngine()
    async with desk.app(engine).run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        for text in ("//help", "!!exit", "/usr/bin/env is what?"):
            await typed(pilot, text)
            await until(
                pilot,
                lambda: (
                    screen.reply is None and not screen.composer.text and screen.conversation.path
                ),
            )
            await answered(pilot, screen, len(screen.conversation.path))
        sent = [turn.text for turn in screen.conversation.path if turn.role == "user"]
    assert sent == ["/help", "!exit", "/usr/bin/env is what?"]


async def test_commands_are_completed_as_one_types_with_a_line_of_help(desk: Desk):
    async with desk.app().run_test(size=(80, 24)) as pilot:
        screen = await ready(pilot)
        screen.composer.focus()
        await type_text(pilot, "/statu")
        await until(pilot, lambda: "Show what differs" in shown(pilot))
        await pilot.press("tab")
        assert screen.composer.text == "/status"
        # A name that is whole keeps its line.
        await until(pilot, lambda: "Show what differs" in shown(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, SettingsScreen))
        await pilot.press("escape")
        await type_text(pilot, "/pre")
        await until(pilot, lambda: "/preset [NAME]" in shown(pilot))
        await pilot.press("down", "enter")
        assert screen.composer.text == "/preset-delete "
        await pilot.press(*["backspace"] * 15, "slash", "escape")
        await until(pilot, lambda: "/preset" not in shown(pilot))
        assert screen.composer.text == "/"


async def test_the_list_of_commands_cuts_no_text_and_has_keys_at_its_end(desk: Desk):
    for size in ((80, 24), (100, 16), (120, 40), (200, 60)):
        async with desk.app().run_test(size=size) as pilot:
            screen = await ready(pilot)
            for typed_text in ("/", "/pre", "/new"):
                screen.composer.set_text(typed_text)
                menu = pilot.app.screen.query_one(CommandMenu)
                await until(pilot, lambda menu=menu: menu.is_open and menu.size.width > 10)
                rows = [str(one.prompt) for one in menu.options]
                room = menu.scrollable_content_region.width
                assert all(len(row) <= room for row in rows), (size, typed_text)
                assert "…" not in "".join(rows).replace("VALUE …", "").replace("NAME …", "")
                if typed_text == "/new":
                    assert rows[0].startswith("/new")
                    assert rows[0].endswith("Ctrl+N")
                    # It is no wider than its longest row.
                    assert menu.outer_size.width <= max(map(len, rows)) + 5


async def test_an_example_begins_a_chat_with_its_text(desk: Desk):
    engine = ScriptedEngine()
    async with desk.app(engine).run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await say(pilot, "before")
        await answered(pilot, screen, 2)
        first = screen.conversation.id
        await typed(pilot, "!example socks")
        await until(pilot, lambda: screen.conversation.id != first)
        await answered(pilot, screen, 2)
        assert screen.conversation.path[0].text == BUILT_IN["socks"]


async def test_examples_come_from_the_file_that_is_named(desk: Desk, tmp_path):
    file = tmp_path / "mine.yml"
    file.write_text("pets: {text: 'Cats or dogs?'}\n")
    async with desk.app(command_line={"chat.examples": str(file)}).run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await typed(pilot, "/example")
        await until(
            pilot, lambda: isinstance(pilot.app.screen, Picker) and "Cats or dogs?" in shown(pilot)
        )
        await pilot.press("enter")
        await answered(pilot, screen, 2)
        assert screen.conversation.path[0].text == "Cats or dogs?"


async def test_save_writes_what_transformers_chat_reads(desk: Desk, tmp_path):
    folder = tmp_path / "saves"
    async with desk.app(command_line={"chat.save_folder": str(folder)}).run_test(
        size=ROOMY
    ) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        await typed(pilot, "!save")
        await until(pilot, lambda: list(folder.rglob("*.json")))
        await typed(pilot, f"/save {tmp_path / 'named'}")
        await until(pilot, (tmp_path / "named.json").exists)
    (file,) = folder.rglob("*.json")
    assert file.parent.name == "scripted"
    for path in (file, tmp_path / "named.json"):
        saved = json.loads(path.read_text())
        assert saved["settings"]["model_id"] == "scripted"
        assert saved["chat_history"] == [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "Hello there."},
        ]


async def test_exit_leaves(desk: Desk):
    app = desk.app()
    async with app.run_test(size=ROOMY) as pilot:
        await ready(pilot)
        await typed(pilot, "!exit")
        await until(pilot, lambda: app._exit)


async def test_a_command_works_while_a_reply_is_written_and_without_a_model(desk: Desk):
    async with desk.app(start=Start()).run_test(size=ROOMY) as pilot:
        await until(pilot, lambda: isinstance(pilot.app.screen, ModelPicker))
        screen = pilot.app.screen_stack[0]
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is screen)
        await typed(pilot, "/model other/model")
        await until(pilot, lambda: screen.model.ready)
        assert screen.app.worker.memory() is not None
        assert screen.model.info.model == "other/model"


async def test_a_long_paste_becomes_a_chip_that_goes_with_the_message(desk: Desk):
    from textual import events

    engine = ScriptedEngine()
    text = "\n".join(f"line {number}" for number in range(60)) + "\n```\ncode\n```"
    async with desk.app(engine).run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        screen.composer.focus()
        pilot.app.post_message(events.Paste(text))
        await until(pilot, lambda: "[pasted text, 63 lines]" in shown(pilot))
        assert screen.composer.text == ""
        assert screen.conversation.path == ()
        await say(pilot, "what")
        await answered(pilot, screen, 2)
        assert "pasted text," not in shown(pilot)
    sent = engine.requests[0].messages[-1].content
    assert sent == f"what\n\npasted text:\n````\n{text}\n````"


async def test_a_very_long_line_is_folded_even_where_pastes_are_not(desk: Desk):
    app = desk.app(command_line={"composer.fold_lines": 0})
    async with app.run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        app.post_message(Paste("x" * 100_001))
        await until(pilot, lambda: screen.view.area.attachments)
        assert screen.composer.text == ""


async def test_a_chip_is_unfolded_by_a_click_and_taken_away_by_backspace(desk: Desk):
    from textual import events

    async with desk.app().run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        screen.composer.focus()
        pilot.app.post_message(events.Paste("x\n" * 50))
        await until(pilot, lambda: screen.view.area.attachments)
        await pilot.press("backspace")
        await until(pilot, lambda: not screen.view.area.attachments)
        pilot.app.post_message(events.Paste("y\n" * 50))
        await until(pilot, lambda: screen.view.area.attachments)
        await pilot.pause()
        assert await pilot.click("#attachments", offset=(4, 0))
        await until(pilot, lambda: screen.composer.text == "y\n" * 50)
        assert not screen.view.area.attachments


async def test_a_file_is_completed_behind_an_at_and_sent_along(desk: Desk, tmp_path, monkeypatch):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "todo.txt").write_text("buy milk\n")
    monkeypatch.chdir(tmp_path)
    engine = ScriptedEngine()
    async with desk.app(engine).run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        screen.composer.focus()
        await pilot.press(*"see", "space", "at", *"no")
        await until(pilot, lambda: screen.composer.menu_open)
        await pilot.press("tab")
        await until(pilot, lambda: screen.composer.menu_open and "notes/todo.txt" in shown(pilot))
        await pilot.press("tab")
        await until(pilot, lambda: screen.view.area.attachments)
        assert screen.composer.text == "see @notes/todo.txt "
        await pilot.press("enter")
        await answered(pilot, screen, 2)
    assert "buy milk" in engine.requests[0].messages[-1].content


@pytest.mark.parametrize("content", [b"a\0b", b"x" * 1_000_001])
async def test_a_file_that_is_no_text_is_not_sent(desk: Desk, tmp_path, content):
    file = tmp_path / "data.bin"
    file.write_bytes(content)
    async with desk.app().run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await typed(pilot, f"/attach {file}")
        await until(pilot, lambda: "can't be attached" in told(pilot))
        assert not screen.view.area.attachments


async def test_the_editor_changes_the_message(desk: Desk, tmp_path, monkeypatch):
    async with desk.app().run_test(size=WIDE) as pilot:
        screen = await ready(pilot)
        monkeypatch.setattr(
            screen.handlers.editing, "edit_outside", lambda text: f"{text} and more"
        )
        screen.composer.set_text("some")
        screen.composer.focus()
        await pilot.press("alt+e")
        assert screen.composer.text == "some and more"
        screen.query_one("#system-prompt").focus()
        await pilot.press("alt+e")
        assert screen.core.settings.system_prompt == " and more"


async def test_the_palette_leads_to_the_pickers(desk: Desk):
    async with desk.app().run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        for command, title in (
            ("/theme", "Themes"),
            ("/preset", "Presets"),
            ("/prompt", "System prompts"),
            ("/example", "Examples"),
            ("/history", "Your messages"),
        ):
            await typed(pilot, command)
            await until(
                pilot,
                lambda title=title: isinstance(pilot.app.screen, Picker) and title in shown(pilot),
            )
            assert isinstance(pilot.app.screen.focused, Input)
            await pilot.press("escape")
            await until(pilot, lambda: pilot.app.screen is screen)


def test_hidden_files_are_offered_only_when_asked_for(tmp_path, monkeypatch):
    for name in (".env", "a.txt", "with blank"):
        (tmp_path / name).write_text("x")
    monkeypatch.chdir(tmp_path)
    assert path_offers("") == ["a.txt", "with blank"]
    assert path_offers(".e") == [".env"]
    assert path_offers(f"{tmp_path}{os.sep}A") == [f"{tmp_path}{os.sep}a.txt"]
    assert path_offers("no/such/") == []


async def test_a_file_with_a_blank_in_its_name_is_offered_in_quotes_and_read_when_sent(
    desk: Desk, tmp_path, monkeypatch
):
    (tmp_path / "my notes").mkdir()
    (tmp_path / "my notes" / "to do.md").write_text("buy milk")
    monkeypatch.chdir(tmp_path)
    scripted = ScriptedEngine(["ok"])
    async with desk.app(scripted).run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        screen.composer.focus()
        await pilot.press(*"see", "space", "at", *"my")
        await until(pilot, lambda: screen.composer.menu_open)
        await pilot.press("tab")
        await until(pilot, lambda: screen.composer.text == 'see @"my notes/')
        await until(pilot, lambda: "to do.md" in shown(pilot))
        await pilot.press("tab")
        await until(pilot, lambda: screen.view.area.attachments)
        assert screen.composer.text == 'see @"my notes/to do.md" '
        screen.view.area.set_attachments(())
        await pilot.press("x", "enter")
        await until(pilot, lambda: scripted.requests)
        assert "buy milk" in scripted.requests[-1].messages[-1].content


async def test_the_path_behind_a_command_is_completed(desk: Desk, tmp_path, monkeypatch):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "my notes.txt").write_text("alpha")
    (tmp_path / "other.txt").write_text("beta")
    monkeypatch.chdir(tmp_path)
    async with desk.app().run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        screen.composer.focus()
        await type_text(pilot, "/attach de")
        await until(pilot, lambda: screen.composer.menu_open and "deep/" in shown(pilot))
        await pilot.press("tab")
        await until(pilot, lambda: screen.composer.text == "/attach deep/")
        await until(pilot, lambda: screen.composer.menu_open)
        await pilot.press("enter")
        await until(pilot, lambda: screen.composer.text == "/attach deep/my notes.txt")
        await until(pilot, lambda: not screen.composer.menu_open)
        assert not screen.view.area.attachments
        await pilot.press("enter")
        await until(pilot, lambda: screen.view.area.attachments)
        assert screen.view.area.attachments[0].text == "alpha"


async def test_attaching_without_a_name_lists_the_files(desk: Desk, tmp_path, monkeypatch):
    (tmp_path / "other.txt").write_text("beta")
    monkeypatch.chdir(tmp_path)
    async with desk.app().run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        screen.do("composer.attach")
        await until(pilot, lambda: "other.txt" in shown(pilot))
        await pilot.press("o", "enter")
        await until(pilot, lambda: screen.view.area.attachments)


async def test_a_file_that_is_named_with_an_at_sign_goes_with_the_message(desk: Desk, tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("alpha\nbeta")
    engine = ScriptedEngine()
    async with desk.app(engine).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await typed(pilot, f"look at @{file} and tell @nobody ")
        await answered(pilot, screen, 2)
        said = screen.conversation.path[0].content
        assert "alpha\nbeta" in said
        assert "@nobody" in said
        assert not screen.view.area.attachments


async def test_a_named_file_that_can_not_go_along_is_said_and_a_second_enter_sends_without(
    desk: Desk, tmp_path
):
    file = tmp_path / "program"
    file.write_bytes(b"\x7fELF\0\0")
    async with desk.app().run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await typed(pilot, f"see @{file} x")
        await until(pilot, lambda: "can't be attached" in told(pilot))
        assert screen.composer.text == f"see @{file} x"
        assert not screen.conversation.path
        await pilot.press("enter")
        await answered(pilot, screen, 2)
        assert screen.conversation.path[0].text == f"see @{file} x"


async def test_what_goes_with_a_message_is_counted_while_one_types_and_a_command_is_not(
    desk: Desk, tmp_path
):
    file = tmp_path / "long.txt"
    file.write_text("word " * 500)
    async with desk.app().run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        screen.composer.set_text("short")
        await until(pilot, lambda: screen.core.counting.draft_tokens)
        short = screen.core.counting.draft_tokens
        screen.do("composer.attach", str(file))
        await until(pilot, lambda: (screen.core.counting.draft_tokens or 0) > short + 400)
        screen.view.area.set_attachments(())
        screen.composer.set_text("/save some words that are not sent")
        await until(pilot, lambda: screen.core.counting.draft_tokens is None)


async def test_up_goes_on_through_messages_that_look_like_commands(desk: Desk):
    async with desk.app().run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        screen.composer.remember(["first", "/save", "/preset"])
        for expected in ("/preset", "/save", "first"):
            await pilot.press("up")
            await pilot.pause()
            assert screen.composer.text == expected
        await pilot.press("down")
        assert screen.composer.text == "/save"


async def test_a_message_that_begins_with_a_sign_is_brought_back_as_it_was_typed(desk: Desk):
    async with desk.app().run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await typed(pilot, "//help me")
        await answered(pilot, screen, 2)
        assert screen.conversation.path[0].text == "/help me"
        screen._painter.show_conversation()
        await pilot.press("up")
        assert screen.composer.text == "//help me"


@pytest.mark.parametrize(
    "text",
    [
        "hi @~no-such-user/x there",
        "hi @" + "x" * 300,
        "/save /",
        "/save ~no-such-user/x",
        "/preset-export .",
    ],
)
async def test_a_path_that_leads_nowhere_ends_nothing(desk: Desk, tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    async with desk.app().run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        await typed(pilot, text)
        if text.startswith("hi"):
            await answered(pilot, screen, 4)
            assert screen.conversation.path[2].text == text
        else:
            said = ("Nothing was written", "already exists", "Saved to")
            await until(pilot, lambda: any(words in shown(pilot) for words in said))
