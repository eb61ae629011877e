"""Chats on disk as the screen handles them: two windows, damage, a full disk, import and export."""

from __future__ import annotations

import json

from textual.widgets import Input

from tests.screens.conftest import Desk, answered, ready, say, shown, until
from tests.scripted import ScriptedEngine
from tui.app import Start
from tui.conversation import Conversation
from tui.engine.base import LoadRequest
from tui.sessions import SessionStore, SessionWriteError

WIDE = (120, 40)


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
    async with desk.app(start=start).run_test(size=WIDE, notifications=True) as pilot:
        screen = await ready(pilot)
        assert "(read-only)" in shown(pilot)
        await say(pilot, "mine")
        await answered(pilot, screen, 3)
        assert screen.conversation.id != chat_id
        assert "(read-only)" not in shown(pilot)
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
    async with app.run_test(size=WIDE, notifications=True) as pilot:
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
    async with app.run_test(size=WIDE, notifications=True) as pilot:
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
    async with desk.app().run_test(size=WIDE, notifications=True) as pilot:
        screen = await ready(pilot)
        screen.action_chat_import()
        await until(pilot, lambda: pilot.app.screen is not screen)
        pilot.app.screen.query_one(Input).value = str(file)
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen is screen and "bonjour" in shown(pilot))
        assert "ShareGPT" in shown(pilot)
    assert desk.files()[0]["chat_history"][0]["content"] == "salut"


async def test_a_file_that_holds_no_chat_is_refused_in_a_sentence(desk: Desk, tmp_path):
    file = tmp_path / "bad.json"
    file.write_text("{")
    async with desk.app().run_test(size=WIDE, notifications=True) as pilot:
        screen = await ready(pilot)
        screen.action_chat_import()
        await until(pilot, lambda: pilot.app.screen is not screen)
        pilot.app.screen.query_one(Input).value = str(file)
        await pilot.press("enter")
        await until(pilot, lambda: "Not imported" in shown(pilot))
        assert pilot.app.is_running
    assert desk.files() == []


async def test_the_chat_is_exported_to_a_file(desk: Desk, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with desk.app(ScriptedEngine(["**yes**"])).run_test(
        size=WIDE, notifications=True
    ) as pilot:
        screen = await ready(pilot)
        await say(pilot, "ok")
        await answered(pilot, screen, 2)
        screen.action_chat_export()
        await until(pilot, lambda: pilot.app.screen is not screen)
        pilot.app.screen.query_one(Input).value = str(tmp_path / "out.md")
        await pilot.pause()
        pilot.app.screen.query_one(Input).focus()
        await pilot.press("enter")
        await until(pilot, lambda: "Written" in shown(pilot))
    (written,) = [file for file in tmp_path.iterdir() if file.is_file()]
    assert "yes" in written.read_text()


async def test_renaming_duplicating_and_listing(desk: Desk):
    app = desk.app(ScriptedEngine(["answer"]))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        screen = await ready(pilot)
        await say(pilot, "words")
        await answered(pilot, screen, 2)
        screen.action_chat_rename()
        await until(pilot, lambda: pilot.app.screen is not screen)
        pilot.app.screen.query_one(Input).value = "My title"
        await pilot.press("enter")
        await until(pilot, lambda: "My title" in shown(pilot))
        screen.action_chat_duplicate()
        await until(pilot, lambda: "My title (copy)" in shown(pilot))
    app.close()
    assert sorted(file["title"] for file in desk.files()) == ["My title", "My title (copy)"]
