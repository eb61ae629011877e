"""A file is found by its path: what there is stands below the field, and Tab and Enter complete it."""

from __future__ import annotations

import pytest
from textual.widgets import Input, OptionList

from tests.screens.host import OPEN, Host, screen_text, type_text, until
from tui.screens.path_dialog import PathDialog


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "app.py").write_text("x")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "notes.txt.old").write_text("x")
    (tmp_path / "two words.txt").write_text("x")
    (tmp_path / ".hidden").write_text("x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def dialog(**options: object) -> Host:
    return Host(PathDialog("Attach a text file", accept="attach", **options))


def offers(app: Host) -> list[str]:
    return [str(one.prompt) for one in app.dialog.query_one(OptionList).options]


ALL = ["notes.txt", "notes.txt.old", "src/", "two words.txt"]


async def test_the_files_of_the_folder_are_listed_at_once_and_narrowed():
    app = dialog()
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: offers(app) == ALL)
        assert "Attach a text file" in screen_text(pilot)
        await type_text(pilot, "two")
        await until(pilot, lambda: offers(app) == ["two words.txt"])
        await pilot.press("enter")
        await until(pilot, lambda: app.result == "two words.txt")


@pytest.mark.parametrize("key", ["tab", "enter"])
async def test_a_folder_is_gone_into(key):
    app = dialog()
    async with app.run_test() as pilot:
        await type_text(pilot, "sr")
        await until(pilot, lambda: offers(app) == ["src/"])
        await pilot.press(key)
        await until(pilot, lambda: offers(app) == ["src/app.py"])
        assert (app.dialog.query_one(Input).value, app.result) == ("src/", OPEN)
        await pilot.press("enter")
        await until(pilot, lambda: app.result == "src/app.py")


async def test_a_whole_path_is_taken_though_another_goes_on_from_it():
    app = dialog()
    async with app.run_test() as pilot:
        await type_text(pilot, "notes.txt")
        await pilot.press("enter")
        await until(pilot, lambda: app.result == "notes.txt")


async def test_the_arrow_keys_choose_another():
    app = dialog()
    async with app.run_test() as pilot:
        await type_text(pilot, "notes.txt")
        await until(pilot, lambda: offers(app) == ALL[:2])
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.result == "notes.txt.old")


async def test_a_path_of_which_there_is_nothing_is_returned_for_others_to_refuse():
    app = dialog()
    async with app.run_test() as pilot:
        await type_text(pilot, "none.txt")
        await until(pilot, lambda: "File not found." in screen_text(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: app.result == "none.txt")


async def test_a_folder_can_be_chosen_where_that_is_wanted():
    app = dialog(takes_folders=True)
    async with app.run_test() as pilot:
        await type_text(pilot, "src")
        await until(pilot, lambda: offers(app) == ["src/"])
        await pilot.press("enter")
        await until(pilot, lambda: app.result == "src")


async def test_an_empty_field_and_escape_return_nothing():
    for key in ("enter", "escape"):
        app = dialog()
        async with app.run_test() as pilot:
            await until(pilot, lambda app=app: offers(app) == ALL)
            await pilot.press(key)
            await until(pilot, lambda app=app: app.result is None)
