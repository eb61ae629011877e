"""What the command line answers where no screen is opened."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tui import __version__
from tui.cli import main
from tui.conversation import Conversation
from tui.options import parse
from tui.sessions import SessionFileError
from tui.sessions.store import SessionStore
from tui.startup import UsageError, opened_chat


def run(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
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
    assert result.stderr.startswith("chat-tui: This is a full-screen app and needs a terminal")
    assert "Traceback" not in result.stderr


def test_log_path_names_a_file_below_home(tmp_path):
    result = run("--log-path", home=tmp_path)
    assert result.returncode == 0
    assert Path(result.stdout.strip()).is_relative_to(tmp_path)


def test_version(tmp_path):
    assert run("--version", home=tmp_path).stdout.strip() == f"chat-tui {__version__}"


def test_help_names_every_way_to_name_a_model(tmp_path):
    result = run("--help", home=tmp_path)
    for word in ("Hub ID", "local folder", ".gguf", "demo", "--continue", "--session"):
        assert word in " ".join(result.stdout.split())


@pytest.fixture
def store(tmp_path):
    made = SessionStore(tmp_path / "sessions")
    yield made
    made.close()


def test_continue_without_a_chat_says_how_to_start_one(store):
    with pytest.raises(UsageError, match="no saved chat"):
        opened_chat(parse(["--continue"]), store)


def test_session_takes_an_id_or_a_file(store):
    chat = Conversation().add_user("hello")
    store.save(chat)
    by_id = opened_chat(parse(["--session", chat.id]), store)
    assert by_id is not None
    assert by_id.conversation.path[0].text == "hello"


@pytest.mark.parametrize("content", ["", "{", "[1, 2", "\x00\x01", '{"a": 1}'])
def test_a_session_file_that_is_no_chat_is_refused_in_a_sentence(store, tmp_path, content):
    file = tmp_path / "chat.json"
    file.write_text(content)
    with pytest.raises(SessionFileError) as caught:
        opened_chat(parse(["--session", str(file)]), store)
    assert "chat.json" in str(caught.value)
    assert file.read_text() == content


def test_a_transformers_chat_save_opens(store, tmp_path):
    file = tmp_path / "chat_2026-01-01_10-00-00.json"
    file.write_text(
        '{"settings": {"model_id": "org/model", "config": {"temperature": 0.6}},'
        ' "chat_history": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]}'
    )
    opened = opened_chat(parse(["--session", str(file)]), store)
    assert opened is not None
    assert [turn.text for turn in opened.conversation.path] == ["hi", "ho"]


@pytest.mark.parametrize("name", ["no-such-chat", "~no-such-user/x", "x" * 300])
def test_an_unknown_session_is_refused_in_a_sentence(store, name):
    with pytest.raises(SessionFileError):
        opened_chat(parse(["--session", name]), store)


@pytest.fixture
def no_home(monkeypatch):
    """A user who has no home folder, as in some containers."""
    import pwd

    def unknown(_uid):
        raise KeyError("uid not found")

    for name in ("HOME", "CHAT_TUI_HOME", "HF_HOME", "HF_HUB_CACHE", "XDG_CONFIG_HOME", "XDG_DATA_HOME",
                 "XDG_CACHE_HOME", "XDG_STATE_HOME"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)


@pytest.mark.parametrize(
    "arguments",
    [["list"], ["models"], ["config"], ["completion", "bash"], ["export", "newest"], ["--dry-run"], ["--log-path"], ["bench"]],
    ids=lambda arguments: arguments[0],
)  # fmt: skip
def test_without_a_home_folder_there_is_a_sentence(no_home, capsys, arguments):
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert "HOME" in said
    assert "CHAT_TUI_HOME" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("home", ["relative", "~/below", "~nobody-of-that-name/x"])
def test_a_home_folder_that_is_none_is_a_sentence_too(no_home, monkeypatch, capsys, home):
    monkeypatch.setenv("HOME" if home == "relative" else "CHAT_TUI_HOME", home)
    assert main(["list"]) == 2
    assert "HOME" in capsys.readouterr().err


def test_one_folder_for_everything_is_enough_without_a_home(no_home, monkeypatch, tmp_path, capsys):
    from huggingface_hub import constants

    from tui.engine.catalog import local_models

    monkeypatch.setenv("CHAT_TUI_HOME", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", "~/.cache/huggingface/hub")
    for arguments in (["list"], ["config"], ["completion", "bash"], ["--dry-run"]):
        assert main(arguments) == 0
    assert capsys.readouterr().err == ""
    assert all(source.kind == "demo" for source in local_models(["~/models"]))


def test_an_error_that_nobody_thought_of_is_printed_with_the_place_of_the_log(
    monkeypatch, tmp_path, capsys
):
    from tui import subcommands

    def fail(*_arguments):
        raise RuntimeError("out of \x1b[31mcheese")

    monkeypatch.setenv("CHAT_TUI_HOME", str(tmp_path))
    monkeypatch.setitem(subcommands._COMMANDS, "list", fail)
    before = logging.getLogger().handlers[:]
    try:
        assert main(["list"]) == 1
    finally:
        logging.getLogger().handlers[:] = before
    said = capsys.readouterr().err
    log = tmp_path / "logs" / "chat-tui.log"
    assert said.startswith("chat-tui list: Unexpected error (RuntimeError: out of ")
    assert str(log) in said
    assert "\x1b" not in said
    assert "cheese" in log.read_text()


def test_an_error_that_nobody_thought_of_is_printed_where_there_can_be_no_log(
    no_home, monkeypatch, tmp_path, capsys
):
    from tui import subcommands

    def fail(*_arguments):
        raise ValueError("no")

    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CHAT_TUI_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(subcommands, "run", fail)
    before = logging.getLogger().handlers[:]
    try:
        assert main(["models"]) == 1
    finally:
        logging.getLogger().handlers[:] = before
    said = capsys.readouterr().err
    assert "Unexpected error (ValueError: no)" in said
    assert "Logging is off" in said


_WRITTEN = [
    "--help",
    "--version",
    "--log-path",
    "--dry-run",
    "config",
    "ask --help",
    "completion bash",
]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize(
    ("words", "buffering"),
    [*((words, "") for words in _WRITTEN), ("--help", "1"), ("--version", "1")],
)
def test_a_full_disk_behind_stdout_is_told_in_a_sentence(words, buffering, tmp_path):
    name = f"chat-tui {words.split()[0]}" if words[0] != "-" else "chat-tui"
    env = {**os.environ, "CHAT_TUI_HOME": str(tmp_path), "PYTHONUNBUFFERED": buffering}
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "tui", *words.split()],
            stdout=full, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env=env,
            timeout=60, check=False,
        )  # fmt: skip
    told = [line for line in done.stderr.splitlines() if "can't be written" in line]
    assert told == [f"{name}: The output can't be written (no space left on device)."]
    assert "Traceback" not in done.stderr
    assert "ignored" not in done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize("words", ["--help", "--version", "config --explain"])
def test_a_reader_that_has_gone_is_no_failure(words, tmp_path):
    command = f"{sys.executable} -m tui {words}; echo code $? >&2"
    done = subprocess.run(
        ["sh", "-c", f"(sleep 0.5; {command}) | true"],
        capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "CHAT_TUI_HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.stderr == "code 0\n"


def test_a_closed_stdout_is_told(tmp_path):
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m tui --version >&-"],
        capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "CHAT_TUI_HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.stderr == "chat-tui: Nothing can be printed: stdout is closed.\n"
    assert done.returncode == 1
