"""What can't work is answered with a sentence: inside the app where it runs, on stderr with exit code 2 where it doesn't."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from tests.e2e.conftest import ROOT

_USAGE_ERROR = 2


@pytest.fixture
def run(environment):
    """Runs the command line without a terminal."""

    def run_with(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tui", *arguments],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run_with


def _is_a_sentence(text: str) -> bool:
    return text.startswith("chat-tui: ") and "Traceback" not in text and len(text.split()) > 5


def test_output_that_is_no_terminal(run):
    ended = run("demo")
    assert ended.returncode == _USAGE_ERROR
    assert ended.stdout == ""
    assert "\x1b" not in ended.stderr
    assert _is_a_sentence(ended.stderr)


def test_the_log_path_is_told_without_a_terminal(run, home):
    ended = run("--log-path")
    assert ended.returncode == 0
    assert ended.stdout.strip() == str(home.folder / "logs" / "chat-tui.log")


@pytest.mark.parametrize(
    "arguments",
    [["--continue"], ["--session", "no-such-chat"], ["--session", "README.md"]],
    ids=["nothing to continue", "unknown chat", "not a chat"],
)
def test_a_chat_that_can_not_be_opened(start_app, arguments):
    app = start_app(*arguments)
    assert app.wait_for_exit() == _USAGE_ERROR
    assert _is_a_sentence(app.raw.decode())
    assert app.unrestored() == []
    assert b"\x1b[?1049h" not in app.raw


@pytest.mark.model
@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("tests", "config.json"),
        ("no-such-owner/no-such-model", "no-such-owner/no-such-model"),
        ("{}/page.gguf", "web page"),
    ],
)
def test_a_model_that_can_not_be_loaded_leaves_the_app_running(start_app, tmp_path, model, said):
    (tmp_path / "page.gguf").write_bytes(b"<html>not found</html>")
    app = start_app(model.format(tmp_path), columns=120)
    app.wait_for("not loaded", 120)
    squeezed = re.sub(r"[\s│▌]+", "", app.text)
    assert re.sub(r"\s+", "", said) in squeezed
    app.type("still here")
    app.wait_for("still here")
    app.press("ctrl+q")
    assert app.wait_for_exit() == 0


def test_folders_that_can_not_be_made(start_app, home):
    home.folder.parent.mkdir(parents=True, exist_ok=True)
    home.folder.write_text("a file where the folder should be")
    app = start_app("./no-such-folder", columns=120)
    app.wait_for("CHAT_TUI_HOME")
    app.press("ctrl+q")
    assert app.wait_for_exit() == 0
    assert app.unrestored() == []


def test_no_escape_sequence_of_a_chat_file_reaches_the_terminal(start_app, tmp_path):
    payloads = [
        "\x1b]52;c;ZXZpbA==\x07",
        "\x1b]0;evil title\x07",
        "\x9d52;c;ZXZpbA==\x9c",
        "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
        "\x1bP+q evil\x1b\\",
        "\u202eevil",
    ]
    text = "\n\n".join(
        [
            f"para {p} `{p}` [{p}](http://a.example/{p})\n\n```{p}\n{p}\n```\n\n# {p}"
            for p in payloads
        ]
    )
    chat = tmp_path / "chat.json"
    history = [{"role": "user", "content": text}, {"role": "assistant", "content": text}]
    chat.write_text(json.dumps({"chat_history": history}))
    app = start_app("./no-such-folder", "--session", str(chat), columns=120, rows=100)
    app.wait_for("evil")
    app.press("ctrl+q")
    assert app.wait_for_exit() == 0
    for forbidden in ("\x1b]52", "\x1b]0;evil", "\x9d", "\x1b]8;;http://evil", "\x1bP+q", "\u202e"):
        assert forbidden.encode() not in app.raw
