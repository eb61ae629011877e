"""A damaged file is never lost: what can be read is opened, and its bytes are still in the folder after the next save."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tui.conversation import Conversation, Generation, Status, codec
from tui.conversation.content import content_text
from tui.sessions import SessionConflictError, SessionFileError, SessionStore

MUTANTS = 600


def long_chat() -> Conversation:
    chat = Conversation(extra={"pinned": True}).set_system_prompt("Be kind.\nBe brief.")
    for number in range(6):
        chat = chat.add_user(f'Question {number}: what does "{{" mean in été 漢字 \U0001f600?')
        chat = chat.begin_reply(chat.path[-1].id, Generation("demo", parameters={"seed": number}))
        chat = chat.finish(
            chat.path[-1].id, Status.COMPLETE, text=f"Answer {number}\n```\n{{}}\n```"
        )
    chat = chat.edit(chat.path[2].id, "Question 1, asked better")
    return chat.delete(chat.path[0].id, following=False).undo()


def cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def flip(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 3, 30))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def zeros(data: bytes, rng: random.Random) -> bytes:
    begin = rng.randrange(len(data))
    length = rng.choice((1, 16, 512, len(data)))
    return data[:begin] + bytes(len(data[begin : begin + length])) + data[begin + length :]


def drop(data: bytes, rng: random.Random) -> bytes:
    begin = rng.randrange(len(data))
    return data[:begin] + data[begin + rng.choice((1, 2, 40, 1000)) :]


def double(data: bytes, rng: random.Random) -> bytes:
    begin = rng.randrange(len(data))
    end = begin + rng.choice((1, 2, 40, 1000))
    return data[:end] + data[begin:]


def noise(data: bytes, rng: random.Random) -> bytes:
    begin = rng.randrange(len(data))
    return data[:begin] + rng.randbytes(rng.choice((1, 4, 64))) + data[begin:]


def retype(data: bytes, rng: random.Random) -> bytes:
    """Valid JSON with a value of another kind in it."""
    marks = [at for at in range(len(data)) if data.startswith(b'": ', at)]
    at = rng.choice(marks) + 3
    value = rng.choice((b"null, ", b"[], ", b'{"a": 1}, ', b"-1e999, ", b'"\\ud800", ', b"true, "))
    return data[:at] + value + b'"was": ' + data[at:]


def deep(data: bytes, rng: random.Random) -> bytes:
    begin = rng.randrange(len(data))
    return data[:begin] + rng.choice((b"[", b'{"a":', b'{"role":')) * 30_000 + data[begin:]


MUTATIONS: list[Callable[[bytes, random.Random], bytes]] = [
    cut, flip, zeros, drop, double, noise, retype, flip, cut, deep,
]  # fmt: skip


def bytes_in(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.iterdir() if ".json" in path.name]


def test_broken_files_never_crash_and_are_never_lost(tmp_path) -> None:
    rng = random.Random(20)
    whole = long_chat()
    data = codec.dumps(whole)
    opened = 0
    told: list[str] = []
    for number in range(MUTANTS):
        folder = tmp_path / str(number)
        folder.mkdir()
        broken = MUTATIONS[number % len(MUTATIONS)](data, rng)
        store = SessionStore(folder)
        path = store.path(whole.id)
        path.write_bytes(broken)
        store.list()
        store.search("question")
        try:
            loaded = store.load(whole.id)
        except SessionFileError as error:
            told.append(error.message)
            with pytest.raises(SessionConflictError):
                store.save(whole)
        else:
            opened += 1
            if not loaded.read_only:
                store.save(loaded.conversation.add_user("and on"))
                again = SessionStore(folder).load(whole.id, lock=False)
                assert again.problems == ()
                assert set(loaded.conversation.turns) < set(again.conversation.turns)
        assert broken in bytes_in(folder) or holds_all(loaded.conversation, broken), number
        store.close()
        for left in folder.iterdir():
            left.unlink()
    assert all("left unchanged" in message for message in told)
    assert opened > MUTANTS * 0.7, "most of a slightly broken file can be read"


def holds_all(conversation: Conversation, broken: bytes) -> bool:
    """Whether a chat says all that a file says, so that the file itself need not be kept."""
    decoded = codec.loads(broken)
    found = json.loads(broken.decode("utf-8-sig"))
    written = codec.encode(replace(decoded.base or decoded.conversation, id=conversation.id))
    said = {turn.text for turn in conversation.turns.values()} | {conversation.system_prompt}
    entries = found.pop("chat_history", None) or []
    del written["chat_history"]
    return (
        decoded.is_whole
        and {content_text(entry.get("content")) for entry in entries} <= {*said, ""}
        and json.dumps(found, sort_keys=True) == json.dumps(written, sort_keys=True)
    )


def test_every_cut_of_a_file_gives_back_all_turns_before_the_cut(store, folder) -> None:
    whole = long_chat()
    data = codec.dumps(whole)
    folder.mkdir()
    store.path(whole.id).write_bytes(data[: data.index(b'"history": {')])
    loaded = store.load(whole.id)
    assert loaded.conversation.turns == whole.turns
    assert loaded.conversation.path == whole.path
    assert loaded.conversation.title == whole.title
    assert loaded.conversation.system_prompt == whole.system_prompt
    assert "is kept as" in loaded.problems[-1]


def test_a_file_cut_in_its_tree_gives_back_the_whole_active_path(store, folder) -> None:
    whole = long_chat()
    data = codec.dumps(whole)
    folder.mkdir()
    cut_at = data.index(b"Answer 3", data.index(b'"tree"'))
    store.path(whole.id).write_bytes(data[:cut_at])
    path = store.load(whole.id).conversation.path
    assert [(turn.role, turn.text) for turn in path] == [
        (turn.role, turn.text) for turn in whole.path
    ]


def test_the_original_is_kept_before_anything_is_written_over(store, folder, chat) -> None:
    store.save(chat)
    store.close()
    broken = store.path(chat.id).read_bytes()[:-300]
    store.path(chat.id).write_bytes(broken)
    loaded = store.load(chat.id)
    assert "damaged-1" in loaded.problems[-1]
    assert store.load(chat.id).problems == loaded.problems, "opening it again keeps no second copy"
    store.save(loaded.conversation)
    assert (folder / f"{chat.id}.json.damaged-1").read_bytes() == broken
    store.close()
    store.path(chat.id).write_bytes(b"\x00" + broken)
    store.save(store.load(chat.id).conversation)
    assert (folder / f"{chat.id}.json.damaged-1").read_bytes() == broken
    assert (folder / f"{chat.id}.json.damaged-2").read_bytes() == b"\x00" + broken


def test_a_damaged_chat_is_in_the_list_with_a_word_about_it(store, folder, chat) -> None:
    store.save(chat)
    store.close()
    folder.joinpath(f"{'b' * 32}.json").write_bytes(b"\x00" * 4096)
    store.path(chat.id).write_bytes(codec.dumps(chat)[:-300])
    problems = {entry.id: entry.problem for entry in store.list()}
    assert "parts of it are readable" in problems[chat.id]
    assert "can't be read" in problems["b" * 32]
    assert store.newest() == chat.id
