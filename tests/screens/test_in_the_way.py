"""The app starts whatever is in the place of its files, and a chat ends up where it can be found again."""

from __future__ import annotations

import pytest

from tests.screens.conftest import Desk, answered, ready, say
from tests.settings.in_the_way import PLACES, put_in_the_way
from tui import logs
from tui.app import Start
from tui.engine.base import LoadRequest
from tui.settings.state import load_state, save_state
from tui.settings.themes import user_themes

FOLDERS = {"config", "data", "cache", "logs", "sessions", "presets", "prompts", "themes"}
FILES = [place for place in PLACES if place not in FOLDERS]


def started(desk: Desk):
    """Make the app as the command line does, with all that it reads before."""
    notices = []
    try:
        logs.start_logging(desk.paths.logs)
    except logs.LogError as error:
        notices.append(str(error))
    state, problem = load_state(desk.paths.state)
    notices += [problem] if problem else []
    notices += user_themes(desk.paths.themes)[1]
    start = Start(request=LoadRequest("scripted"), notices=tuple(notices))
    app = desk.app(state=state, start=start)
    app._save_state = lambda changed: save_state(desk.paths.state, changed)
    return app


@pytest.mark.parametrize("kind", ["folder", "pipe", "dangling link", "garbage", "foreign JSON"])
async def test_the_app_works_with_all_of_its_files_broken_at_once(desk, kind) -> None:
    for place in FILES:
        put_in_the_way(desk.paths, kind, place)
    app = started(desk)
    async with app.run_test() as pilot:
        screen = await ready(pilot)
        await say(pilot, "precious")
        await answered(pilot, screen, 2)
    assert not app.close().problems
    [chat] = desk.files()
    assert chat["chat_history"][0]["content"] == "precious"
    assert [entry.id for entry in desk.store.list()] == [chat["id"]]
    assert [hit.session_id for hit in desk.store.search("precious")][:1] == [chat["id"]]


@pytest.mark.parametrize("kind", ["pipe", "garbage"])
async def test_a_chat_that_has_no_folder_is_found_in_a_copy(desk, kind) -> None:
    for place in ("sessions", "logs", "presets", "prompts", "themes"):
        folder = PLACES[place][0](desk.paths)
        if folder.is_dir():
            folder.rmdir()
        put_in_the_way(desk.paths, kind, place)
    app = started(desk)
    async with app.run_test() as pilot:
        screen = await ready(pilot)
        await say(pilot, "precious")
        await answered(pilot, screen, 2)
    ending = app.close()
    [copy] = ending.copies.values()
    assert "precious" in copy.read_text()
    assert desk.store.open_file(copy).conversation.path[0].text == "precious"
