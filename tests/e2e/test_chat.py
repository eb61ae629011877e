"""A chat as a person has it: in a terminal, over runs of the app, with the real model where its pace or words matter."""

from __future__ import annotations

import time

import psutil
import pytest

from tests.e2e.scripted_app import program, write_replies
from tests.e2e.seeing import (
    LOAD_S,
    REPLY_S,
    SOON_S,
    STOPPED,
    is_ready,
    send,
    wait_for_more_words,
    watch_reply,
    words_shown,
)
from tests.e2e.terminal import Terminal
from tui.engine.llama import choice
from tui.settings.examples import STARTERS

# Narrow enough for the sidebar to hide, tall enough for the whole chat.
SIZE = {"columns": 90, "rows": 70}
STORY = "Write a very long story about a river."


def _contents(home, role: str) -> list[str]:
    [chat] = home.chats()
    return [entry["content"] for entry in chat["chat_history"] if entry["role"] == role]


def _saved_replies(home, count: int) -> list[str]:
    """The replies on disk, once there are so many: a reply is shown as ended a moment before it is written."""
    deadline = time.monotonic() + 10
    while len(replies := _contents(home, "assistant")) < count and time.monotonic() < deadline:
        time.sleep(0.05)
    return replies


def _came_word_by_word(reply: str, screens: list[str]) -> bool:
    counts = [words_shown(reply, screen) for screen in screens]
    return len(set(counts)) >= 3 and counts == sorted(counts)


def _quit(app: Terminal) -> None:
    app.press("ctrl+q")
    assert app.wait_for_exit(SOON_S) == 0
    assert app.unrestored() == []


@pytest.mark.model
@pytest.mark.skipif(not choice.is_installed(), reason="xllamacpp is not installed")
def test_a_gguf_file_replies_in_llama_cpp_without_being_converted(start_app, environment, home):
    environment["CHAT_TUI_MODEL_GGUF"] = "auto"
    home.remember(parameters={"temperature": 0.0, "max_new_tokens": 40})
    app = start_app("demo", **SIZE)
    send(app, "What is the capital of Japan?")
    app.wait_for("Tokyo", LOAD_S + REPLY_S)
    [engine] = [one for one in app.children() if "--llama" in one.cmdline()]
    _quit(app)
    app.wait_until(lambda: not engine.is_running() or engine.status() == psutil.STATUS_ZOMBIE)
    assert not list((home.folder / "cache").glob("gguf/*"))
    assert "Tokyo" in _saved_replies(home, 1)[0]


@pytest.mark.model
@pytest.mark.usefixtures("converted")
def test_replies_a_stopped_one_and_all_of_it_in_a_second_run_that_is_left_in_the_middle_of_one(
    start_app, home
):
    home.remember(parameters={"temperature": 0.0, "max_new_tokens": 300})
    app = start_app("demo", **SIZE)
    # What is typed while the model loads is answered when it is there.
    app.wait_for("You can start typing.")
    send(app, "What is the capital of Japan?")
    watch_reply(app)
    [reply] = _saved_replies(home, 1)
    assert reply
    assert _contents(home, "user") == ["What is the capital of Japan?"]

    send(app, "Write two sentences about that city.")
    second = watch_reply(app)
    replies = _saved_replies(home, 2)
    assert _came_word_by_word(replies[1], second)

    send(app, STORY)
    wait_for_more_words(app, 8)
    app.press("escape")
    app.wait_for(lambda screen: is_ready(screen) and STOPPED in screen, REPLY_S)
    _quit(app)

    users, replies = _contents(home, "user"), _contents(home, "assistant")
    assert len(users) == len(replies) == 3
    assert len(replies[2].split()) >= 8

    again = start_app("--continue", **SIZE)
    again.wait_for(is_ready, LOAD_S)
    assert STOPPED in again.text
    for said in (*users, *replies):
        assert words_shown(said, again.text) == words_shown(said, said), f"{said!r} is not shown"
    # Leaving in the middle of a reply keeps what was said.
    send(again, STORY)
    wait_for_more_words(again, 8)
    _quit(again)
    assert _contents(home, "user") == [*users, STORY]
    assert len(_contents(home, "assistant")[-1].split()) >= 8


def test_alt_with_a_digit_takes_a_suggestion_where_the_terminal_sends_escape_and_the_digit(
    start_app, tmp_path
):
    script = program(write_replies(tmp_path / "replies.json", [[("text", "Blue.")]]))
    app = start_app("demo", script=script, **SIZE)
    app.wait_for(is_ready, LOAD_S)
    app.wait_for(STARTERS[1])
    app.press("alt+2")
    app.wait_for(lambda screen: screen.count(STARTERS[1]) == 2)
    assert "™" not in app.text


def test_turns_are_edited_made_again_paged_forked_and_found_again(start_app, home, tmp_path):
    said = (
        "A color may be red, green or blue.",
        "Red, and nothing else but that one.",
        "Blue, and nothing else but that one.",
        "Because it is what the sky has.",
    )
    replies = [[("text", f"{word} ") for word in one.split()] for one in said]
    script = program(write_replies(tmp_path / "replies.json", replies), piece_s=0.1)
    app = start_app("demo", script=script, **SIZE)
    app.wait_for(is_ready, LOAD_S)
    send(app, "Name a colour.")
    watch_reply(app)

    # Up to the user's turn, edit it in place, and have it answered.
    app.press("alt+up", "up")
    app.act("e")
    app.wait_for("Esc Cancel")
    app.type(" Only one word.")
    app.press("enter")
    watch_reply(app)
    app.wait_for("2/2")
    app.wait_until(lambda: _contents(home, "user") == ["Name a colour. Only one word."])

    # Another reply to it, and back to the one before.
    app.press("alt+up")
    app.act("r")
    watch_reply(app)
    app.press("alt+up", "left")
    app.wait_for("1/2")
    app.wait_until(lambda: [len(chat["tree"]["turns"]) for chat in home.chats()] == [5])

    # A chat of its own from here, which goes on by itself.
    app.act("f")
    app.wait_for("(fork)")
    send(app, "Why?")
    watch_reply(app)
    app.wait_until(lambda: sorted(len(chat["chat_history"]) for chat in home.chats()) == [2, 4])

    # And the one it came from is in the list of chats.
    app.press("f3")
    app.wait_for("2 turns")
    app.press("down", "down")
    app.press("enter")
    app.wait_for(lambda screen: "2/2" in screen and "Why?" not in screen)
    _quit(app)


def test_what_is_sent_before_the_first_frame_is_answered(start_app, tmp_path):
    script = program(write_replies(tmp_path / "replies.json", [[("text", "Blue.")]]))
    app = start_app("demo", script=script)
    # The terminal is not the app's yet, and makes a line feed of Enter.
    app.type("one")
    app.press("ctrl+j")
    app.type("two")
    app.press("enter")
    app.wait_for("Blue.")
    assert "│ one" in app.text
    assert "│ two" in app.text
    _quit(app)


def test_what_is_typed_before_the_first_frame_is_in_the_message(start_app):
    app = start_app()
    app.type("typed at once")
    app.wait_for("│ typed at once")
