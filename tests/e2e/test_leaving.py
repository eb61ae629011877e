"""However the app ends, it ends soon, keeps what was said, and leaves the terminal as it found it."""

from __future__ import annotations

import json
import os
import signal

import psutil
import pytest

from tests.e2e.scripted_app import program, write_replies
from tests.e2e.seeing import LOAD_S, SOON_S, is_loading, is_ready, send, wait_for_more_words

QUESTION = "Write a very long story about a river."
ANOTHER = "Write a very long story about a mountain."

_CRASHING = """
import sys
from tui.cli import main
from tui.screens.chat.looking_up import LookingUp

def fail(self):
    raise RuntimeError("made to fail")

LookingUp.show_help = fail
sys.exit(main())
"""


@pytest.fixture
def long_replies(home, converted):
    home.remember(parameters={"temperature": 0.0, "max_new_tokens": 4000})


@pytest.fixture
def long_story(tmp_path):
    """The app on an engine that tells a story for minutes, for what is the same with any model."""
    story = [("text", f"word{number} ") for number in range(10_000)]
    return program(write_replies(tmp_path / "replies.json", [story]), piece_s=0.02)


def _replying_app(start_app, script=""):
    app = start_app("demo", columns=90, rows=40, script=script)
    app.wait_for(is_ready, LOAD_S)
    send(app, QUESTION)
    wait_for_more_words(app, 8)
    return app


def _assert_reply_kept(home):
    [chat] = home.chats()
    question, reply = chat["chat_history"]
    assert question == {"role": "user", "content": QUESTION}
    assert len(reply["content"].split()) >= 8


@pytest.mark.model
def test_ctrl_q_in_the_middle_of_a_load(start_app, home):
    app = start_app("demo")
    app.wait_for(is_loading)
    app.wait_for("Converting", LOAD_S)
    app.press("ctrl+q")
    assert app.wait_for_exit(SOON_S) == 0
    assert app.unrestored() == []
    assert list((home.folder / "cache" / "gguf").glob("*/config.json")) == []


@pytest.mark.model
def test_ctrl_q_in_the_first_frame(start_app):
    app = start_app("demo")
    app.wait_for("message")
    app.press("ctrl+q")
    assert app.wait_for_exit(SOON_S) == 0
    assert app.unrestored() == []


@pytest.mark.model
@pytest.mark.usefixtures("long_replies")
def test_a_signal_to_end_in_the_middle_of_a_reply_keeps_what_was_said(start_app, home):
    app = _replying_app(start_app)
    app.send_signal(signal.SIGTERM)
    app.wait_for_exit(SOON_S)
    assert app.unrestored() == []
    _assert_reply_kept(home)


def test_a_terminal_that_is_closed_ends_the_app_and_what_was_said_is_kept(
    start_app, home, long_story
):
    app = _replying_app(start_app, long_story)
    app.hang_up(SOON_S)
    _assert_reply_kept(home)


def test_a_chat_that_can_not_be_saved_is_copied_before_a_signal_ends_the_app(
    start_app, home, long_story, tmp_path
):
    app = _replying_app(start_app, long_story)
    sessions = home.folder / "data" / "sessions"
    sessions.rename(tmp_path / "elsewhere")
    sessions.write_text("in the way")
    app.send_signal(signal.SIGTERM)
    assert app.wait_for_exit(SOON_S) == 1
    [copy] = tmp_path.glob("chat-tui-*.json")
    assert len(json.loads(copy.read_text())["chat_history"][1]["content"].split()) >= 8
    after = app.raw.rpartition(b"\x1b[?1049l")[2].decode()
    assert copy.name in "".join(after.split())
    assert "in memory" not in after


@pytest.mark.model
@pytest.mark.usefixtures("long_replies")
def test_after_a_kill_and_after_a_crash_the_reply_so_far_is_there_and_marked(
    start_app, home, long_story
):
    # A kill is the same with any model. A crash is not: the real one has threads that Python does not know.
    app = _replying_app(start_app, long_story)
    # What was said is put on the disk now and then.
    kept = home.folder / "data" / "sessions"
    app.wait_until(lambda: any("word8 " in one.read_text() for one in kept.glob("*.reply")))
    app.send_signal(signal.SIGKILL)
    assert app.wait_for_exit(SOON_S) == -signal.SIGKILL

    again = start_app("--continue", columns=90, rows=40, script=_CRASHING)
    again.wait_for("Interrupted")
    assert QUESTION in again.text
    assert "word8 " in again.text
    again.wait_for(is_ready, LOAD_S)
    again.press("ctrl+n")
    again.wait_for("New chat")
    send(again, ANOTHER)
    wait_for_more_words(again, 8)
    again.press("f1")
    assert again.wait_for_exit(SOON_S) == 1
    assert again.unrestored() == []
    after = again.raw.rpartition(b"\x1b[?1049l")[2].decode()
    assert "The app failed (RuntimeError)" in after
    assert "Traceback" not in after
    assert "made to fail" in (home.folder / "logs" / "chat-tui.log").read_text("utf-8")

    after_both = start_app("--continue", columns=90, rows=40, script=long_story)
    after_both.wait_for("Interrupted")
    assert ANOTHER in after_both.text


@pytest.mark.model
@pytest.mark.skipif(
    os.environ.get("CHAT_TUI_MODEL_PROCESS") == "false", reason="the engine is a thread of the app"
)
def test_when_the_engine_falls_the_chat_stays_and_one_key_loads_the_model_again(
    start_app, home, long_replies
):
    app = _replying_app(start_app)
    [engine] = [one for one in app.children() if "process.serving" in " ".join(one.cmdline())]
    engine.kill()
    app.wait_for("The engine has stopped")
    app.rest()
    app.press("alt+l")
    app.wait_for(is_ready, LOAD_S)
    _assert_reply_kept(home)
    [again] = [one for one in app.children() if "process.serving" in " ".join(one.cmdline())]
    send(app, ANOTHER)
    wait_for_more_words(app, 1)
    app.press("ctrl+q")
    app.wait_for_exit()
    app.wait_until(lambda: _has_ended(again))


def _has_ended(process):
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
