"""Flags, commands and poor terminals, with the real model in a real terminal."""

from __future__ import annotations

import json
import re

import pytest

pytestmark = [pytest.mark.model, pytest.mark.usefixtures("converted")]


def test_the_words_of_transformers_chat_do_the_same_here(start_app, home, tmp_path):
    app = start_app("demo", "temperature=0", "max_new_tokens=12", "--system_prompt", "Be brief.")
    app.wait_for("is ready")
    app.type("What is the capital of Japan?")
    app.press("enter")
    app.wait_for("Tokyo")
    app.wait_for("tok/s")
    app.type(f"!save {tmp_path / 'named.json'}")
    app.press("enter")
    app.wait_for("Written:")
    app.type("!exit")
    app.press("enter")
    assert app.wait_for_exit() == 0
    assert app.unrestored() == []
    saved = json.loads((tmp_path / "named.json").read_text())
    assert saved["chat_history"][0] == {"role": "system", "content": "Be brief."}
    assert saved["settings"]["config"] == {"temperature": 0.0, "max_new_tokens": 12}


def test_stop_texts_hold_with_the_real_model(start_app, home):
    app = start_app("demo", "temperature=0", 'stop_strings=["Japan", "Tokyo"]')
    app.wait_for("is ready")
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


def test_sixteen_colours_are_enough(start_app, environment):
    environment |= {"TERM": "xterm-16color", "COLORTERM": ""}
    app = start_app("demo")
    app.wait_for("is ready")
    app.press("ctrl+q")
    assert app.wait_for_exit() == 0
    assert re.search(rb"\x1b\[[0-9;]*3[0-7]", app.raw)
    assert not re.search(rb"\x1b\[[0-9;]*[34]8;[25];", app.raw)


def test_the_first_words_are_said_once(start_app):
    app = start_app("demo")
    app.wait_for("finds everything by name")
    app.press("ctrl+q")
    assert app.wait_for_exit() == 0
    again = start_app("demo")
    again.wait_for("is ready")
    assert "finds everything by name" not in again.text


def test_an_editor_that_is_not_there_leaves_the_screen_as_it_was(start_app, environment):
    environment |= {"EDITOR": "no-such-editor", "VISUAL": ""}
    app = start_app("demo")
    app.wait_for("is ready")
    app.type("/editor")
    app.press("enter")
    app.wait_for("no-such-editor could not be run")
    app.type("still here")
    app.wait_for("still here")
    app.press("ctrl+q")
    assert app.wait_for_exit() == 0
    assert app.unrestored() == []
