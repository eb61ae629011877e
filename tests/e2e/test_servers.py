"""A chat with models on real servers, through the whole window in a terminal, over two runs of the app."""

from __future__ import annotations

import re

import pytest

from tests.e2e.seeing import (
    LOAD_S,
    REPLY_S,
    STOPPED,
    is_ready,
    send,
    wait_for_more_words,
    watch_reply,
)

pytestmark = pytest.mark.model

SIZE = {"columns": 100, "rows": 60}


def contents(home, role: str) -> list[str]:
    [chat] = home.chats()
    return [entry["content"] for entry in chat["chat_history"] if entry["role"] == role]


def _unwrapped(screen):
    """What a screen says, without what wraps it."""
    return re.sub(r"[\s▌│]+", "", screen)


@pytest.mark.parametrize("kind", ["transformers_serve", "llama_server"])
def test_two_turns_a_stopped_third_continued_and_made_again_and_all_of_it_in_a_second_run(
    start_app, home, request, kind
):
    url = request.getfixturevalue(kind)
    home.remember(parameters={"temperature": 0.0, "max_new_tokens": 48})
    app = start_app(f"{url}/v1", **SIZE)
    app.wait_for(is_ready, LOAD_S)

    send(app, "What is the capital of Japan?")
    watch_reply(app)
    app.wait_for("Tokyo")
    send(app, "And of Italy?")
    watch_reply(app)
    app.wait_for("Rome")

    send(app, "Write a very long story about a river.")
    wait_for_more_words(app, 8)
    app.press("escape")
    app.wait_for(lambda screen: is_ready(screen) and STOPPED in screen, REPLY_S)
    app.wait_until(lambda: len(contents(home, "assistant")) == 3)
    stopped = contents(home, "assistant")[2]

    app.press("alt+up")
    app.act("c")
    if kind == "llama_server":
        watch_reply(app)
        app.wait_until(lambda: contents(home, "assistant")[2] != stopped)
        assert contents(home, "assistant")[2].startswith(stopped)
    else:
        app.wait_for(lambda screen: "can'tcontinueareply" in _unwrapped(screen))
        assert contents(home, "assistant")[2] == stopped

    app.press("alt+up")
    app.act("r")
    watch_reply(app)
    app.wait_for("2/2")
    app.press("ctrl+q")
    assert app.wait_for_exit() == 0
    assert app.unrestored() == []

    # The server is connected to again by itself, since its model was the last.
    again = start_app("--continue", **SIZE)
    again.wait_for(is_ready, LOAD_S)
    again.wait_for("2/2")
    send(again, "What is the capital of Japan?")
    watch_reply(again)
    again.press("ctrl+q")
    assert again.wait_for_exit() == 0
    assert len(contents(home, "assistant")) == 4
    [chat] = home.chats()
    assert chat["settings"]["model_id"].startswith(f"{url}/#")
