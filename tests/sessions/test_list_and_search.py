import os
import sqlite3
from dataclasses import replace

import pytest

from tui.conversation import Conversation, Generation, Status, codec
from tui.sanitize import sanitize
from tui.sessions import SessionStore


def titled(title: str, *said: str, at: float = 1_000.0) -> Conversation:
    chat = Conversation(title=title)
    for text in said or ("hello",):
        chat = chat.add_user(text)
    return replace(chat, updated_at=at)


def ids(hits) -> list[str]:
    return list(dict.fromkeys(hit.session_id for hit in hits))


def test_a_list_tells_what_one_needs_to_find_a_chat(store, chat) -> None:
    chat = chat.rename("Caches").with_settings({"model_id": "org/model"})
    store.save(chat)
    [entry] = store.list()
    assert (entry.id, entry.title, entry.model) == (chat.id, "Caches", "org/model")
    assert (entry.created_at, entry.updated_at) == (chat.created_at, chat.updated_at)
    assert entry.turns == len(chat.path)
    assert entry.first_words == "What is a KV cache?"
    assert entry.size_bytes == store.path(chat.id).stat().st_size
    assert (entry.pinned, entry.tags, entry.problem) == (False, (), "")


def test_the_model_is_that_of_the_last_reply_where_none_is_noted(store, chat) -> None:
    store.save(chat)
    assert store.list()[0].model == "demo"


def test_pinned_chats_come_first_then_the_newest(store) -> None:
    chats = [titled(str(number), at=float(number)) for number in range(4)]
    for chat in chats:
        store.save(chat)
    store.set_pinned(chats[1].id, True)
    assert [entry.title for entry in store.list()] == ["1", "3", "2", "0"]
    assert store.newest() == chats[3].id
    store.set_pinned(chats[1].id, False)
    assert [entry.title for entry in store.list()] == ["3", "2", "1", "0"]


def test_an_empty_folder_has_no_chats(store) -> None:
    assert store.list() == []
    assert store.newest() is None
    assert store.search("x") == []
    assert store.trashed() == []


def test_a_list_follows_what_other_windows_do(store, other_window) -> None:
    first, second = titled("first"), titled("second")
    store.save(first)
    assert len(store.list()) == 1
    other_window.save(second)
    other_window.save(second.rename("second, renamed"))
    assert {entry.title for entry in store.list()} == {"first", "second, renamed"}
    other_window.trash(second.id)
    assert [entry.title for entry in store.list()] == ["first"]


def test_search_finds_words_in_titles_and_turns_by_their_beginnings(store) -> None:
    tea = titled("Tea ceremony", "How is matcha whisked?")
    code = titled("Python", "What is a tea-break loop?", "Sort a list of caches")
    for chat in (tea, code):
        store.save(chat)
    hits = store.search("tea")
    assert ids(hits) == [tea.id, code.id], "a title counts more than a text"
    assert hits[0].turn_id is None
    assert hits[1].turn_id == code.path[0].id
    assert ids(store.search("cach lis")) == [code.id]
    assert ids(store.search("MATCHA")) == [tea.id]
    assert store.search("matcha sort") == []


def test_a_hit_says_where_its_words_are(store) -> None:
    store.save(titled("x", "a word " * 50 + "the needle\nin the hay " + "b word " * 50))
    [hit] = store.search("needle hay")
    assert [hit.snippet[begin:end] for begin, end in hit.matches] == ["needle", "hay"]
    assert "\n" not in hit.snippet
    assert len(hit.snippet) < 300


def test_variants_that_are_not_shown_are_found_too(store, chat) -> None:
    store.save(chat)
    [hit] = store.search("store of keys")
    assert hit.turn_id == chat.variants(chat.path[1].id)[0].id
    assert hit.turn_id not in {turn.id for turn in chat.path}


def test_search_ignores_accents_and_finds_scripts_without_spaces(store) -> None:
    chat = titled("Café", "今日は世界の天気です", "สวัสดีชาวโลก")
    store.save(chat)
    assert ids(store.search("cafe")) == [chat.id]
    [hit] = store.search("世界")
    assert hit.snippet[slice(*hit.matches[0])] == "世界"
    assert len(store.search("ชาวโลก")) == 1


@pytest.mark.parametrize(
    "query",
    ['"', '""', "a AND", "NOT", "NEAR(a b)", "title:x", "(((", "*", "a*b", "-x", "^a", "%", "_", "\\", "'; DROP TABLE sessions; --",
     "\x00", "a\x00b", "\ud800", "\x1b[31m", "𓀀", "a" * 10_000, "x " * 2_000, "", "   ", "{", "+", "col : x", "\x01\x02"],
)  # fmt: skip
def test_no_query_is_an_error(store, chat, query) -> None:
    store.save(chat)
    store.search(query)
    assert len(store.search("cache")) >= 1


@pytest.mark.parametrize(
    "query", ["中" * 20_000, "! " * 1_200, "?!" * 40_000, "long " * 30_000, "a" * 100_000]
)
def test_a_query_that_sqlite_finds_too_long_is_cut_and_spares_the_index(
    store, folder, chat, query
) -> None:
    store.save(chat)
    store.list()
    before = (folder / "index.sqlite3").stat().st_ino
    assert store.search(query) == []
    store.list()
    assert (folder / "index.sqlite3").stat().st_ino == before


def test_a_pasted_message_is_found_by_its_beginning(store, chat) -> None:
    text = " ".join(f"word{number}" for number in range(3_000))
    chat = chat.add_user(text)
    store.save(chat)
    assert store.search(text)[0].turn_id == chat.path[-1].id


def test_signs_are_found_as_they_stand(store) -> None:
    store.save(titled("signs", "use a->b or 100%", "nothing here"))
    assert len(store.search("->")) == 1
    assert len(store.search("%")) == 1
    assert store.search("_") == []


def test_search_follows_every_change_of_a_chat(store) -> None:
    chat = titled("x", "aardvark")
    store.save(chat)
    assert len(store.search("aardvark")) == 1
    reply = chat.begin_reply(chat.path[-1].id, Generation("demo"))
    reply = reply.finish(reply.path[-1].id, Status.COMPLETE, text="a zebra")
    store.save(reply)
    assert len(store.search("zebra")) == 1
    store.save(reply.delete(reply.path[-1].id, following=True))
    assert store.search("zebra") == []
    assert len(store.search("aardvark")) == 1


def test_the_limit_holds(store) -> None:
    for number in range(5):
        store.save(titled(f"n{number}", "common word"))
    assert len(store.search("common", limit=3)) == 3
    assert store.search("common", limit=0) == []


# -- hostile content


def test_what_a_list_or_hit_shows_has_no_control_characters(store) -> None:
    hostile = "\x1b]52;c;aGk=\x07\u202egnp.exe\r\n\x00\x01match\x02 \ud800"
    chat = Conversation(title=hostile, extra={"tags": [hostile, 7, "", hostile]}).add_user(hostile)
    store.save(chat.with_settings({"model_id": hostile}))
    [entry] = store.list()
    [*hits] = store.search("match")
    shown = [entry.title, entry.first_words, entry.model, *entry.tags]
    shown += [text for hit in hits for text in (hit.title, hit.snippet)]
    assert hits
    for text in shown:
        assert text == sanitize(text)
        assert "\n" not in text
    assert len(entry.tags) == 1


@pytest.mark.parametrize("updated_at", [1e300, -5.0])
def test_times_that_no_calendar_has_are_brought_back(store, updated_at) -> None:
    store.save(titled("x", at=updated_at))
    assert 0 <= store.list()[0].updated_at < 253_402_300_800


def test_a_very_long_title_is_cut(store) -> None:
    store.save(titled("long " * 10_000))
    assert len(store.list()[0].title) <= 200


# -- the index is only a cache


def index_of(folder):
    return folder / "index.sqlite3"


def test_the_index_can_be_deleted_at_any_time(store, folder, chat) -> None:
    store.save(chat)
    listed = store.list()
    store.close()
    for path in folder.glob("index.sqlite3*"):
        path.unlink()
    assert store.list() == listed
    assert SessionStore(folder).list() == listed


@pytest.mark.parametrize("damage", ["noise", "zeros", "middle", "empty", "cut", "other", "folder"])
def test_a_damaged_index_is_made_anew(folder, chat, damage) -> None:
    store = SessionStore(folder)
    store.save(chat)
    listed = store.list()
    store.search("cache")
    store._index.close()
    store.close()
    path = index_of(folder)
    data = path.read_bytes()
    if damage == "other":
        path.unlink()
        other = sqlite3.connect(path)
        other.execute("CREATE TABLE sessions (id)")
        other.execute("PRAGMA user_version = 1")
        other.commit()
        other.close()
    elif damage == "folder":
        path.unlink()
        path.mkdir()
    else:
        changed = {
            "noise": os.urandom(len(data)),
            "zeros": bytes(len(data)),
            "middle": data[:4096] + os.urandom(len(data) - 4096),
            "empty": b"",
            "cut": data[: len(data) // 2],
        }
        path.write_bytes(changed[damage])
    window = SessionStore(folder)
    assert window.list() == listed
    assert len(window.search("cache")) >= 1
    assert window.load(chat.id, lock=False).conversation == chat


def test_where_no_index_can_be_written_it_lives_in_memory(tmp_path, folder, chat) -> None:
    (tmp_path / "file").write_text("")
    store = SessionStore(folder, index=tmp_path / "file" / "index.sqlite3")
    store.save(chat)
    assert store.list()[0].id == chat.id
    assert store.search("cache")


def test_the_index_may_stand_elsewhere(tmp_path, folder, chat) -> None:
    store = SessionStore(folder, index=tmp_path / "cache" / "chats.sqlite3")
    store.save(chat)
    store.list()
    assert (tmp_path / "cache" / "chats.sqlite3").stat().st_mode & 0o777 == 0o600
    assert not index_of(folder).exists()


def test_a_large_folder_is_indexed_step_by_step(store) -> None:
    for number in range(4):
        store.save(titled(f"chat {number}"))
    left = [store.index_texts(budget_s=0.0) for _ in range(5)]
    assert left == [3, 2, 1, 0, 0]
    assert len(ids(store.search("chat"))) == 4


def test_only_changed_files_are_read_again(folder, monkeypatch) -> None:
    store = SessionStore(folder)
    chats = [titled(f"chat {number}") for number in range(10)]
    for chat in chats:
        store.save(chat)
    store.search("x")
    read: list[str] = []
    loads = codec.loads
    monkeypatch.setattr(codec, "loads", lambda data: read.append("") or loads(data))
    window = SessionStore(folder)
    window.list()
    window.search("chat")
    assert read == []
    store.save(chats[0].add_user("more"))
    window.search("more")
    window.list()
    assert len(read) == 1
    store.search("more")
    assert len(read) == 1, "what this window wrote it need not read"
