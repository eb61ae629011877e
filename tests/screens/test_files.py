"""Chats on disk as the screen handles them: two windows, damage, a full disk, import and export."""

from __future__ import annotations

import json
import threading
import zipfile

import pytest
from textual.events import Paste
from textual.widgets import Input

from tests.screens.conftest import ROOMY, WIDE, Desk, answered, ready, say, shown, still, until
from tests.scripted import ScriptedEngine
from tui import transfer
from tui.app import Start
from tui.conversation import Conversation
from tui.conversation.formats import Imported
from tui.engine.base import LoadRequest
from tui.screens.ask import Ask
from tui.screens.report import Report
from tui.sessions import SessionStore, SessionWriteError


def saved_chat(desk: Desk, *texts: str) -> str:
    chat = Conversation()
    for text in texts:
        chat = chat.add_user(text)
    store = desk.store
    store.save(chat)
    store.close()
    return chat.id


async def test_a_chat_that_another_window_has_open_is_read_only_and_goes_on_as_a_copy(desk: Desk):
    chat_id = saved_chat(desk, "shared")
    other = desk.store
    other.load(chat_id)
    start = Start(desk.store.load(chat_id), LoadRequest("scripted"))
    before = (desk.paths.sessions / f"{chat_id}.json").read_bytes()
    async with desk.app(start=start).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        assert "(read-only)" in shown(pilot)
        await say(pilot, "mine")
        await answered(pilot, screen, 3)
        assert screen.conversation.id != chat_id
        assert "(read-only)" not in shown(pilot)
        await still(pilot, screen)
    assert (desk.paths.sessions / f"{chat_id}.json").read_bytes() == before
    assert sorted(len(file["chat_history"]) for file in desk.files()) == [1, 3]
    other.close()


async def test_a_damaged_chat_opens_with_what_can_be_read_and_says_so(desk: Desk):
    chat_id = saved_chat(desk, "first words", "second words")
    path = desk.paths.sessions / f"{chat_id}.json"
    path.write_bytes(path.read_bytes()[:-200])
    damaged = path.read_bytes()
    start = Start(desk.store.load(chat_id), LoadRequest("scripted"))
    app = desk.app(start=start)
    async with app.run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await until(pilot, lambda: "first words" in shown(pilot))
        await say(pilot, "on")
        await answered(pilot, screen, 4)
    app.close()
    kept = [file.read_bytes() for file in desk.paths.sessions.iterdir() if "damaged" in file.name]
    assert damaged in kept


async def test_a_full_disk_is_said_and_the_chat_goes_on_in_memory_until_it_can_be_written(
    desk: Desk, monkeypatch
):
    real = SessionStore.save

    def refuse(self, conversation):
        raise SessionWriteError("The disk is full. Free some space.")

    monkeypatch.setattr(SessionStore, "save", refuse)
    app = desk.app(ScriptedEngine(["answer"]))
    async with app.run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hello")
        await answered(pilot, screen, 2)
        await until(pilot, lambda: "The disk is full" in shown(pilot))
        await until(pilot, lambda: "not saved yet" in shown(pilot))
        monkeypatch.setattr(SessionStore, "save", real)
        await say(pilot, "again")
        await answered(pilot, screen, 4)
        await until(pilot, lambda: bool(desk.files()))
    app.close()
    assert len(desk.files()[0]["chat_history"]) == 4


async def test_a_chat_of_another_tool_is_imported_and_opened(desk: Desk, tmp_path):
    file = tmp_path / "share.json"
    turns = [{"from": "human", "value": "salut"}, {"from": "gpt", "value": "bonjour"}]
    file.write_text(json.dumps({"conversations": turns}))
    async with desk.app().run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        screen.do("chat.import")
        await until(pilot, lambda: pilot.app.screen is not screen)
        pilot.app.screen.query_one(Input).value = str(file)
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen is screen and "bonjour" in shown(pilot))
        assert "ShareGPT" in shown(pilot)
    assert desk.files()[0]["chat_history"][0]["content"] == "salut"


async def test_a_file_that_holds_no_chat_is_refused_in_a_sentence(desk: Desk, tmp_path):
    file = tmp_path / "bad.json"
    file.write_text("{")
    async with desk.app().run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        screen.do("chat.import")
        await until(pilot, lambda: pilot.app.screen is not screen)
        pilot.app.screen.query_one(Input).value = str(file)
        await pilot.press("enter")
        await until(pilot, lambda: "1 file not imported" in shown(pilot))
        assert pilot.app.is_running
    assert desk.files() == []


async def test_an_archive_is_imported_and_what_was_left_out_is_shown(desk: Desk, tmp_path):
    file = tmp_path / "export.zip"
    turns = [
        {"role": "user", "content": [{"type": "image_url"}, {"type": "text", "text": "salut"}]}
    ]
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("a.json", json.dumps(turns))
        made.writestr("user.json", "{}")
        made.writestr("broken.json", "{")
    async with desk.app().run_test(size=WIDE, notifications=True) as pilot:
        screen = await ready(pilot)
        for words in ("1 chat imported", "1 chat already imported"):
            screen.do("chat.import")
            await until(pilot, lambda: pilot.app.screen is not screen)
            pilot.app.screen.query_one(Input).value = str(file)
            await pilot.press("enter")
            await until(pilot, lambda words=words: words in shown(pilot))
            await until(pilot, lambda: "Left out: image contents (1)" in shown(pilot))
            assert "broken.json" in shown(pilot)
    assert len(desk.files()) == 1


async def test_an_import_can_be_stopped_and_keeps_what_it_has_so_far(
    desk: Desk, tmp_path, monkeypatch
):
    for name in ("a", "b", "c"):
        turns = [{"role": "user", "content": f"question {name}"}]
        (tmp_path / f"{name}.json").write_text(json.dumps(turns))
    at_second, goes_on = threading.Event(), threading.Event()
    real = transfer.import_text

    def slow(data: bytes, thread: bytes | None = None) -> Imported:
        if b"question b" in data:
            at_second.set()
            assert goes_on.wait(60)
        return real(data, thread)

    monkeypatch.setattr(transfer, "import_text", slow)
    async with desk.app().run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        screen.do("chat.import")
        await until(pilot, lambda: pilot.app.screen is not screen)
        pilot.app.screen.query_one(Input).value = str(tmp_path)
        await pilot.press("enter")
        await until(pilot, at_second.is_set)
        await until(pilot, lambda: "importing" in shown(pilot))
        # A second one would end the first.
        screen.do("chat.import")
        await until(
            pilot, lambda: "An import is in progress. Press Esc to stop it." in shown(pilot)
        )
        assert pilot.app.screen is screen
        await pilot.press("ctrl+q")
        await until(pilot, lambda: isinstance(pilot.app.screen, Ask))
        assert "No chat is imported twice" in " ".join(shown(pilot).replace("│", " ").split())
        await pilot.press("s")
        await until(pilot, lambda: pilot.app.screen is screen)
        await pilot.press("escape")
        await until(pilot, lambda: "stopped." in shown(pilot))
        assert "1 chat imported" in shown(pilot)
        goes_on.set()
        await until(pilot, lambda: "importing" not in shown(pilot))
        assert pilot.app.screen is screen
    assert [file["chat_history"][0]["content"] for file in desk.files()] == ["question a"]


async def test_what_there_is_to_say_of_many_files_stays_until_it_was_read(desk: Desk, tmp_path):
    # Not where the app keeps its own files.
    folder = tmp_path / "exports"
    folder.mkdir()
    for number in range(30):
        (folder / f"broken-{number:02}.json").write_text("{")
    (folder / "good.json").write_text(json.dumps([{"role": "user", "content": "salut"}]))
    async with desk.app().run_test(size=(80, 24), notifications=True) as pilot:
        screen = await ready(pilot)
        screen.do("chat.import")
        await until(pilot, lambda: pilot.app.screen is not screen)
        pilot.app.screen.query_one(Input).value = str(folder)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, Report))
        await until(pilot, lambda: "30 files not imported" in shown(pilot))
        assert "broken-00.json" in shown(pilot)
        await pilot.press("end")
        await until(pilot, lambda: "broken-29.json" in shown(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is screen)
        assert screen.conversation.path[0].text == "salut"


async def test_a_report_without_end_is_cut_and_says_what_leads_to_the_rest(desk: Desk):
    lines = [f"file {number}: It holds no chat." for number in range(100_000)]
    async with desk.app().run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        pilot.app.push_screen(Report("About this import", "None.", lines, "Try elsewhere."))
        await until(pilot, lambda: "file 0:" in shown(pilot))
        await pilot.press("end")
        await until(pilot, lambda: "… and 99,800 more. Try elsewhere." in shown(pilot))


async def test_the_chat_is_exported_to_a_file(desk: Desk, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with desk.app(ScriptedEngine(["**yes**"])).run_test(
        size=ROOMY, notifications=True
    ) as pilot:
        screen = await ready(pilot)
        await say(pilot, "ok")
        await answered(pilot, screen, 2)
        screen.do("chat.export")
        await until(pilot, lambda: pilot.app.screen is not screen)
        pilot.app.screen.query_one(Input).value = str(tmp_path / "out.md")
        await pilot.pause()
        pilot.app.screen.query_one(Input).focus()
        await pilot.press("enter")
        await until(pilot, lambda: "Saved to" in shown(pilot))
    (written,) = [file for file in tmp_path.iterdir() if file.is_file()]
    assert "yes" in written.read_text()


async def test_an_export_begins_as_markdown_in_the_folder_of_the_last_one(
    desk: Desk, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes").mkdir()
    async with desk.app(ScriptedEngine(["yes"])).run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "is it")
        await answered(pilot, screen, 2)
        screen.do("chat.export")
        await until(pilot, lambda: pilot.app.screen is not screen)
        path = pilot.app.screen.query_one("#path", Input)
        assert path.value == str(tmp_path / "is-it.md")
        path.value = str(tmp_path / "notes" / "mine.md")
        await pilot.press("ctrl+s")
        await until(pilot, lambda: pilot.app.screen is screen)
        await until(pilot, (tmp_path / "notes" / "mine.md").exists)
        screen.do("chat.export")
        await until(pilot, lambda: pilot.app.screen is not screen)
        path = pilot.app.screen.query_one("#path", Input)
        assert path.value == str(tmp_path / "notes" / "is-it.md")


async def test_where_nothing_can_be_written_an_export_begins_in_the_home_folder(
    tmp_path, monkeypatch
):
    from tui.screens.chat import chat_actions

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(chat_actions.os, "access", lambda *_: False)
    assert chat_actions._suggested_path(Conversation(title="A b"), None) == tmp_path / "A-b"


async def test_renaming_duplicating_and_listing(desk: Desk):
    app = desk.app(ScriptedEngine(["answer"]))
    async with app.run_test(size=ROOMY, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "words")
        await answered(pilot, screen, 2)
        screen.do("chat.rename")
        await until(pilot, lambda: pilot.app.screen is not screen)
        pilot.app.screen.query_one(Input).value = "My title"
        await pilot.press("enter")
        await until(pilot, lambda: "My title" in shown(pilot))
        screen.do("chat.duplicate")
        await until(pilot, lambda: "My title (copy)" in shown(pilot))
    app.close()
    assert sorted(file["title"] for file in desk.files()) == ["My title", "My title (copy)"]


async def test_the_list_of_chats_takes_a_long_paste_as_a_search(desk: Desk):
    saved_chat(desk, "kept")
    async with desk.app().run_test(size=ROOMY) as pilot:
        await ready(pilot)
        await pilot.press("f3")
        await until(pilot, lambda: "kept" in shown(pilot))
        pilot.app.post_message(Paste("中" * 20_000))
        await until(pilot, lambda: "No chats found" in shown(pilot))


@pytest.mark.parametrize("name", ["~no-such-user/x", "x" * 300])
async def test_a_name_that_no_file_can_have_is_not_imported(desk: Desk, name):
    async with desk.app().run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        screen.do("chat.import")
        await until(pilot, lambda: "Import" in shown(pilot))
        pilot.app.screen.query_one(Input).value = name
        await pilot.press("enter")
        await until(pilot, lambda: "File not found" in shown(pilot))


@pytest.mark.parametrize("action", ["chat.export", "turn.save_code", "preset.export"])
async def test_files_are_asked_for_when_the_working_folder_is_gone(
    desk: Desk, tmp_path, monkeypatch, action
):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    async with desk.app(ScriptedEngine(["```\nx\n```"])).run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await say(pilot, "hi")
        await answered(pilot, screen, 2)
        gone.rmdir()
        screen.do(action)
        await until(pilot, lambda: pilot.app.screen is not screen)
        await pilot.press("enter")
        await pilot.pause()
