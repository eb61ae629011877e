"""Leaving the app: no word is lost without being asked about."""

from __future__ import annotations

import json
import shutil
import stat
import threading

import pytest
from textual.css.query import NoMatches
from textual.widget import Widget
from textual.worker import WorkerFailed

from tests.screens.conftest import ROOMY, Desk, answered, ready, say, shown, until
from tests.scripted import ScriptedEngine
from tui.app import Start
from tui.engine.base import LoadRequest
from tui.screens.ask import Ask


def break_disk(desk: Desk) -> None:
    """Put a file where the chats' folder belongs."""
    shutil.rmtree(desk.paths.sessions)
    desk.paths.sessions.write_text("in the way")


def repair_disk(desk: Desk) -> None:
    desk.paths.sessions.unlink()


async def asked(pilot, desk: Desk) -> None:
    """Talk while the disk does not work, and quit."""
    screen = await ready(pilot)
    break_disk(desk)
    await say(pilot, "precious")
    await answered(pilot, screen, 2)
    await pilot.press("ctrl+q")
    await until(pilot, lambda: isinstance(pilot.app.screen, Ask))
    assert "not saved" in shown(pilot)


async def test_quitting_asks_about_a_chat_that_is_not_saved_and_tries_again(desk: Desk) -> None:
    app = desk.app()
    async with app.run_test(size=ROOMY) as pilot:
        await asked(pilot, desk)
        assert app.is_running
        repair_disk(desk)
        await pilot.press("t")
        await until(pilot, lambda: not app.is_running)
    assert app.close().problems == {}
    assert desk.files()[0]["chat_history"][0]["content"] == "precious"


async def test_a_copy_is_written_elsewhere_and_the_ending_says_where(desk: Desk) -> None:
    app = desk.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await asked(pilot, desk)
        await pilot.press("c")
        await until(pilot, lambda: not app.is_running)
    ending = app.close()
    (problem,) = ending.problems.values()
    assert "stays in memory" not in problem
    (copy,) = ending.copies.values()
    assert json.loads(copy.read_text())["chat_history"][0]["content"] == "precious"


async def test_leaving_without_a_chat_writes_nothing_and_still_says_so(desk: Desk) -> None:
    app = desk.app()
    async with app.run_test(size=ROOMY) as pilot:
        await asked(pilot, desk)
        await pilot.press("right", "right", "enter")
        await until(pilot, lambda: not app.is_running)
    ending = app.close()
    assert ending.problems
    assert not ending.copies
    assert not list(desk.paths.data.parent.glob("*.json"))


async def test_escape_goes_back_to_the_chat(desk: Desk) -> None:
    app = desk.app()
    async with app.run_test(size=ROOMY) as pilot:
        screen = pilot.app.screen
        await asked(pilot, desk)
        await pilot.press("ctrl+q")  # a second time changes nothing
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is screen)
        await say(pilot, "more")
        await answered(pilot, screen, 4)


@pytest.mark.parametrize("on_chat", [True, False], ids=["in the chat", "in a dialog"])
async def test_a_signal_leaves_without_a_question_and_with_a_copy(desk: Desk, on_chat) -> None:
    app = desk.app()
    async with app.run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        break_disk(desk)
        await say(pilot, "precious")
        await answered(pilot, screen, 2)
        if not on_chat:
            await pilot.press("f1")
        app._leave()
        await until(pilot, lambda: not app.is_running)
    assert len(app.close().copies) == 1


@pytest.mark.parametrize("by_signal", [False, True], ids=["ctrl+q", "signal"])
async def test_what_waits_and_what_is_written_is_in_the_composer_again(
    desk: Desk, by_signal: bool
) -> None:
    app = desk.app(ScriptedEngine(["some words more"], hold=threading.Event()))
    async with app.run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await say(pilot, "first")
        await until(pilot, lambda: "some words" in shown(pilot))
        await say(pilot, "queued")
        await pilot.press(*"draft")
        if by_signal:
            app._leave()
        else:
            await pilot.press("ctrl+q")
        await until(pilot, lambda: not app.is_running)
    app.close()
    assert stat.S_IMODE(desk.paths.drafts.stat().st_mode) == 0o600
    store = desk.store
    again = desk.app(start=Start(store.load(screen.conversation.id), LoadRequest("scripted")))
    async with again.run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await until(pilot, lambda: screen.composer.text == "queued\ndraft")
        screen.composer.clear()
        await pilot.press("ctrl+n")
        assert screen.composer.text == ""


async def test_a_draft_of_a_chat_that_never_began_is_there_at_the_next_start(desk: Desk) -> None:
    app = desk.app()
    async with app.run_test(size=ROOMY) as pilot:
        await ready(pilot)
        await pilot.press(*"begun", "ctrl+q")
        await until(pilot, lambda: not app.is_running)
    app.close()
    async with desk.app().run_test(size=ROOMY) as pilot:
        screen = await ready(pilot)
        await until(pilot, lambda: screen.composer.text == "begun")


class Late(Widget):
    """Looks for a part that is not there, as Textual's Select does when the end of the app overtakes its mounting."""

    def on_mount(self) -> None:
        self.query_one("#gone")


@pytest.mark.parametrize(
    "error",
    [
        NoMatches("No nodes match 'SelectOverlay'"),
        WorkerFailed(NoMatches("No nodes match '#sidebar'")),
    ],
    ids=["mounting", "a coroutine"],
)
async def test_a_widget_that_is_gone_while_the_app_is_left_is_no_crash(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, error: Exception
):
    app = desk.app()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        with monkeypatch.context() as leaving:
            leaving.setattr(app, "_exit", True)
            app._handle_exception(error)
        assert app.is_running
    assert app.crash is None


async def test_the_same_in_the_middle_of_a_chat_is_one(desk: Desk):
    app = desk.app()
    with pytest.raises(NoMatches):  # noqa: PT012 - it comes out of the whole of it
        async with app.run_test(size=(80, 24)) as pilot:
            screen = await ready(pilot)
            screen.mount(Late())
            await until(pilot, lambda: app.crash is not None)
    assert isinstance(app.crash, NoMatches)
