"""What the command line answers where no screen is opened."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tui import __version__
from tui.cli import UsageError, _opened
from tui.conversation import Conversation
from tui.options import parse
from tui.sessions.store import SessionStore


def run(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    import os

    return subprocess.run(
        [sys.executable, "-m", "tui", *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "CHAT_TUI_HOME": str(home)},
        timeout=60,
        check=False,
    )


def test_without_a_terminal_it_says_so_and_exits_with_2(tmp_path):
    result = run(home=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith("chat-tui: this is a full-screen app and needs a terminal")
    assert "Traceback" not in result.stderr


def test_log_path_names_a_file_below_home(tmp_path):
    result = run("--log-path", home=tmp_path)
    assert result.returncode == 0
    assert Path(result.stdout.strip()).is_relative_to(tmp_path)


def test_version(tmp_path):
    assert run("--version", home=tmp_path).stdout.strip() == f"chat-tui {__version__}"


def test_help_names_every_way_to_name_a_model(tmp_path):
    result = run("--help", home=tmp_path)
    for word in ("Hub id", "local folder", ".gguf", "demo", "--continue", "--session"):
        assert word in " ".join(result.stdout.split())


@pytest.fixture
def store(tmp_path):
    made = SessionStore(tmp_path / "sessions")
    yield made
    made.close()


def test_continue_without_a_chat_says_how_to_start_one(store):
    with pytest.raises(UsageError, match="no saved chat"):
        _opened(parse(["--continue"]), store)


def test_session_takes_an_id_or_a_file(store):
    chat = Conversation().add_user("hello")
    store.save(chat)
    by_id = _opened(parse(["--session", chat.id]), store)
    assert by_id is not None
    assert by_id.conversation.path[0].text == "hello"


@pytest.mark.parametrize("content", ["", "{", "[1, 2", "\x00\x01", '{"a": 1}'])
def test_a_session_file_that_is_no_chat_is_refused_in_a_sentence(store, tmp_path, content):
    file = tmp_path / "chat.json"
    file.write_text(content)
    with pytest.raises(UsageError) as caught:
        _opened(parse(["--session", str(file)]), store)
    assert "chat.json" in str(caught.value)
    assert file.read_text() == content


def test_a_transformers_chat_save_opens(store, tmp_path):
    file = tmp_path / "chat_2026-01-01_10-00-00.json"
    file.write_text(
        '{"settings": {"model_id": "org/model", "config": {"temperature": 0.6}},'
        ' "chat_history": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]}'
    )
    opened = _opened(parse(["--session", str(file)]), store)
    assert opened is not None
    assert [turn.text for turn in opened.conversation.path] == ["hi", "ho"]


def test_an_unknown_session_is_refused_in_a_sentence(store):
    with pytest.raises(UsageError):
        _opened(parse(["--session", "no-such-chat"]), store)
