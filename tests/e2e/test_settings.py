"""Flags, commands and poor terminals in a real terminal; with the real model where its words are looked at."""

from __future__ import annotations

import json
import re

import pytest

from tests.e2e.scripted_app import program, write_replies
from tests.e2e.seeing import LOAD_S, is_ready, send, watch_reply, words_shown


@pytest.mark.model
@pytest.mark.usefixtures("converted")
def test_the_words_of_transformers_chat_do_the_same_here(start_app, home, tmp_path):
    app = start_app("demo", "temperature=0", "max_new_tokens=12", "--system_prompt", "Be brief.")
    app.wait_for(is_ready)
    app.type("What is the capital of Japan?")
    app.press("enter")
    app.wait_for("Tokyo")
    app.wait_for("tok/s")
    app.type(f"!save {tmp_path / 'named.json'}")
    app.press("enter")
    app.wait_for("Saved to")
    app.type("!exit")
    app.press("enter")
    assert app.wait_for_exit() == 0
    assert app.unrestored() == []
    saved = json.loads((tmp_path / "named.json").read_text())
    assert saved["chat_history"][0] == {"role": "system", "content": "Be brief."}
    assert saved["settings"]["config"] == {"temperature": 0.0, "max_new_tokens": 12}


def test_sixteen_colours_and_forty_by_ten_are_enough_for_a_chat(
    start_app, home, environment, tmp_path
):
    environment |= {"TERM": "xterm-16color", "COLORTERM": ""}
    replies = write_replies(
        tmp_path / "replies.json", [[("text", "Hello! "), ("text", "How are you?")]]
    )
    app = start_app("demo", columns=40, rows=10, script=program(replies, piece_s=0.3))
    app.wait_for(is_ready, LOAD_S)
    send(app, "Hello!")
    watch_reply(app)
    shown = app.text
    app.press("ctrl+q")
    assert app.wait_for_exit() == 0
    assert app.unrestored() == []
    assert words_shown(home.chats()[0]["chat_history"][-1]["content"], shown) >= 3
    assert re.search(rb"\x1b\[[0-9;]*3[0-7]", app.raw)
    assert not re.search(rb"\x1b\[[0-9;]*[34]8;[25];", app.raw)


@pytest.mark.model
@pytest.mark.usefixtures("converted")
def test_a_first_start_with_stop_texts_and_a_second_one_without_an_editor(
    start_app, home, environment
):
    environment |= {"EDITOR": "no-such-editor", "VISUAL": ""}
    app = start_app("demo", "temperature=0", 'stop_strings=["Japan", "Tokyo"]')
    app.wait_for("edit or regenerate a turn")
    app.wait_for(is_ready)
    app.type("What is the capital of Japan?")
    app.press("enter")
    app.wait_for("tok/s")
    app.press("ctrl+q")
    assert app.wait_for_exit() == 0
    reply = home.chats()[0]["chat_history"][-1]
    assert reply["role"] == "assistant"
    assert reply["content"]
    assert "Japan" not in reply["content"]
    assert "Tokyo" not in reply["content"]

    again = start_app("demo", script=program())
    again.wait_for(is_ready)
    assert "edit or regenerate a turn" not in again.text
    again.type("/editor")
    again.press("enter")
    again.wait_for("no-such-editor could not be run")
    again.type("still here")
    again.wait_for("still here")
    again.press("ctrl+q")
    assert again.wait_for_exit() == 0
    assert again.unrestored() == []
