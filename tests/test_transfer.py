"""Files of other tools, whatever lies under their name: single ones, many, folders and archives."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import struct
import subprocess
import sys
import threading
import warnings
import zipfile
from pathlib import Path

import pytest

from tui import transfer
from tui.conversation.formats import archive, import_text
from tui.transfer import Source, Tally, read_sources


def chat(number: int = 1) -> dict:
    """One chat as ChatGPT exports it."""
    message = {"author": {"role": "user"}, "content": {"parts": [f"Question {number}"]}}
    return {"title": f"Chat {number}", "mapping": {"a": {"parent": None, "message": message}}}


def zipped(files: dict[str, bytes | str], **options) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, **options) as made:
        for name, data in files.items():
            made.writestr(name, data)
    return target.getvalue()


def read(*paths: Path) -> tuple[list[Source], Tally]:
    tally = Tally()
    sources = list(read_sources(paths))
    for source in sources:
        tally.add(source)
        for one in source.imported.conversations if source.imported else ():
            tally.add_chat(one, is_new=True)
    return sources, tally


def titles(tally: Tally) -> list[str]:
    return [one.title for one in tally.chats]


USER = {"role": "user", "content": "Q"}
EXPORT = {
    "conversations-000.json": json.dumps([chat(1), chat(2)]),
    "conversations-001.json": json.dumps([chat(3)]),
    "user.json": '{"id": "user-x"}',
    "message_feedback.json": "[]",
    "chat.html": "<html></html>",
    "file-1.png": b"\x89PNG",
}


def test_a_pipe_in_place_of_a_chat_is_refused_and_not_waited_for(tmp_path):
    pipe = tmp_path / "chats.json"
    os.mkfifo(pipe)
    said: list[str] = []

    def read_it() -> None:
        said.extend(source.failure for source in read_sources([pipe]))

    reading = threading.Thread(target=read_it, daemon=True)
    reading.start()
    reading.join(10)
    assert said == ["It can't be read (not a regular file)."]


@pytest.mark.parametrize("kind", ["archive", "folder", "folder of an archive"])
def test_an_export_of_many_files_is_read_whole_and_each_file_answered_for(tmp_path, kind):
    path = tmp_path / "export"
    if kind == "archive":
        path = tmp_path / "export.zip"
        path.write_bytes(zipped(EXPORT))
    elif kind == "folder":
        (path / "deeper").mkdir(parents=True)
        for name, data in EXPORT.items():
            (path / "deeper" / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    else:
        path.mkdir()
        (path / "export.zip").write_bytes(zipped(EXPORT))
    _, tally = read(path)
    assert titles(tally) == ["Chat 1", "Chat 2", "Chat 3"]
    assert sorted(Path(name).name.rpartition(": ")[2] for name in tally.others) == [
        "chat.html",
        "message_feedback.json",
        "user.json",
    ]
    assert tally.is_whole
    assert "3 chats imported (ChatGPT conversations.json)" in tally.summary()
    assert "3 files without chats" in tally.summary()
    assert tally.summary().endswith("; 1 media file skipped.")


def test_among_many_files_those_that_are_no_chats_are_named_and_the_rest_is_imported(tmp_path):
    for name, data in EXPORT.items():
        (tmp_path / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    (tmp_path / "cut.json").write_text('[{"title": "x", "mapping": {')
    sources, tally = read(*sorted(tmp_path.glob("*.json")), tmp_path / "gone.json")
    assert len(sources) == 6
    assert titles(tally) == ["Chat 1", "Chat 2", "Chat 3"]
    assert not tally.is_whole
    why = {Path(one.name).name: one.failure for one in tally.failures}
    assert why.keys() == {"user.json", "message_feedback.json", "cut.json", "gone.json"}
    assert "isn't valid JSON" in why["cut.json"]
    assert why["user.json"] == "It doesn't contain a chat in a supported format."


TAKEOUT_PAGE = b"<html><head><title>My Activity History</title>"
PARTLY = {
    "good.json": json.dumps([chat(1)]).encode(),
    "a.md": b"# Notes",
    "notes.txt": b"[1] is no JSON",
    "page.html": b"<!doctype html><title>Google Takeout</title><p>My Activity",
    "paper.pdf": b"%PDF-1.7",
    "photo.jpg": b"",
    "sound.dat": b"RIFF",
    "without-ending": json.dumps([chat(2)]).encode(),
    "table.txt": b"role,content\nuser,Question 3\n",
}
UNREADABLE = {
    "chat.jsonl.gz": (gzip.compress(b"{}"), "gzip"),
    "parquet.parquet": (b"PAR1", "Parquet"),
    "webui.db": (b"SQLite format 3\0", "database"),
    "MyActivity.html": (TAKEOUT_PAGE, "choose JSON"),
}


def as_folder_or_archive(tmp_path: Path, kind: str, files: dict[str, bytes]) -> Path:
    if kind == "archive":
        (tmp_path / "x.zip").write_bytes(zipped(dict(files)))
        return tmp_path / "x.zip"
    (tmp_path / "x").mkdir()
    for name, data in files.items():
        (tmp_path / "x" / name).write_bytes(data)
    return tmp_path / "x"


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_what_is_not_called_as_chats_are_is_looked_at_and_named(tmp_path, kind):
    _, tally = read(as_folder_or_archive(tmp_path, kind, PARTLY))
    assert sorted(titles(tally)) == ["Chat 1", "Chat 2", "Question 3"]
    assert tally.is_whole
    assert tally.summary().endswith(
        "; 4 files without chats (a.md, notes.txt, page.html, paper.pdf); 2 media files skipped."
    )


@pytest.mark.parametrize("kind", ["folder", "archive"])
@pytest.mark.parametrize("name", UNREADABLE)
def test_what_may_hold_chats_but_cannot_be_read_is_a_failure(tmp_path, kind, name):
    data, words = UNREADABLE[name]
    files = {"good.json": PARTLY["good.json"], name: data}
    _, tally = read(as_folder_or_archive(tmp_path, kind, files))
    assert titles(tally) == ["Chat 1"]
    (failed,) = tally.failures
    assert failed.name.endswith(f": {name}")
    assert words in failed.failure
    assert not tally.is_whole


def test_an_archive_without_chats_in_a_folder_is_answered_for(tmp_path):
    files = {"good.json": PARTLY["good.json"], "no.zip": zipped({"a.txt": "x"})}
    _, tally = read(as_folder_or_archive(tmp_path, "folder", files))
    assert [one.failure for one in tally.failures] == ["It contains no chats (no JSON files)."]
    assert "without chats (a.txt)" in tally.summary()


def test_a_folder_of_more_files_than_are_looked_at_is_said_to_be(tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "MOST_FILES", 2)
    files = {f"{number}.json": json.dumps([chat(number)]).encode() for number in range(3)}
    _, tally = read(as_folder_or_archive(tmp_path, "folder", files))
    assert len(tally.chats) == 2
    assert [one.failure for one in tally.failures] == ["Only the first 2 files in it were checked."]


def test_a_summary_names_the_formats_of_what_is_new_alone():
    old, new = (import_text(json.dumps(one).encode()) for one in (chat(1), [USER]))
    tally = Tally()
    tally.add(Source("a", old))
    tally.add_chat(old.conversations[0], is_new=False)
    assert tally.summary() == "0 chats imported; 1 chat already imported."
    tally.add(Source("b", new))
    tally.add_chat(new.conversations[0], is_new=True)
    assert tally.summary() == "1 chat imported (OpenAI messages); 1 chat already imported."


def test_an_account_also_says_what_was_left_out():
    found = import_text(
        json.dumps([USER, {"role": "assistant", "content": "A", "images": ["x"]}]).encode()
    )
    tally = Tally()
    tally.add(Source("a", found))
    assert tally.account() == "0 chats imported. Left out: image contents (1)."


def test_a_thread_of_jan_is_joined_with_what_describes_it(tmp_path):
    thread = {
        "id": "t",
        "object": "thread",
        "title": "Jays",
        "created": 1760000000,
        "assistants": [{"instructions": "Be kind.", "model": {"id": "m"}}],
    }
    message = {
        "role": "user",
        "thread_id": "t",
        "content": [{"type": "text", "text": {"value": "Hi"}}],
    }
    folder = tmp_path / "threads" / "t"
    folder.mkdir(parents=True)
    (folder / "thread.json").write_text(json.dumps(thread))
    (folder / "messages.jsonl").write_text(json.dumps(message))
    for path in (tmp_path / "threads", folder / "messages.jsonl"):
        sources, tally = read(path)
        assert len(sources) == 1
        (found,) = tally.chats
        assert (found.title, found.system_prompt) == ("Jays", "Be kind.")
        assert found.settings == {"model_id": "m"}
    _, tally = read(folder / "thread.json")
    assert "messages.jsonl" in tally.failures[0].failure


def test_an_empty_folder_and_an_archive_of_pictures_hold_no_chats(tmp_path):
    (tmp_path / "pictures.zip").write_bytes(zipped({"a.png": b"\x89PNG"}))
    (tmp_path / "empty").mkdir()
    _, tally = read(tmp_path / "pictures.zip", tmp_path / "empty")
    assert [one.failure for one in tally.failures] == ["It contains no chats (no JSON files)."] * 2


def test_links_in_a_folder_are_named_but_not_followed_and_hidden_files_passed_over(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    outside = tmp_path / "elsewhere" / "secret.json"
    outside.write_text(json.dumps([chat(9)]))
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link.json").symlink_to(outside)
    (folder / "loop").symlink_to(folder)
    (folder / ".hidden.json").write_text(json.dumps([chat(8)]))
    (folder / "a.json").write_text(json.dumps([chat(1)]))
    _, tally = read(folder)
    assert titles(tally) == ["Chat 1"]
    assert tally.summary().endswith("; 2 files without chats (link.json, loop).")
    assert tally.is_whole


# -- archives that are broken or meant to harm


def failures(tmp_path: Path, data: bytes) -> str:
    path = tmp_path / "x.zip"
    path.write_bytes(data)
    _, tally = read(path)
    assert not tally.is_whole
    return "\n".join(one.failure for one in tally.failures)


def test_no_path_in_an_archive_leads_out_of_it(tmp_path):
    path = tmp_path / "inner" / "x.zip"
    path.parent.mkdir()
    path.write_bytes(
        zipped({"../../evil.json": json.dumps([chat(1)]), "/etc/evil.json": json.dumps([chat(2)])})
    )
    assert titles(read(path)[1]) == ["Chat 1", "Chat 2"]
    assert [one.name for one in tmp_path.rglob("*")] == ["inner", "x.zip"]


def test_an_encrypted_file_in_an_archive_is_named(tmp_path):
    data = bytearray(zipped({"a.json": json.dumps([chat(1)]), "b.json": json.dumps([chat(2)])}))
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1
    path = tmp_path / "x.zip"
    path.write_bytes(bytes(data))
    _, tally = read(path)
    assert titles(tally) == ["Chat 2"]
    assert [one.failure for one in tally.failures] == [
        "It is encrypted. Unpack the archive with its password first."
    ]


def test_a_packing_that_is_not_known_is_said(tmp_path):
    data = bytearray(zipped({"a.json": json.dumps([chat(1)])}))
    struct.pack_into("<H", data, data.index(b"PK\x01\x02") + 10, 99)
    struct.pack_into("<H", data, data.index(b"PK\x03\x04") + 8, 99)
    assert "unsupported compression method" in failures(tmp_path, bytes(data))


def test_an_archive_that_is_cut_off_is_said_to_be(tmp_path):
    data = zipped(EXPORT)
    assert "damaged or incomplete ZIP" in failures(tmp_path, data[: len(data) // 2])


def test_damage_in_one_file_does_not_lose_the_others(tmp_path):
    files = {
        name: os.urandom(50).hex() + json.dumps([chat(n)]) for n, name in enumerate(["a.json"])
    }
    files["b.json"] = json.dumps([chat(2)])
    data = bytearray(zipped(files))
    data[60:90] = bytes(30)
    path = tmp_path / "x.zip"
    path.write_bytes(bytes(data))
    _, tally = read(path)
    assert titles(tally) == ["Chat 2"]
    assert [one.failure for one in tally.failures] == ["It is damaged inside the archive."]


def test_what_unpacks_to_more_than_the_limit_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "_MOST_FILE_BYTES", 3 << 20)
    monkeypatch.setattr(archive, "_MOST_BYTES", 5 << 20)
    blanks = b" " * (4 << 20)
    assert "too large" in failures(tmp_path, zipped({"a.json": blanks}))
    half = json.dumps([chat(1)]).encode() + blanks[: 5 << 19]
    path = tmp_path / "many.zip"
    path.write_bytes(zipped({"a.json": half, "b.json": half}))
    _, tally = read(path)
    assert titles(tally) == ["Chat 1"]
    assert "too large" in tally.failures[0].failure


def test_files_that_are_only_looked_at_take_nothing_from_what_chats_may_hold(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "_MOST_BYTES", 1 << 12)
    notes = {f"{number}.md": b"x" * 4000 for number in range(3)}
    path = tmp_path / "x.zip"
    path.write_bytes(zipped({**notes, "z.json": json.dumps([chat(1)])}))
    _, tally = read(path)
    assert titles(tally) == ["Chat 1"]
    assert tally.is_whole


def test_an_archive_of_very_many_files_is_refused_before_they_are_listed(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MOST_FILES", 3)
    assert "more than 3 files" in failures(tmp_path, zipped({f"{n}.txt": "" for n in range(4)}))


def test_a_file_without_a_name_in_an_archive_is_passed_over(tmp_path):
    data = bytearray(zipped({"\x01": "{}", "b.json": json.dumps([chat(2)])}))
    data[data.index(b"PK\x01\x02") + 46] = 0
    path = tmp_path / "x.zip"
    path.write_bytes(bytes(data))
    assert titles(read(path)[1]) == ["Chat 2"]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_archive_with_any_bytes_changed_is_read_or_refused(tmp_path, method):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as made:
        for name, data in EXPORT.items():
            made.writestr(name, data)
    whole = target.getvalue()
    path = tmp_path / "x.zip"
    rng = random.Random(method)
    for _ in range(80):
        broken = bytearray(whole[: rng.randrange(100, len(whole))] if rng.random() < 0.1 else whole)
        for _ in range(rng.randint(1, 6)):
            broken[rng.randrange(4, len(broken))] = rng.randrange(256)
        path.write_bytes(bytes(broken))
        _, tally = read(path)
        assert tally.chats or tally.failures


def test_an_archive_in_an_archive_is_not_opened(tmp_path):
    inner = zipped({"a.json": json.dumps([chat(1)])})
    assert "archive inside another archive" in failures(tmp_path, zipped({"inner.zip": inner}))


@pytest.mark.parametrize("name", ["export.json", "export", "export.zip"])
def test_an_archive_is_known_by_what_it_holds(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(zipped({"conversations.json": json.dumps([chat(1)])}))
    assert titles(read(path)[1]) == ["Chat 1"]


def test_two_files_of_one_name_in_an_archive_are_both_read(tmp_path):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as made:
        made.writestr("a.json", json.dumps([chat(1)]))
        with pytest.warns(UserWarning, match="Duplicate"):
            made.writestr("a.json", json.dumps([chat(2)]))
    path = tmp_path / "x.zip"
    path.write_bytes(target.getvalue())
    assert titles(read(path)[1]) == ["Chat 1", "Chat 2"]


def test_an_archive_of_very_many_files_of_one_name_is_opened_at_once(tmp_path):
    """In a process of its own, which is ended where it would take minutes."""
    path = tmp_path / "x.zip"
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as made:
        warnings.simplefilter("ignore")
        for _ in range(30_000):
            made.writestr("a.json", "{}")
    script = (
        "import sys; from pathlib import Path; from tui.conversation.formats.archive import Archive; "
        "names = Archive(Path(sys.argv[1]).read_bytes()).names; print(len(names), *list(names)[:3], sep='|')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, path], capture_output=True, timeout=60, check=True
    )
    assert done.stdout.split() == b"30000|a.json|a.json (2)|a.json (3)".split()


def test_what_nobody_expected_of_a_file_fails_for_that_file_alone(tmp_path, monkeypatch):
    def reading(data, thread=None):
        if b"strange" in data:
            raise AssertionError("strange")
        return import_text(data, thread)

    monkeypatch.setattr(transfer, "import_text", reading)
    (tmp_path / "a.json").write_text(json.dumps([chat(1)]))
    (tmp_path / "b.json").write_text('["strange"]')
    _, tally = read(tmp_path)
    assert [one.failure for one in tally.failures] == ["Part of it can't be read (AssertionError)."]
    assert len(tally.chats) == 1
