"""The index is a cache: whatever is in its place, lists and searches work, and nothing in it is run or trusted."""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tui.conversation import Conversation
from tui.sanitize import sanitize
from tui.sessions import SessionStore, salvage
from tui.sessions import index as index_module

CORRUPTIONS = 400


def chats_in(folder: Path, count: int = 6) -> list[str]:
    """Save chats and index them; return their titles in the order of the list."""
    store = SessionStore(folder)
    for number in range(count):
        chat = Conversation(title=f"Chat {number}", extra={"tags": ["tea", "time"]})
        store.save(chat.add_user(f"What is a KV cache, number {number}?"))
    store.search("cache")
    titles = [entry.title for entry in store.list()]
    store.close()
    return titles


def corrupted(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    kind = rng.randrange(4)
    at = rng.randrange(len(changed))
    if kind == 0:
        changed[at : at + rng.choice((1, 8, 200))] = rng.randbytes(rng.choice((1, 8, 200)))
    elif kind == 1:
        for _ in range(rng.choice((1, 10, 300))):
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    elif kind == 2:
        del changed[at:]
    else:
        words = rng.choice((b"Chat", b"tea", b"What", b"sessions", b"cache"))
        new = rng.choice((b"\xff\xfe", b"\x1b[2J", b"[[[[", b'"', b"\x00", b"NULL"))
        return data.replace(words, new.ljust(len(words), b"\x01")[: len(words)])
    return bytes(changed)


def assert_listed(folder: Path, titles: list[str]) -> None:
    store = SessionStore(folder)
    listed = store.list()
    assert len(listed) == len(titles)
    hits = store.search("cache number") + store.search("->")
    for text in [
        text for entry in listed for text in (entry.title, entry.first_words, *entry.tags)
    ]:
        assert sanitize(text) == text
    assert all(sanitize(hit.snippet) == hit.snippet for hit in hits)
    store.close()


def test_no_corruption_of_the_index_is_an_error(tmp_path) -> None:
    rng = random.Random(400)
    titles = chats_in(tmp_path)
    path = tmp_path / "index.sqlite3"
    data = path.read_bytes()
    for _ in range(CORRUPTIONS):
        for old in tmp_path.glob("index.sqlite3*"):
            old.unlink()
        path.write_bytes(corrupted(data, rng))
        if rng.random() < 0.3:
            Path(f"{path}-wal").write_bytes(rng.randbytes(4096))
            Path(f"{path}-shm").write_bytes(rng.randbytes(1024))
        assert_listed(tmp_path, titles)


VALUES = [
    "x'ff00fe'",
    "NULL",
    "9e999",
    "-1.5",
    "'\x1b[2J'",
    "''",
    "7",
    "'[[[['",
    "'{\"a\": 1}'",
    "'[7]'",
]


@pytest.mark.parametrize("value", VALUES)
def test_a_value_of_another_type_in_a_row_makes_the_index_anew(tmp_path, value) -> None:
    titles = chats_in(tmp_path, 2)
    columns = ["title", "model", "created_at", "updated_at", "turns", "first_words", "pinned", "tags", "size_bytes", "problem"]  # fmt: skip
    for column in columns:
        with contextlib.closing(sqlite3.connect(tmp_path / "index.sqlite3")) as database:
            database.execute(f"UPDATE sessions SET {column} = {value}")
            database.commit()
        assert_listed(tmp_path, titles)
    with contextlib.closing(sqlite3.connect(tmp_path / "index.sqlite3")) as database:
        database.execute(f"UPDATE texts SET body = {value}")
        database.commit()
    assert_listed(tmp_path, titles)


def other_schema(database: sqlite3.Connection) -> None:
    database.execute("DROP TABLE sessions")
    database.execute("CREATE TABLE sessions (id TEXT, wine TEXT)")


def planted_trigger(database: sqlite3.Connection) -> None:
    database.execute("CREATE TRIGGER spy AFTER UPDATE ON sessions BEGIN DELETE FROM sessions; END")


def planted_view(database: sqlite3.Connection) -> None:
    database.execute("ALTER TABLE sessions RENAME TO real_ones")
    database.execute(
        "CREATE VIEW sessions AS SELECT *, zeroblob(1) FROM real_ones WHERE load_extension('x')"
    )


def planted_table(database: sqlite3.Connection) -> None:
    database.execute("CREATE TABLE more (a, b GENERATED ALWAYS AS (a || 'x'))")


def planted_index(database: sqlite3.Connection) -> None:
    database.execute("CREATE INDEX spy ON sessions (lower(title))")


@pytest.mark.parametrize(
    "plant", [other_schema, planted_trigger, planted_view, planted_table, planted_index]
)
def test_what_is_not_made_here_is_not_run(tmp_path, plant) -> None:
    titles = chats_in(tmp_path, 2)
    path = tmp_path / "index.sqlite3"
    with contextlib.closing(sqlite3.connect(path)) as database:
        plant(database)
        database.commit()
    assert_listed(tmp_path, titles)
    with contextlib.closing(sqlite3.connect(path)) as database:
        names = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
    assert names.isdisjoint({"spy", "more", "real_ones"})


def make_folder(path: Path) -> None:
    path.mkdir()
    (path / "somebody's file").write_text("words")


def make_huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(10 << 30)


KINDS: dict[str, Callable[[Path], object]] = {
    "folder": make_folder,
    "pipe": os.mkfifo,
    "dangling link": lambda path: path.symlink_to("nowhere/at/all"),
    "link to a folder": lambda path: path.symlink_to("/"),
    "link to a device": lambda path: path.symlink_to("/dev/zero"),
    "10 GB": make_huge,
    "garbage": lambda path: path.write_bytes(b"\x00\xff" * 5000),
}


@pytest.mark.parametrize("name", ["", "-wal", "-shm", "-journal"])
@pytest.mark.parametrize("kind", [*KINDS])
def test_whatever_is_in_the_place_of_the_index_the_chats_are_listed(tmp_path, kind, name) -> None:
    folder = tmp_path / "chats"
    titles = chats_in(folder, 2)
    path = Path(f"{folder / 'index.sqlite3'}{name}")
    path.unlink(missing_ok=True)
    KINDS[kind](path)
    assert_listed(folder, titles)
    assert_listed(folder, titles)


def test_an_index_that_another_process_holds_does_not_stop_the_list(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(index_module, "_LOCKED_S", 0.05)
    titles = chats_in(tmp_path, 2)
    with contextlib.closing(sqlite3.connect(tmp_path / "index.sqlite3")) as holder:
        holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        assert_listed(tmp_path, titles)


def test_a_file_that_raises_something_unexpected_does_not_hide_the_others(
    tmp_path, monkeypatch
) -> None:
    titles = chats_in(tmp_path, 2)
    (tmp_path / f"{'c' * 32}.json").write_text("{")

    def fail(data: bytes) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(index_module, "salvage", fail)
    listed = SessionStore(tmp_path).list()
    assert len(listed) == len(titles) + 1


# -- junk in place of a chat

JUNK = {
    "open braces": b"{",
    "open brackets": b"[",
    "deep": b'{"a":',
    "turns that never end": b'{"role":"user","content":"x"',
    "turns without a file": b'{"role":"user","content":"x"},',
    "digits": b"7",
    "quotes": b'"',
    "backslashes": b"\\",
    "escapes in an open text": b'{"\\',
    "no keys": b"{x",
    "objects": b'{"a":{}},',
    "runs": b'{"a":' * 40 + b"x",
    "zeros": b"\0",
}


@pytest.mark.parametrize("unit", [*JUNK])
@pytest.mark.parametrize("start", [b"", b'{\n "tree": {\n  "turns": [\n'])
def test_the_work_on_junk_is_bounded_by_its_length(unit, start, monkeypatch) -> None:
    read = 0
    real = salvage._decoder.raw_decode

    def counted(text: str, at: int = 0) -> tuple[object, int]:
        nonlocal read
        read += 512
        try:
            value, end = real(text, at)
        except ValueError as error:
            # The decoder counts the lines before an error.
            read += getattr(error, "pos", len(text))
            raise
        read += end - at
        return value, end

    class Counting:
        raw_decode = staticmethod(counted)

    monkeypatch.setattr(salvage, "_decoder", Counting)
    size = 1_000_000
    data = start + JUNK[unit] * (size // len(JUNK[unit]))
    with contextlib.suppress(salvage.ChatFormatError):
        salvage.salvage(data)
    assert read < 40 * size + (1 << 24)


def test_a_file_that_cannot_be_read_is_tried_once_and_not_at_every_list(
    tmp_path, monkeypatch
) -> None:
    tried: list[int] = []
    monkeypatch.setattr(
        index_module, "salvage", lambda data: (tried.append(len(data)), salvage.salvage(data))[1]
    )
    chats_in(tmp_path, 1)
    (tmp_path / f"{'b' * 32}.json").write_bytes(b"\x00" * 5000)
    for _ in range(3):
        store = SessionStore(tmp_path)
        assert len(store.list()) == 2
        store.close()
    assert len(tried) == 1
    store = SessionStore(tmp_path)
    (tmp_path / "trash").mkdir()
    (tmp_path / "trash" / f"{'d' * 32}.json").write_bytes(b"\x00" * 5000)
    assert [len(store.trashed()) for _ in range(3)] == [1, 1, 1]
    assert len(tried) == 2


def test_turns_behind_an_abyss_are_found() -> None:
    turn = b'{"id": "a", "role": "user", "content": "words"}'
    for start in (b"[" * 30_000, b'{"a":' * 30_000, b'{"a": [' * 30_000, b"{" * 100_000):
        found = salvage.salvage(start + turn).conversation
        assert [one.text for one in found.path] == ["words"]
