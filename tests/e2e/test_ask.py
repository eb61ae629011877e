"""`chat-tui ask` with the real model: in a pipe, and in a terminal."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from tests.e2e.conftest import ROOT
from tests.e2e.hostile import foreign
from tests.e2e.terminal import Terminal
from tests.engine.remote.fake_server import serving
from tests.engine.remote.talk import Told

ASK = [sys.executable, "-m", "tui", "ask"]


@pytest.mark.model
def test_the_demo_model_answers_about_what_is_piped_in(environment, converted):
    done = subprocess.run(
        [*ASK, "-m", "demo", "--temperature", "0", "--max-new-tokens", "60", "--json", "Which city is named?"],
        input="The capital of France is Paris.",
        env=environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    made = json.loads(done.stdout)
    assert "Paris" in made["text"]
    assert made["stats"]["new_tokens"] > 1
    assert done.returncode in (0, 3)


@pytest.fixture
def ask(environment):
    started: list[Terminal] = []

    def begin(url: str, *words: str) -> Terminal:
        env = {**environment, "CHAT_TUI_MODEL_NAME": url, "PYTHONPATH": str(ROOT)}
        started.append(Terminal([*ASK, *words], env=env, columns=60, rows=20))
        return started[-1]

    yield begin
    for one in started:
        one.close()


def test_in_a_terminal_the_reply_is_safe_and_the_chat_is_kept(ask, home):
    with serving() as server:
        server.told = Told((("# Sky\n\n- blue \x1b]0;pwned\x07\n", False),))
        app = ask(server.url, "Why?")
        app.wait_for_exit()
        screen = app.text
        assert "- blue ␛]0;pwned␇" in screen
        assert "Saved." in screen
        assert foreign(bytes(app.raw).replace(b"\r\x1b[K", b"")) == []
        assert [one["role"] for one in home.chats()[0]["chat_history"]] == ["user", "assistant"]

        app = ask(server.url, "Why?", "--render", "--no-save")
        app.wait_for_exit()
        assert "• blue" in app.text
        assert len(home.chats()) == 1


def test_a_question_is_typed_and_ended_with_ctrl_d(ask):
    with serving() as server:
        app = ask(server.url, "-")
        app.wait_for("Ctrl+D")
        app.type("Why?\n\x04")
        app.wait_for("The sky.")
        assert server.replies_asked[-1].body["messages"][0]["content"].strip() == "Why?"


_SGR = re.compile(rb"\x1b\[([0-9;]*)m")
_REPLY = "# Sky\n\n**Blue** and `x`.\n\n- one\n\n```python\nx = 1\n```\n"


@pytest.mark.parametrize(
    ("more", "is_colored", "is_styled"),
    [
        ({"TERM": "xterm-256color"}, True, True),
        ({"TERM": "vt100"}, False, True),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, False, True),
        ({"TERM": "dumb"}, False, False),
        ({"TERM": ""}, False, False),
    ],
)
def test_a_rendered_reply_uses_only_what_the_terminal_can_do(
    environment, more, is_colored, is_styled
):
    with serving() as server:
        server.told = Told(((_REPLY, False),))
        env = {**environment, "CHAT_TUI_MODEL_NAME": server.url, "PYTHONPATH": str(ROOT), **more}
        env.pop("COLORTERM", None)
        app = Terminal([*ASK, "Why?", "--render", "--no-save"], env=env, columns=60, rows=20)
        app.wait_for_exit()
        written = bytes(app.raw)
        assert "Blue and x." in app.text
        assert "• one" in app.text
        app.close()
    numbers = {int(one) for found in _SGR.findall(written) for one in found.split(b";") if one}
    assert any(one >= 30 for one in numbers) is is_colored
    assert bool(numbers) is is_styled
    assert is_styled or b"\x1b" not in written
