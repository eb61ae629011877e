from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input

from tests.screens.host import OPEN, Host, screen_text, until
from tui.screens.ask import Ask
from tui.screens.export_dialog import ExportChoice, ExportDialog, look_at, with_extension

FORMATS = [
    ("json", "chat-tui", ".json"),
    ("lines", "One a line", "jsonl"),
    ("md", "Markdown", ".md"),
]


def dialog(path: Path, *, has_selection: bool = False) -> ExportDialog:
    return ExportDialog(FORMATS, path, has_selection)


async def test_enter_takes_the_suggestion(tmp_path):
    app = Host(dialog(tmp_path / "chat.md"))
    async with app.run_test() as pilot:
        await pilot.press("enter", "enter")
        await until(pilot, lambda: app.result is not OPEN)
        assert app.result == ExportChoice("md", tmp_path / "chat.md", False, True)


async def test_the_extension_follows_the_format(tmp_path):
    app = Host(dialog(tmp_path / "chat"))
    async with app.run_test() as pilot:
        path = app.dialog.query_one("#path", Input)
        assert path.value == str(tmp_path / "chat.json")
        await pilot.press("down")
        await pilot.pause()
        assert path.value == str(tmp_path / "chat.jsonl")
        await pilot.press("down", "ctrl+s")
        await until(pilot, lambda: app.result is not OPEN)
        assert app.result == ExportChoice("md", tmp_path / "chat.md")


async def test_the_focus_is_there_at_once_so_that_no_key_overtakes_it(tmp_path):
    app = Host(dialog(tmp_path / "chat"))
    async with app.run_test():
        app.dialog.set_focus(app.dialog.query_one("#path"))
        app.dialog.on_mount()
        assert app.dialog.focused is app.dialog.query_one("#formats")


async def test_arrow_keys_choose_the_format_also_from_the_path(tmp_path):
    app = Host(dialog(tmp_path / "chat"))
    async with app.run_test() as pilot:
        app.dialog.query_one("#path", Input).focus()
        await pilot.press("down", "down", "up", "enter")
        await until(pilot, lambda: app.result is not OPEN)
        assert app.result.format == "lines"


@pytest.mark.parametrize(("keys", "result"), [(["right", "enter"], True), (["k"], False)])
async def test_an_existing_file_is_replaced_only_after_asking(tmp_path, keys, result):
    (tmp_path / "chat.json").write_text("old")
    app = Host(dialog(tmp_path / "chat.json"))
    async with app.run_test() as pilot:
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await pilot.press(*keys)
        await until(pilot, lambda: not isinstance(app.screen, Ask))
        await pilot.pause(0.05)
        if result:
            assert app.result == ExportChoice("json", tmp_path / "chat.json", overwrite=True)
        else:
            assert app.result is OPEN
    assert (tmp_path / "chat.json").read_text() == "old"


async def test_a_path_that_cannot_be_written_is_refused_in_place(tmp_path):
    app = Host(dialog(tmp_path / "no" / "chat.json"))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("ctrl+s")
        await until(pilot, lambda: not app.dialog.query_one("#problem").has_class("-none"))
        assert app.result is OPEN
        await pilot.pause()
        assert "doesn't exist. Create it first" in screen_text(pilot)
        app.dialog.query_one("#path", Input).value = str(tmp_path / "chat.json")
        await pilot.press("enter")
        await until(pilot, lambda: app.result is not OPEN)
        assert app.result.path == tmp_path / "chat.json"


async def test_a_selection_can_be_exported_alone_or_not(tmp_path):
    app = Host(dialog(tmp_path / "chat", has_selection=True))
    async with app.run_test() as pilot:
        await pilot.press("ctrl+s")
        await until(pilot, lambda: app.result is not OPEN)
        assert app.result.whole is False
    app = Host(dialog(tmp_path / "chat", has_selection=True))
    async with app.run_test() as pilot:
        await pilot.click("#selection")
        await pilot.click("#accept")
        await until(pilot, lambda: app.result is not OPEN)
        assert app.result.whole is True


@pytest.mark.parametrize("size", [(60, 20), (80, 24)])
async def test_with_many_formats_the_buttons_stay_in_sight(tmp_path, size):
    formats = [(f"f{number}", f"Format {number}", ".txt") for number in range(20)]
    app = Host(ExportDialog(formats, tmp_path / "chat", has_selection=True))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        await pilot.click("#cancel")
        await pilot.pause()
        assert app.result is None


def test_the_home_folder_may_be_named_by_its_sign(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert look_at("~/chat.md").path == tmp_path / "chat.md"


def test_what_is_no_place_for_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    problems = {
        "": "Type the path",
        "a\0b": "isn't the path of a file",
        str(tmp_path): "is a folder",
        f"{tmp_path}/new/": "is a folder",
        f"{tmp_path}/a/b": "doesn't exist. Create it first",
        f"{tmp_path}/file/b": "is a file",
        f"{tmp_path}/gone": "isn't a regular file",
        "/" + "x" * 5000: "can't be used",
    }
    for typed, words in problems.items():
        assert words in look_at(typed).problem, typed
    assert look_at(f"{tmp_path}/file").exists
    assert not look_at(f"{tmp_path}/file").problem


def test_only_an_extension_that_is_known_is_replaced():
    known = (".json", ".jsonl", ".md")
    assert with_extension("/a/v1.5", ".md", known) == "/a/v1.5.md"
    assert with_extension("/a/b.jsonl", ".md", known) == "/a/b.md"
    assert with_extension("/a/b.md", ".md", known) == "/a/b.md"
    assert with_extension("/a/.json", ".md", known) == "/a/.json.md"
    assert with_extension("/a/", ".md", known) == "/a/"


async def test_tab_completes_folders_of_the_path_and_then_leaves_it(tmp_path):
    (tmp_path / "notes" / "old").mkdir(parents=True)
    (tmp_path / "notes.md").write_text("x")
    app = Host(dialog(tmp_path / "chat"))
    async with app.run_test(size=(120, 40)) as pilot:
        path = app.dialog.query_one("#path", Input)
        app.dialog.set_focus(path)
        await until(pilot, lambda: "Tab Complete" in screen_text(pilot))
        path.value = f"{tmp_path}/no"
        path.cursor_position = len(path.value)
        await pilot.press("tab")
        await until(pilot, lambda: path.value == f"{tmp_path}/notes/")
        assert app.dialog.focused is path
        await pilot.press("x", "tab")
        await until(pilot, lambda: app.dialog.focused is not path)
        assert path.value == f"{tmp_path}/notes/x"
        await until(pilot, lambda: "Tab Next field" in screen_text(pilot))


async def test_how_a_path_may_go_on_is_shown_behind_the_cursor(tmp_path, monkeypatch):
    (tmp_path / "notes").mkdir()
    # The whole path has to fit into the field.
    monkeypatch.chdir(tmp_path)
    app = Host(dialog(tmp_path / "chat"))
    async with app.run_test(size=(120, 40)) as pilot:
        path = app.dialog.query_one("#path", Input)
        app.dialog.set_focus(path)
        path.value = "./no"
        await until(pilot, lambda: "./notes/" in screen_text(pilot))
        assert path.value == "./no"


async def test_an_extension_is_not_cut_on_a_narrow_screen(tmp_path):
    formats = [("lines", "A format with a name that is rather long indeed", "jsonl")]
    app = Host(ExportDialog(formats, tmp_path / "chat"))
    async with app.run_test(size=(44, 12)) as pilot:
        await until(pilot, lambda: "…  .jsonl" in screen_text(pilot))
        await pilot.resize_terminal(120, 40)
        await until(pilot, lambda: "rather long" in screen_text(pilot))
        assert ".jsonl" in screen_text(pilot)
