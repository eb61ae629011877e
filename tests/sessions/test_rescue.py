"""Copies of chats that can't be put where they belong."""

from __future__ import annotations

import stat

import pytest

from tui.conversation import Conversation, codec
from tui.sessions import SessionWriteError
from tui.sessions.rescue import write_copy

CHAT = Conversation().add_user("keep me")


def test_a_copy_is_a_private_chat_file(tmp_path):
    copy = write_copy(CHAT, [tmp_path])
    assert codec.loads(copy.read_bytes()).conversation == CHAT
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_a_folder_that_takes_nothing_is_passed_over(tmp_path):
    copy = write_copy(CHAT, [tmp_path / "not there", tmp_path])
    assert copy.parent == tmp_path


def test_without_any_folder_it_says_so_and_leaves_nothing(tmp_path, monkeypatch):
    def full(_fd, _data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tui.sessions.rescue.write_all", full)
    with pytest.raises(SessionWriteError, match="no space left"):
        write_copy(CHAT, [tmp_path])
    assert list(tmp_path.iterdir()) == []


def test_home_comes_first(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert write_copy(CHAT).parent == tmp_path
