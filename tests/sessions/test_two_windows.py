import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from tui.conversation import Generation, Status, new_id
from tui.sessions import SessionConflictError, SessionFileError, SessionStore


def test_the_second_window_reads_only_and_says_why(store, other_window, chat) -> None:
    store.save(chat)
    loaded = other_window.load(chat.id)
    assert loaded.read_only
    assert "another window" in loaded.problems[-1]
    assert loaded.conversation == chat


def test_the_second_window_can_neither_write_nor_change_nor_move_the_chat(
    store, other_window, chat
) -> None:
    store.save(chat)
    before = store.path(chat.id).read_bytes()
    for change in (
        lambda: other_window.save(chat.add_user("from the other")),
        lambda: other_window.checkpoint(chat.id, chat.path[-1].id, "x"),
        lambda: other_window.rename(chat.id, "x"),
        lambda: other_window.set_pinned(chat.id, True),
        lambda: other_window.set_tags(chat.id, ["x"]),
        lambda: other_window.trash(chat.id),
    ):
        with pytest.raises(SessionConflictError, match="another window"):
            change()
    assert store.path(chat.id).read_bytes() == before
    store.save(chat.add_user("the first goes on"))


def test_the_second_window_can_fork(store, other_window, chat) -> None:
    store.save(chat)
    loaded = other_window.load(chat.id)
    fork = replace(loaded.conversation, id=new_id())
    other_window.save(fork.add_user("on my own"))
    assert len(store.list()) == 2


def test_a_stale_copy_never_overwrites_a_longer_one(store, other_window, chat) -> None:
    store.save(chat)
    store.unlock(chat.id)
    longer = other_window.load(chat.id).conversation.add_user("more")
    other_window.save(longer)
    other_window.unlock(chat.id)
    with pytest.raises(SessionConflictError, match="changed on disk"):
        store.save(chat.add_user("from the stale copy"))
    assert store.load(chat.id, lock=False).conversation == longer


@pytest.mark.parametrize("look", ["load", "load without lock", "duplicate", "pin", "list", "busy"])
def test_looking_at_a_chat_does_not_make_a_stale_copy_fresh(
    store, other_window, chat, look
) -> None:
    other_window.save(chat)
    stale = store.load(chat.id)
    assert stale.read_only
    other_window.save(chat.add_user("more"))
    if look == "busy":
        store.load(chat.id)
    other_window.unlock(chat.id)
    if look == "load without lock":
        store.load(chat.id, lock=False)
    elif look == "duplicate":
        store.duplicate(chat.id)
    elif look == "pin":
        store.set_pinned(chat.id, True)
    elif look == "list":
        store.list()
        store.search("more")
    elif look == "load":
        assert store.load(chat.id).conversation != stale.conversation
        return
    with pytest.raises(SessionConflictError):
        store.save(stale.conversation.add_user("stale"))


def test_a_chat_that_was_never_read_is_not_written_over(store, other_window, chat) -> None:
    store.save(chat)
    store.unlock(chat.id)
    with pytest.raises(SessionConflictError):
        other_window.save(replace(chat, turns={}))


def test_a_copy_read_before_a_reply_went_on_does_not_drop_what_it_said(
    store, other_window, chat
) -> None:
    streaming = chat.begin_reply(chat.path[-1].id, Generation("demo"))
    reply = streaming.path[-1].id
    store.save(streaming)
    store.checkpoint(chat.id, reply, "one ")
    store.unlock(chat.id)
    early = other_window.load(chat.id).conversation
    other_window.unlock(chat.id)
    store.checkpoint(chat.id, reply, "two")
    store.unlock(chat.id)
    with pytest.raises(SessionConflictError, match="reply was added"):
        other_window.save(early)
    assert other_window.load(chat.id).conversation.turn(reply).text == "one two"


def test_a_lock_file_that_nobody_holds_locks_nothing(store, folder, chat) -> None:
    folder.mkdir()
    (folder / f"{chat.id}.lock").write_text("4711")
    store.save(chat)
    assert store.lock(chat.id)


def test_a_lock_can_be_taken_again_and_given_back(store, other_window, chat) -> None:
    store.save(chat)
    assert store.lock(chat.id)
    assert not other_window.lock(chat.id)
    store.unlock(chat.id)
    store.unlock(chat.id)
    assert other_window.lock(chat.id)
    assert not store.lock(chat.id)


def test_a_conflict_does_not_take_the_chat_away(store, other_window, folder, chat) -> None:
    store.save(chat)
    store.unlock(chat.id)
    with pytest.raises(SessionConflictError):
        other_window.save(chat.add_user("never read there"))
    assert not store.load(chat.id).read_only


def test_a_chat_that_could_not_be_read_is_not_locked(store, other_window, folder) -> None:
    folder.mkdir()
    store.path("a" * 32).write_bytes(b"nothing")
    with pytest.raises(SessionFileError):
        store.load("a" * 32)
    assert other_window.lock("a" * 32)


def test_a_lock_whose_file_was_removed_is_taken_anew(store, other_window, folder, chat) -> None:
    store.save(chat)
    (folder / f"{chat.id}.lock").unlink()
    assert store.lock(chat.id)
    assert not other_window.lock(chat.id)


_HOLD = """
import sys, pathlib
from tui.sessions import SessionStore
store = SessionStore(pathlib.Path(sys.argv[1]))
loaded = store.load(sys.argv[2])
conversation = loaded.conversation.add_user("said in the other process")
store.save(conversation)
print(loaded.read_only, flush=True)
sys.stdin.read()
"""


def test_two_processes_on_one_chat_and_the_death_of_one(store, folder, chat) -> None:
    store.save(chat)
    store.unlock(chat.id)
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(folder), chat.id],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == "False\n"
        loaded = store.load(chat.id)
        assert loaded.read_only
        assert loaded.conversation.path[-1].text == "said in the other process"
        with pytest.raises(SessionConflictError):
            store.save(chat.add_user("x"))
    finally:
        os.kill(holder.pid, signal.SIGKILL)
        holder.communicate()
    assert (folder / f"{chat.id}.lock").exists(), "the dead process could not clean up"
    with pytest.raises(SessionConflictError):
        store.save(chat.add_user("x"))
    loaded = store.load(chat.id)
    assert not loaded.read_only
    store.save(loaded.conversation.add_user("and on"))


def test_one_of_many_that_ask_at_once_gets_the_lock(folder, chat) -> None:
    windows = [SessionStore(folder) for _ in range(5)]
    windows[0].save(chat)
    windows[0].unlock(chat.id)
    loaded = [window.load(chat.id) for window in windows]
    assert [entry.read_only for entry in loaded] == [False, True, True, True, True]
    for window in windows:
        window.close()


def test_a_reply_of_another_live_window_is_shown_but_left_alone(
    store, other_window, folder, chat
) -> None:
    streaming = chat.begin_reply(chat.path[-1].id, Generation("demo"))
    store.save(streaming)
    store.checkpoint(chat.id, streaming.path[-1].id, "so far")
    assert other_window.load(chat.id).conversation.path[-1].text == "so far"
    store.checkpoint(chat.id, streaming.path[-1].id, " and on")
    done = streaming.finish(streaming.path[-1].id, Status.COMPLETE, text="so far and on.")
    store.save(done)
    assert not list(folder.glob("*.reply"))


_TAKE_TURNS = """
import sys, pathlib
from tui.sessions import SessionStore, SessionConflictError
store = SessionStore(pathlib.Path(sys.argv[1]))
said = refused = 0
while said < 60:
    loaded = store.load(sys.argv[2])
    if loaded.read_only:
        refused += 1
        try:
            store.save(loaded.conversation.add_user("must not be there"))
        except SessionConflictError:
            pass
        else:
            sys.exit("what was opened read-only was saved")
        continue
    store.save(loaded.conversation.add_user(f"{sys.argv[3]} {said}"))
    said += 1
    store.unlock(sys.argv[2])
print(refused)
"""


def test_processes_that_take_turns_on_one_chat_lose_nothing(store, folder, chat) -> None:
    store.save(chat)
    store.unlock(chat.id)
    talking = [
        subprocess.Popen(
            [sys.executable, "-c", _TAKE_TURNS, str(folder), chat.id, name],
            stdout=subprocess.PIPE,
        )
        for name in ("one", "two", "three")
    ]
    for process in talking:
        process.communicate(timeout=60)
        assert process.returncode == 0
    said = [turn.text for turn in store.load(chat.id).conversation.path]
    for name in ("one", "two", "three"):
        assert [text for text in said if text.startswith(name)] == [
            f"{name} {n}" for n in range(60)
        ]
    assert "must not be there" not in said
