"""Imported chats: each is put on the disk once, whatever was done with it since."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tui.conversation import Conversation, new_id
from tui.conversation.formats.identity import content_id
from tui.sessions import SessionWriteError


@pytest.fixture
def imported() -> Conversation:
    chat = Conversation().add_user("hello")
    return replace(chat, id=content_id(chat))


def test_a_chat_is_adopted_once_and_can_be_opened_by_any_window(store, other_window, imported):
    assert store.adopt(imported)
    assert not other_window.adopt(imported)
    opened = other_window.load(imported.id)
    assert not opened.read_only
    other_window.save(opened.conversation.add_user("more"))
    assert not store.adopt(imported)
    assert len(store.load(imported.id, lock=False).conversation.path) == 2


def test_a_chat_that_comes_from_here_is_known_by_what_it_says(store, imported):
    origin = new_id()
    store.save(replace(imported, id=origin))
    assert not store.adopt(imported, origin)
    store.save(replace(imported, id=origin).add_user("since then"))
    assert store.adopt(imported, origin)


@pytest.mark.parametrize("origin", ["", "../../etc/passwd", "0" * 32, "\0"])
def test_an_origin_that_is_not_here_is_no_obstacle(store, imported, origin):
    assert store.adopt(imported, origin)


def test_an_origin_whose_file_is_damaged_is_no_obstacle(store, imported):
    origin = new_id()
    store.folder.mkdir(parents=True, exist_ok=True)
    store.path(origin).write_bytes(b"\0\0")
    assert store.adopt(imported, origin)


def test_a_chat_that_can_not_be_written_is_not_adopted(store, imported, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "_write", refuse)
    with pytest.raises(SessionWriteError):
        store.adopt(imported)
