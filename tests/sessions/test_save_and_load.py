import errno
import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from tui.conversation import Conversation, Generation, Status, codec, new_id
from tui.sessions import (
    SessionConflictError,
    SessionFileError,
    SessionStore,
    SessionWriteError,
)


def replying(conversation: Conversation, text: str = "") -> Conversation:
    leaf = conversation.leaf
    return conversation.begin_reply(leaf.id if leaf else None, Generation("demo"), text=text)


def test_a_saved_chat_is_loaded_as_it_was(store, folder, chat) -> None:
    store.save(chat)
    loaded = SessionStore(folder).load(chat.id, lock=False)
    assert loaded.conversation == chat
    assert loaded.problems == ()
    assert not loaded.read_only
    assert loaded.path == folder / f"{chat.id}.json"


def test_the_file_holds_what_the_codec_writes(store, chat) -> None:
    store.save(chat)
    assert store.path(chat.id).read_bytes() == codec.dumps(chat)
    changed = chat.edit(chat.path[0].id, "What is attention?")
    store.save(changed)
    assert store.path(chat.id).read_bytes() == codec.dumps(changed)


def test_files_are_for_the_owner_alone(store, folder, chat) -> None:
    store.save(replying(chat))
    store.checkpoint(chat.id, chat.path[0].id, "x")
    store.list()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_a_save_leaves_nothing_but_the_chat_and_its_lock(store, folder, chat) -> None:
    store.save(chat)
    assert {path.name for path in folder.iterdir()} == {f"{chat.id}.json", f"{chat.id}.lock"}
    store.unlock(chat.id)
    assert {path.name for path in folder.iterdir()} == {f"{chat.id}.json"}


def test_unknown_keys_survive(store, folder, chat) -> None:
    store.save(chat)
    store.unlock(chat.id)
    document = json.loads(store.path(chat.id).read_bytes())
    document["colour of the sky"] = {"at": ["dusk", 1]}
    document["tree"]["turns"][0]["mood"] = "curious"
    store.path(chat.id).write_text(json.dumps(document))
    loaded = store.load(chat.id).conversation
    store.save(loaded.add_user("more"))
    again = json.loads(store.path(chat.id).read_bytes())
    assert again["colour of the sky"] == {"at": ["dusk", 1]}
    assert again["tree"]["turns"][0]["mood"] == "curious"
    assert not list(folder.glob("*.original-*")), "nothing was lost, so nothing had to be kept"


def test_what_would_be_lost_by_writing_back_is_kept_beside_the_chat(store, folder, chat) -> None:
    store.save(chat)
    store.unlock(chat.id)
    document = json.loads(store.path(chat.id).read_bytes())
    document["history"] = {"undo": "a note that somebody put here"}
    store.path(chat.id).write_text(json.dumps(document))
    loaded = store.load(chat.id).conversation
    store.save(loaded)
    kept = folder / f"{chat.id}.json.original-1"
    assert json.loads(kept.read_bytes()) == document


def test_a_file_of_a_newer_version_is_read_only(store, folder, chat) -> None:
    store.save(chat)
    store.unlock(chat.id)
    document = json.loads(store.path(chat.id).read_bytes())
    document["format"] = codec.FORMAT + 1
    store.path(chat.id).write_text(json.dumps(document))
    before = store.path(chat.id).read_bytes()
    loaded = store.load(chat.id)
    assert loaded.read_only
    assert "newer version" in loaded.problems[0]
    for change in (
        lambda: store.save(loaded.conversation),
        lambda: store.set_pinned(chat.id, True),
        lambda: store.rename(chat.id, "x"),
    ):
        with pytest.raises(SessionConflictError, match="newer version"):
            change()
    assert store.path(chat.id).read_bytes() == before
    fork = replace(loaded.conversation, id=new_id())
    store.save(fork)
    assert store.load(fork.id).conversation.path == loaded.conversation.path


@pytest.mark.parametrize(
    "hostile",
    ["", ".", "..", "../secret", "/etc/passwd", "a" * 31, "A" * 32, "a" * 32 + "\n", "%2e%2e", "\x00" * 32, "é" * 32],
)  # fmt: skip
def test_no_id_leads_out_of_the_folder(store, tmp_path, chat, hostile) -> None:
    (tmp_path / "secret.json").write_bytes(codec.dumps(chat))
    for call in (
        lambda: store.load(hostile),
        lambda: store.save(replace(chat, id=hostile)),
        lambda: store.checkpoint(hostile, "t", "x"),
        lambda: store.trash(hostile),
        lambda: store.restore(hostile),
        lambda: store.duplicate(hostile),
        lambda: store.lock(hostile),
        lambda: store.unlock(hostile),
        lambda: store.rename(hostile, "x"),
    ):
        with pytest.raises(SessionFileError):
            call()
    assert [path.name for path in tmp_path.iterdir()] == ["secret.json"]


def test_the_id_in_a_file_never_decides_where_it_is_written(store, folder, chat) -> None:
    store.save(chat)
    store.unlock(chat.id)
    document = json.loads(store.path(chat.id).read_bytes()) | {"id": "../../elsewhere"}
    store.path(chat.id).write_text(json.dumps(document))
    assert store.load(chat.id).conversation.id == chat.id


def test_links_are_not_followed_out_of_the_folder(store, folder, tmp_path, chat) -> None:
    outside = tmp_path / "outside.json"
    outside.write_bytes(codec.dumps(chat))
    folder.mkdir()
    store.path(chat.id).symlink_to(outside)
    assert store.list() == []
    with pytest.raises(SessionFileError):
        store.load(chat.id)
    with pytest.raises(SessionConflictError):
        store.save(chat.add_user("x"))
    assert outside.read_bytes() == codec.dumps(chat)


def test_a_pipe_in_the_folder_blocks_nothing(store, folder) -> None:
    folder.mkdir()
    os.mkfifo(folder / f"{'a' * 32}.json")
    assert store.list() == []
    with pytest.raises(SessionFileError):
        store.load("a" * 32)


# -- files of others


def test_a_transformers_chat_save_becomes_a_new_chat_and_stays_as_it_is(store, tmp_path) -> None:
    file = tmp_path / "chat_2026-01-01.json"
    content = json.dumps(
        {
            "settings": {"base_url": "http://localhost", "model_id": "org/model", "config": {"top_k": 3}},
            "chat_history": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "Hello."},
            ],
        }
    )  # fmt: skip
    file.write_text(content)
    loaded = store.open_file(file)
    assert not loaded.read_only
    assert loaded.problems == ()
    assert loaded.conversation.system_prompt == "Be brief."
    assert [turn.text for turn in loaded.conversation.path] == ["Hi", "Hello."]
    store.save(loaded.conversation.add_user("more"))
    assert file.read_text() == content
    assert store.newest() == loaded.conversation.id


def test_a_copy_of_a_chat_from_elsewhere_does_not_meet_the_original(store, tmp_path, chat) -> None:
    store.save(chat)
    backup = tmp_path / "backup.json"
    backup.write_bytes(codec.dumps(chat))
    opened = store.open_file(backup)
    assert opened.conversation.id != chat.id
    assert opened.conversation.path == chat.path


def test_a_file_of_the_folder_is_opened_as_the_chat_that_it_is(store, chat) -> None:
    store.save(chat)
    assert store.open_file(store.path(chat.id)).conversation == chat


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "isn't valid JSON"),
        (b"hello", "isn't valid JSON"),
        (b"[1, 2]", "doesn't contain a chat"),
        (b'{"a": 1}', "chat_history is missing"),
        (b'{"messages": [{"role": "user", "content": "x"}]}', "chat_history is missing"),
        (b"\x00\xff" * 50, "isn't a text file"),
    ],
)
def test_what_is_no_chat_is_refused_in_a_sentence(store, tmp_path, content, says) -> None:
    file = tmp_path / "x.json"
    file.write_bytes(content)
    with pytest.raises(SessionFileError, match=says):
        store.open_file(file)
    assert file.read_bytes() == content


def test_a_file_that_is_not_there_is_named(store, tmp_path) -> None:
    with pytest.raises(SessionFileError, match=r"The file .*nowhere\.json doesn't exist"):
        store.open_file(tmp_path / "nowhere.json")
    with pytest.raises(SessionFileError, match="can't be read"):
        store.open_file(tmp_path)
    with pytest.raises(SessionFileError):
        store.open_file(Path("a\x00b"))
    with pytest.raises(SessionFileError, match="no chat with the ID"):
        store.load("0" * 32)


# -- the reply that streams


def test_a_reply_whose_process_died_is_there_and_marked_as_interrupted(
    store, other_window, chat
) -> None:
    streaming = replying(chat)
    reply = streaming.path[-1].id
    store.save(streaming)
    store.checkpoint(chat.id, reply, "", "Let me think. ")
    store.checkpoint(chat.id, reply, "Because ")
    store.checkpoint(chat.id, reply, "of the layers.")
    store.close()
    turn = other_window.load(chat.id).conversation.turn(reply)
    assert (turn.text, turn.reasoning) == ("Because of the layers.", "Let me think. ")
    assert turn.status is Status.INTERRUPTED


def test_an_answer_that_turned_out_to_be_reasoning_is_told_apart_after_a_crash(
    store, folder, chat
) -> None:
    streaming = replying(chat)
    reply = streaming.path[-1].id
    store.save(streaming)
    store.checkpoint(chat.id, reply, "I look")
    store.checkpoint(chat.id, reply, " at it.\n</think>\n\nYes.")
    turn = SessionStore(folder).load(chat.id, lock=False).conversation.path[-1]
    assert (turn.text, turn.reasoning) == ("Yes.", "I look at it.")


def test_checkpoints_of_a_reply_with_given_first_words_follow_them(
    store, other_window, chat
) -> None:
    streaming = replying(chat, text="Sure: ")
    store.save(streaming)
    store.checkpoint(chat.id, streaming.path[-1].id, "it is")
    store.close()
    assert other_window.load(chat.id).conversation.path[-1].text == "Sure: it is"


@pytest.mark.parametrize("grown", ["", "one ", "one two "])
def test_a_save_in_the_middle_of_a_reply_neither_loses_nor_doubles_its_text(
    store, other_window, chat, grown
) -> None:
    streaming = replying(chat)
    reply = streaming.path[-1].id
    store.save(streaming)
    store.checkpoint(chat.id, reply, "one ")
    store.checkpoint(chat.id, reply, "two ")
    store.save(streaming.update(reply, text=grown).rename("renamed"))
    store.checkpoint(chat.id, reply, "three")
    store.close()
    assert other_window.load(chat.id).conversation.path[-1].text == "one two three"


def test_the_sidecar_goes_when_the_reply_ends(store, folder, chat) -> None:
    streaming = replying(chat)
    reply = streaming.path[-1].id
    store.save(streaming)
    store.checkpoint(chat.id, reply, "one")
    assert list(folder.glob("*.reply"))
    store.save(streaming.finish(reply, Status.STOPPED, text="one two"))
    assert not list(folder.glob("*.reply"))


def test_a_sidecar_that_outlived_its_reply_changes_nothing(store, folder, chat) -> None:
    streaming = replying(chat)
    reply = streaming.path[-1].id
    store.save(streaming)
    store.checkpoint(chat.id, reply, "an older text")
    sidecar = (folder / f"{chat.id}.reply").read_bytes()
    finished = streaming.finish(reply, Status.COMPLETE, text="the text")
    store.save(finished)
    store.close()
    (folder / f"{chat.id}.reply").write_bytes(sidecar)
    other = SessionStore(folder)
    assert other.load(chat.id).conversation == finished
    other.save(finished)
    assert not (folder / f"{chat.id}.reply").exists()
    other.close()


@pytest.mark.parametrize(
    "line",
    [
        b'{"turn": "%s", "at": [9, 0], "text": "a gap before", "reasoning": ""}',
        b'{"turn": "%s", "at": [0, 0], "text": "another text", "reasoning": ""}',
        b'{"turn": "somebody else", "at": [0, 0], "text": "x", "reasoning": ""}',
        b'{"turn": "%s", "at": [-1, 0], "text": "x", "reasoning": ""}',
        b'{"turn": "%s", "at": [0], "text": "x", "reasoning": ""}',
        b'{"turn": "%s", "at": [0, 0], "text": 7, "reasoning": ""}',
        b'{"turn": "%s", "at": [3, 0], "text": " more',
        b"\xff\xfe\x00",
        b"[" * 5000,
        b"null",
    ],
)
def test_a_line_that_does_not_belong_or_is_torn_does_no_harm(store, folder, chat, line) -> None:
    streaming = replying(chat)
    reply = streaming.path[-1].id
    store.save(streaming)
    store.checkpoint(chat.id, reply, "one")
    store.close()
    with (folder / f"{chat.id}.reply").open("ab") as file:
        file.write(line.replace(b"%s", reply.encode()))
    assert SessionStore(folder).load(chat.id, lock=False).conversation.path[-1].text == "one"


def test_a_torn_line_does_not_swallow_the_next_one(store, folder, chat) -> None:
    streaming = replying(chat)
    reply = streaming.path[-1].id
    store.save(streaming)
    (folder / f"{chat.id}.reply").write_bytes(b'{"turn": "torn')
    store._known[chat.id].reply_bytes = 14
    store.checkpoint(chat.id, reply, "one")
    store.close()
    assert SessionStore(folder).load(chat.id, lock=False).conversation.path[-1].text == "one"


def test_a_checkpoint_costs_the_same_in_a_long_chat(folder, store) -> None:
    """What is written does not grow with the chat: the chat's file is not touched."""
    sizes = []
    for turns in (2, 400):
        long = Conversation()
        for number in range(turns):
            long = long.add_user(f"turn {number}")
        long = replying(long)
        store.save(long)
        before = store.path(long.id).stat()
        store.checkpoint(long.id, long.path[-1].id, "x" * 100)
        assert store.path(long.id).stat().st_mtime_ns == before.st_mtime_ns
        sizes.append((folder / f"{long.id}.reply").stat().st_size)
    assert sizes[0] == sizes[1]


# -- a disk that fails


def fail_with(number: int):
    def fail(*_args, **_kwargs):
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("call", ["write", "fsync", "open"])
def test_a_full_disk_leaves_the_old_file_and_nothing_half_written(
    store, folder, chat, monkeypatch, call
) -> None:
    store.save(chat)
    before = store.path(chat.id).read_bytes()
    longer = chat.add_user("one more")
    with monkeypatch.context() as patch:
        patch.setattr(f"tui.files.os.{call}", fail_with(errno.ENOSPC))
        with pytest.raises(SessionWriteError, match="disk is full"):
            store.save(longer)
    assert store.path(chat.id).read_bytes() == before
    assert {path.suffix for path in folder.iterdir()} == {".json", ".lock"}
    store.save(longer)
    assert SessionStore(folder).load(chat.id, lock=False).conversation == longer


def test_a_folder_that_could_not_be_fsynced_is_no_conflict_later(store, chat, monkeypatch) -> None:
    store.save(chat)
    longer = chat.add_user("one more")
    with monkeypatch.context() as patch:
        patch.setattr("tui.files.fsync_folder", fail_with(errno.EIO))
        with pytest.raises(SessionWriteError):
            store.save(longer)
    store.save(longer.add_user("and more"))


def test_a_checkpoint_that_failed_can_be_made_again(store, other_window, chat, monkeypatch) -> None:
    streaming = replying(chat)
    reply = streaming.path[-1].id
    store.save(streaming)
    store.checkpoint(chat.id, reply, "one ")
    for call in ("write", "fsync"):
        with monkeypatch.context() as patch:
            patch.setattr(f"tui.files.os.{call}", fail_with(errno.ENOSPC))
            with pytest.raises(SessionWriteError, match="disk is full"):
                store.checkpoint(chat.id, reply, "two ")
    store.checkpoint(chat.id, reply, "two three")
    store.close()
    assert other_window.load(chat.id).conversation.path[-1].text == "one two three"


def test_a_read_only_folder_is_said_and_loading_still_works(store, chat, monkeypatch) -> None:
    store.save(chat)
    store.unlock(chat.id)
    opened = os.open

    def read_only(path, flags, *args, **kwargs):
        if flags & (os.O_CREAT | os.O_RDWR | os.O_WRONLY):
            raise OSError(errno.EROFS, "Read-only file system")
        return opened(path, flags, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", read_only)
        loaded = store.load(chat.id)
        assert loaded.conversation == chat
        with pytest.raises(SessionWriteError, match="can't be written to"):
            store.save(chat.add_user("x"))
    store.save(chat.add_user("x"))


def test_a_folder_below_a_file_is_said(tmp_path, chat) -> None:
    (tmp_path / "file").write_text("")
    store = SessionStore(tmp_path / "file" / "sessions")
    assert store.list() == []
    assert store.newest() is None
    with pytest.raises(SessionWriteError, match="not saved"):
        store.save(chat)


def test_a_folder_that_vanished_is_made_again_with_the_chat_in_it(store, folder, chat) -> None:
    store.save(chat)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    store.save(chat)
    assert SessionStore(folder).load(chat.id, lock=False).conversation == chat


def test_a_value_that_no_json_holds_is_said(store, chat) -> None:
    store.save(chat)
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(SessionWriteError, match="can't be written"):
        store.save(replace(chat, extra={"loop": loop}))
    assert store.path(chat.id).read_bytes() == codec.dumps(chat)
