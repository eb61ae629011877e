import json
from dataclasses import replace

import pytest

from tui.conversation import Conversation, Generation, Status
from tui.sessions import SessionFileError, SessionStore


def test_a_trashed_chat_is_out_of_sight_and_comes_back_as_it_was(store, chat) -> None:
    store.save(chat)
    store.trash(chat.id)
    assert store.list() == []
    assert store.search("cache") == []
    assert [entry.id for entry in store.trashed()] == [chat.id]
    with pytest.raises(SessionFileError):
        store.load(chat.id)
    assert store.restore(chat.id) == chat.id
    assert store.trashed() == []
    assert store.load(chat.id).conversation == chat


def test_a_reply_in_progress_goes_with_its_chat(store, chat) -> None:
    streaming = chat.begin_reply(chat.path[-1].id, Generation("demo"))
    store.save(streaming)
    store.checkpoint(chat.id, streaming.path[-1].id, "so far")
    store.trash(chat.id)
    store.restore(chat.id)
    turn = store.load(chat.id).conversation.path[-1]
    assert (turn.text, turn.status) == ("so far", Status.INTERRUPTED)


def test_a_chat_never_takes_the_place_of_another_in_or_out_of_the_trash(store, chat) -> None:
    store.save(chat)
    store.trash(chat.id)
    store.save(chat.add_user("written again by a window that still had it"))
    restored = store.restore(chat.id)
    assert restored != chat.id
    assert len(store.list()) == 2
    store.trash(chat.id)
    store.save(chat)
    store.trash(chat.id)
    assert len(store.trashed()) == 2


def test_emptying_the_trash_leaves_the_other_chats(store, folder, chat) -> None:
    kept = replace(chat, id="c" * 32)
    for one in (chat, kept):
        store.save(one)
    store.trash(chat.id)
    (folder / "trash" / "notes.txt").write_text("not a chat")
    assert store.empty_trash() == 1
    assert store.trashed() == []
    assert [entry.id for entry in store.list()] == [kept.id]
    assert [path.name for path in (folder / "trash").iterdir()] == ["notes.txt"]
    assert store.empty_trash() == 0


def test_what_came_into_the_trash_since_it_was_listed_stays_there(store, chat) -> None:
    later = replace(chat, id="c" * 32)
    for one in (chat, later):
        store.save(one)
    store.trash(chat.id)
    listed = {entry.id for entry in store.trashed()}
    store.trash(later.id)
    assert store.empty_trash(listed) == 1
    assert [entry.id for entry in store.trashed()] == [later.id]


def test_what_is_not_there_can_be_neither_trashed_nor_restored(store, chat) -> None:
    for call in (store.trash, store.restore, store.duplicate):
        with pytest.raises(SessionFileError):
            call(chat.id)


def test_damaged_originals_go_to_the_trash_with_their_chat(store, folder, chat) -> None:
    store.save(chat)
    store.close()
    store.path(chat.id).write_bytes(store.path(chat.id).read_bytes()[:-200])
    store.save(store.load(chat.id).conversation)
    store.trash(chat.id)
    assert not list(folder.glob(f"{chat.id}*"))
    store.restore(chat.id)
    assert (folder / f"{chat.id}.json.damaged-1").exists()


def test_a_duplicate_is_a_chat_of_its_own(store, other_window, chat) -> None:
    store.save(chat.rename("Caches"))
    copy = store.duplicate(chat.id)
    loaded = other_window.load(copy)
    assert not loaded.read_only
    assert loaded.conversation.title == "Caches (copy)"
    assert loaded.conversation.path == chat.path


def test_a_rename_can_be_undone(store, chat) -> None:
    store.save(chat)
    store.unlock(chat.id)
    renamed = store.rename(chat.id, "  New\n title ")
    assert store.list()[0].title == "New title"
    assert renamed.undo().title == chat.title


def test_pins_and_tags_of_an_open_chat_survive_its_next_save(store, chat) -> None:
    store.save(chat)
    store.set_pinned(chat.id, True)
    store.set_tags(chat.id, ["work", " work ", "", "läuft\n"])
    store.save(chat.add_user("the window's copy knows nothing of them"))
    [entry] = store.list()
    assert entry.pinned
    assert entry.tags == ("work", "läuft")
    store.set_tags(chat.id, [])
    store.set_pinned(chat.id, False)
    store.save(chat.add_user("more"))
    [entry] = store.list()
    assert (entry.pinned, entry.tags) == (False, ())
    assert not {"pinned", "tags"} & json.loads(store.path(chat.id).read_bytes()).keys()


def test_pins_of_a_new_chat_come_from_the_chat(store) -> None:
    store.save(Conversation(extra={"pinned": True, "tags": ["imported"]}).add_user("x"))
    assert store.list()[0].pinned
    assert store.list()[0].tags == ("imported",)


def test_a_mark_does_not_end_the_reply_that_streams(store, folder, chat) -> None:
    streaming = chat.begin_reply(chat.path[-1].id, Generation("demo"))
    reply = streaming.path[-1].id
    store.save(streaming)
    store.checkpoint(chat.id, reply, "one ")
    store.set_pinned(chat.id, True)
    store.checkpoint(chat.id, reply, "two")
    store.close()
    window = SessionStore(folder)
    assert window.load(chat.id).conversation.turn(reply).text == "one two"
    assert window.list()[0].pinned
    window.close()


def test_a_mark_does_not_make_a_chat_newer(store, chat) -> None:
    store.save(chat)
    store.set_pinned(chat.id, True)
    assert store.list()[0].updated_at == chat.updated_at


def test_marks_on_a_chat_with_a_dead_reply_keep_what_it_said(store, other_window, chat) -> None:
    streaming = chat.begin_reply(chat.path[-1].id, Generation("demo"))
    store.save(streaming)
    store.checkpoint(chat.id, streaming.path[-1].id, "so far")
    store.close()
    other_window.set_tags(chat.id, ["x"])
    turn = other_window.load(chat.id).conversation.path[-1]
    assert (turn.text, turn.status) == ("so far", Status.INTERRUPTED)
