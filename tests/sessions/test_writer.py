import errno
import os
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tui.conversation import Generation, Status, codec
from tui.sessions import (
    SessionConflictError,
    SessionStore,
    SessionWriteError,
    SessionWriter,
)

SOON_S = 10.0


@pytest.fixture
def writer(store: SessionStore) -> Iterator[SessionWriter]:
    writer = SessionWriter(store, retry_s=0.01)
    yield writer
    writer.close(SOON_S)


class Gate:
    """Holds up the writer's thread until it is opened."""

    def __init__(self, writer: SessionWriter) -> None:
        self._opened, entered = threading.Event(), threading.Event()

        def wait() -> None:
            entered.set()
            self._opened.wait(SOON_S)

        writer.run(wait)
        assert entered.wait(SOON_S)

    def open(self) -> None:
        self._opened.set()


class FailingDisk:
    """Makes every write fail until it is repaired."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._works = threading.Event()
        write = os.write
        monkeypatch.setattr("tui.files.write_all", lambda fd, data: self._write(write, fd, data))
        monkeypatch.setattr("tui.sessions.reply.write_all", lambda fd, data: self._write(write, fd, data))  # fmt: skip

    def _write(self, write, fd, data) -> None:
        if not self._works.is_set():
            raise OSError(errno.ENOSPC, "No space left on device")
        write(fd, data)

    def repair(self) -> None:
        self._works.set()


def streaming(chat):
    return chat.begin_reply(chat.path[-1].id, Generation("demo"), text="So: ")


def written(writer: SessionWriter) -> None:
    """Wait until nothing is unwritten any more."""
    for _ in range(1000):
        if not writer.failures:
            return
        threading.Event().wait(0.01)
    pytest.fail(f"still not written: {writer.failures}")


def test_no_thread_is_started_before_there_is_work(store) -> None:
    before = threading.active_count()
    writer = SessionWriter(store)
    assert threading.active_count() == before
    assert writer.close(SOON_S)


def test_a_save_is_on_the_disk_when_its_future_ends(writer, store, chat) -> None:
    writer.save(chat).result(SOON_S)
    assert store.path(chat.id).read_bytes() == codec.dumps(chat)


def test_work_is_done_in_the_order_in_which_it_was_asked_for(writer, chat) -> None:
    reply = streaming(chat)
    turn = reply.path[-1].id
    gate = Gate(writer)
    writer.save(reply)
    writer.checkpoint(chat.id, turn, "one ")
    writer.checkpoint(chat.id, turn, "two")
    early = writer.run(lambda: writer.store.load(chat.id, lock=False).conversation)
    writer.save(reply.finish(turn, Status.COMPLETE, text="So: one two three"))
    late = writer.run(lambda: writer.store.load(chat.id, lock=False).conversation)
    gate.open()
    assert early.result(SOON_S).turn(turn).text == "So: one two"
    assert late.result(SOON_S).turn(turn).text == "So: one two three"


def test_a_newer_save_takes_the_place_of_one_that_waits(writer, store, chat, monkeypatch) -> None:
    saved: list[str] = []
    save = store.save
    monkeypatch.setattr(store, "save", lambda conv: saved.append(conv.title) or save(conv))
    gate = Gate(writer)
    futures = [writer.save(replace(chat, title=f"version {number}")) for number in range(5)]
    gate.open()
    for future in futures:
        assert future.result(SOON_S) is None
    assert saved == ["version 4"]


def test_a_save_does_not_overtake_other_work(writer, chat) -> None:
    gate = Gate(writer)
    writer.save(chat)
    trashed = writer.run(lambda: writer.store.trash(chat.id))
    writer.save(chat.add_user("after"))
    gate.open()
    trashed.result(SOON_S)
    listed = writer.run(writer.store.list).result(SOON_S)
    assert [entry.turns for entry in listed] == [len(chat.path) + 1]


def test_asking_never_waits_for_the_disk(writer, chat) -> None:
    gate = Gate(writer)
    future = writer.save(chat)
    writer.checkpoint(chat.id, chat.path[-1].id, "x")
    writer.run(writer.store.list)
    assert not future.done()
    assert writer.pending == 3
    gate.open()


def test_what_could_not_be_written_is_written_as_soon_as_the_disk_works(
    writer, store, chat, monkeypatch
) -> None:
    disk = FailingDisk(monkeypatch)
    with pytest.raises(SessionWriteError, match="disk is full"):
        writer.save(chat).result(SOON_S)
    assert "disk is full" in writer.failures[chat.id].message
    longer = chat.add_user("said while the disk was full")
    with pytest.raises(SessionWriteError):
        writer.save(longer).result(SOON_S)
    disk.repair()
    written(writer)
    assert SessionStore(store.folder).load(chat.id, lock=False).conversation == longer


def test_a_reply_that_began_on_a_full_disk_is_whole_when_the_disk_works(
    writer, store, chat, monkeypatch
) -> None:
    disk = FailingDisk(monkeypatch)
    reply = streaming(chat)
    turn = reply.path[-1].id
    futures = [writer.save(reply)]
    futures += [writer.checkpoint(chat.id, turn, piece) for piece in ("one ", "two ")]
    for future in futures:
        with pytest.raises(SessionWriteError):
            future.result(SOON_S)
    disk.repair()
    writer.checkpoint(chat.id, turn, "three").result(SOON_S)
    written(writer)
    found = SessionStore(store.folder).load(chat.id, lock=False).conversation.turn(turn)
    assert found.text == "So: one two three"


def test_a_checkpoint_that_failed_goes_with_the_next_one(writer, store, chat, monkeypatch) -> None:
    reply = streaming(chat)
    turn = reply.path[-1].id
    writer.save(reply).result(SOON_S)
    with monkeypatch.context() as patch:
        disk = FailingDisk(patch)
        with pytest.raises(SessionWriteError):
            writer.checkpoint(chat.id, turn, "one ", "hm ").result(SOON_S)
        disk.repair()
        writer.checkpoint(chat.id, turn, "two", "so").result(SOON_S)
    found = SessionStore(store.folder).load(chat.id, lock=False).conversation.turn(turn)
    assert (found.text, found.reasoning) == ("So: one two", "hm so")


def test_one_chat_that_can_be_written_brings_the_others_along(store, chat, monkeypatch) -> None:
    writer = SessionWriter(store, retry_s=10_000)
    disk = FailingDisk(monkeypatch)
    with pytest.raises(SessionWriteError):
        writer.save(chat).result(SOON_S)
    disk.repair()
    writer.save(replace(chat, id="d" * 32)).result(SOON_S)
    assert writer.run(lambda: len(store.list())).result(SOON_S) == 2
    assert not writer.failures
    assert writer.close(SOON_S)


def test_indexing_lets_saves_go_first(writer, store, chat, monkeypatch) -> None:
    order: list[str] = []
    left = iter((2, 1, 0))
    monkeypatch.setattr(store, "index_texts", lambda _budget: order.append("step") or next(left))
    gate = Gate(writer)
    writer.index_texts()
    save = writer.run(lambda: order.append("save"))
    gate.open()
    save.result(SOON_S)
    while len(order) < 4:
        writer.run(lambda: None).result(SOON_S)
    assert order == ["step", "save", "step", "step"]


def test_a_conflict_is_told_and_not_tried_again(writer, other_window, store, chat) -> None:
    other_window.save(chat)
    with pytest.raises(SessionConflictError):
        writer.save(chat.add_user("x")).result(SOON_S)
    assert isinstance(writer.failures[chat.id], SessionConflictError)
    other_window.unlock(chat.id)
    writer.run(lambda: None).result(SOON_S)
    assert store.load(chat.id, lock=False).conversation == chat
    fork = replace(chat.add_user("x"), id="e" * 32)
    writer.save(fork).result(SOON_S)
    writer.forget(chat.id)
    writer.run(lambda: None).result(SOON_S)
    assert not writer.failures


def test_a_fault_of_one_job_ends_neither_the_thread_nor_the_others(writer, chat) -> None:
    with pytest.raises(ZeroDivisionError):
        writer.run(lambda: 1 // 0).result(SOON_S)
    cancelled = Gate(writer), writer.run(lambda: pytest.fail("it was cancelled"))
    assert cancelled[1].cancel()
    cancelled[0].open()
    writer.save(chat).result(SOON_S)


def test_closing_writes_what_waits_and_gives_the_locks_back(store, other_window, chat) -> None:
    writer = SessionWriter(store)
    gate = Gate(writer)
    writer.save(chat)
    gate.open()
    assert writer.close(SOON_S)
    assert not other_window.load(chat.id).read_only
    with pytest.raises(RuntimeError, match="closed"):
        writer.save(chat)


def test_closing_tells_what_is_not_on_the_disk(store, chat, monkeypatch) -> None:
    writer = SessionWriter(store, retry_s=10_000)
    disk = FailingDisk(monkeypatch)
    with pytest.raises(SessionWriteError):
        writer.save(chat).result(SOON_S)
    assert not writer.close(SOON_S)
    assert chat.id in writer.failures
    disk.repair()


def test_closing_does_not_wait_for_a_disk_that_hangs(store, chat) -> None:
    writer = SessionWriter(store)
    gate = Gate(writer)
    assert not writer.close(0.01)
    gate.open()
    assert writer.close(SOON_S)
