"""What another program did to a chat's file is shown or kept beside it, and said; a file of our own is never taken for changed."""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from tests.conversation.strategies import chats
from tui.conversation import (
    Conversation,
    FilePart,
    Generation,
    ImagePart,
    Status,
    TextPart,
    UnknownPart,
    codec,
)
from tui.sessions import Loaded, SessionStore

EDITS = 200

Edit = Callable[[dict[str, Any]], object]


def edited(store: SessionStore, chat: Conversation, edit: Edit) -> Loaded:
    """Save a chat, let another program edit the file, and open it again."""
    store.save(chat)
    store.unlock(chat.id)
    path = store.path(chat.id)
    document = json.loads(path.read_bytes())
    edit(document)
    path.write_bytes(json.dumps(document).encode())
    return store.load(chat.id)


def said(chat: Conversation) -> list[tuple[str, str]]:
    return [(turn.role, turn.text) for turn in chat.path]


def all_texts(chat: Conversation) -> set[str]:
    return {turn.text for turn in chat.turns.values()}


def kept(folder: Path) -> list[str]:
    return sorted(path.name.partition(".json.")[2] for path in folder.glob("*.json.*"))


@given(chats())
@settings(deadline=None, max_examples=150)
def test_a_file_of_our_own_is_never_taken_for_changed(chat) -> None:
    decoded = codec.loads(codec.dumps(chat))
    assert (decoded.problems, decoded.notes, decoded.is_whole) == ((), (), True)
    again = codec.loads(codec.dumps(decoded.conversation))
    assert again.conversation == decoded.conversation


def test_an_appended_turn_goes_on_with_the_chat(store, folder, chat) -> None:
    def append(document: dict[str, Any]) -> None:
        document["chat_history"] += [
            {"role": "assistant", "content": "Because every layer keeps both."},
            {"role": "user", "content": "Thanks!"},
        ]

    loaded = edited(store, chat, append)
    assert said(loaded.conversation) == [
        *said(chat),
        ("assistant", "Because every layer keeps both."),
        ("user", "Thanks!"),
    ]
    assert loaded.problems == (
        "Another program changed chat_history in this chat's file: 2 turns were added. Undo takes that back.",
    )
    assert loaded.conversation.undo().path == chat.path
    assert chat.turns.items() <= loaded.conversation.turns.items()
    store.save(loaded.conversation)
    assert kept(folder) == [], "all of it is in the chat"
    store.unlock(chat.id)
    again = store.load(chat.id)
    assert again.problems == (), "it is said once"
    assert again.conversation == loaded.conversation


def test_a_changed_text_becomes_a_variant_and_what_follows_stays(store, folder, chat) -> None:
    loaded = edited(store, chat, lambda d: d["chat_history"][1].update(content="Something else."))
    new = loaded.conversation
    assert [text for _, text in said(new)] == [
        "What is a KV cache?",
        "Something else.",
        "And why is it large?",
    ]
    assert len(new.variants(new.path[1].id)) == 3
    assert new.path[1].origin == chat.path[1].id
    assert "1 turn was changed (the old text is kept as a variant)" in loaded.problems[0]
    assert all_texts(chat) < all_texts(new)
    assert new.undo().path == chat.path
    assert kept(folder) == []


def test_two_changed_texts_are_two_variants(store, chat) -> None:
    def edit(document: dict[str, Any]) -> None:
        document["chat_history"][0]["content"] = "What is it?"
        document["chat_history"][2]["content"] = "Why?"

    loaded = edited(store, chat, edit)
    assert [text for _, text in said(loaded.conversation)] == [
        "What is it?",
        "It keeps what was computed.",
        "Why?",
    ]
    assert loaded.conversation.path[1].generation == chat.path[1].generation
    assert loaded.conversation.path[2].origin == chat.path[2].id
    assert "2 turns were changed (the old text is kept as a variant)." in loaded.problems[0]


def test_a_turn_put_before_others_changes_none_of_them(store, chat) -> None:
    new = {"role": "user", "content": "first of all"}
    loaded = edited(store, chat, lambda d: d["chat_history"].insert(0, new))
    assert said(loaded.conversation) == [("user", "first of all"), *said(chat)]
    assert ": 1 turn was added." in loaded.problems[0]
    assert loaded.conversation.path[2].generation == chat.path[1].generation


def test_turns_that_were_taken_out_are_kept(store, chat) -> None:
    loaded = edited(store, chat, lambda d: d["chat_history"].pop())
    assert loaded.conversation.turns == chat.turns
    assert loaded.problems == (
        "Another program changed chat_history in this chat's file: 1 turn was removed from it (still kept in the chat).",
    )


def test_turns_in_another_order_are_shown_in_it_and_the_old_order_is_kept(store, chat) -> None:
    def swap(document: dict[str, Any]) -> None:
        history = document["chat_history"]
        history[0], history[2] = history[2], history[0]

    loaded = edited(store, chat, swap)
    assert [text for _, text in said(loaded.conversation)] == [
        "And why is it large?",
        "It keeps what was computed.",
        "What is a KV cache?",
    ]
    reply = loaded.conversation.path[1]
    assert reply.generation == chat.path[1].generation
    assert chat.turns.items() <= loaded.conversation.turns.items()


def test_another_system_prompt_is_taken_and_can_be_undone(store, chat) -> None:
    chat = chat.set_system_prompt("Be brief.")
    loaded = edited(store, chat, lambda d: d["chat_history"][0].update(content="Be kind."))
    assert loaded.conversation.system_prompt == "Be kind."
    assert "the system prompt was changed" in loaded.problems[0]
    assert loaded.conversation.undo().system_prompt == "Be brief."


def test_a_message_after_a_reply_that_said_nothing_follows_it(store, chat) -> None:
    failed = chat.begin_reply(chat.path[-1].id, Generation("demo"))
    failed = failed.finish(failed.path[-1].id, Status.FAILED, text="", error="no memory")
    loaded = edited(
        store, failed, lambda d: d["chat_history"].append({"role": "user", "content": "again"})
    )
    assert said(loaded.conversation) == [*said(failed), ("user", "again")]


def test_a_reply_in_place_of_one_that_said_nothing_is_its_variant(store, chat) -> None:
    failed = chat.begin_reply(chat.path[-1].id, Generation("demo"))
    failed = failed.finish(failed.path[-1].id, Status.FAILED, text="", error="no memory")
    loaded = edited(
        store, failed, lambda d: d["chat_history"].append({"role": "assistant", "content": "Here"})
    )
    assert said(loaded.conversation) == [*said(chat), ("assistant", "Here")]
    assert failed.path[-1].id in loaded.conversation.turns


def test_unknown_keys_of_an_entry_are_kept_with_its_turn(store, folder, chat) -> None:
    def mark(document: dict[str, Any]) -> None:
        document["chat_history"][1]["rating"] = 5

    loaded = edited(store, chat, mark)
    assert loaded.conversation.path[1].extra == {"rating": 5}
    assert said(loaded.conversation) == said(chat)


@pytest.mark.parametrize(
    "entry",
    [
        {"role": "user", "content": {"text": "words in another place"}},
        {"role": "user", "content": 7},
        {"content": "no role"},
        {"role": "user", "content": "x", "id": "theirs"},
        {"role": "assistant", "content": "x", "reasoning": {"steps": ["one"]}},
        "only a text",
        ["a", "list"],
        7,
    ],
)
def test_what_has_no_place_in_a_turn_is_kept_beside_and_said(store, folder, chat, entry) -> None:
    loaded = edited(store, chat, lambda d: d["chat_history"].append(entry))
    original = store.path(chat.id).read_bytes()
    assert "is kept as" in loaded.problems[-1]
    store.save(loaded.conversation)
    [copy_of_it] = folder.glob("*.json.*")
    assert copy_of_it.read_bytes() == original
    assert set(chat.turns) <= set(loaded.conversation.turns)


def test_typed_text_is_text(store, folder, chat) -> None:
    parts = [{"type": "text", "text": "two"}, {"type": "text", "text": "parts"}]
    loaded = edited(
        store, chat, lambda d: d["chat_history"].append({"role": "user", "content": parts})
    )
    assert loaded.conversation.path[-1].text == "two\nparts"
    assert kept(folder) == []


@pytest.mark.parametrize("text", ["see", ""])
def test_an_image_that_another_program_added_becomes_a_part(store, folder, chat, text) -> None:
    image = {"type": "image", "url": "cat.png", "extra": [1]}
    content = [*([{"type": "text", "text": text}] if text else []), image]
    loaded = edited(
        store, chat, lambda d: d["chat_history"].append({"role": "user", "content": content})
    )
    assert loaded.conversation.leaf.text == text
    assert loaded.conversation.leaf.others == (UnknownPart(image),)
    store.save(loaded.conversation)
    assert json.loads(store.path(chat.id).read_bytes())["chat_history"][-1]["content"] == content
    assert kept(folder) == []


def test_a_part_of_a_turn_in_the_tree_that_is_not_known_is_written_back(
    store, folder, chat
) -> None:
    content = [{"type": "text", "text": "a", "lang": "en"}, {"image": "b"}]

    def edit(document: dict[str, Any]) -> None:
        document["tree"]["turns"][0]["content"] = content
        document["chat_history"][0]["content"] = content

    loaded = edited(store, chat, edit)
    store.save(loaded.conversation)
    assert json.loads(store.path(chat.id).read_bytes())["tree"]["turns"][0]["content"] == content
    assert kept(folder) == []


def test_a_turn_whose_text_another_program_changed_keeps_its_files(store, folder) -> None:
    chat = Conversation().add_user("Look", FilePart("a.txt", "one"), FilePart("b.txt", "two"))
    store.save(chat)

    def edit(document: dict[str, Any]) -> None:
        entry = document["chat_history"][0]
        entry["content"] = entry["content"].replace("Look", "Look here")

    loaded = edited(store, chat, edit)
    assert loaded.conversation.leaf.parts == (TextPart("Look here"), *chat.leaf.others)
    assert loaded.conversation.undo().leaf == chat.leaf


def test_a_program_that_writes_text_alone_takes_no_images_out(store, folder) -> None:
    chat = Conversation().add_user("Look", ImagePart("image/png", "ab" * 32))
    store.save(chat)
    loaded = edited(store, chat, lambda d: d["chat_history"][0].update(content="Look"))
    assert loaded.conversation.turns == chat.turns


@pytest.mark.parametrize("history", [7, "words of a person", {"a": "b"}, True])
def test_a_history_of_another_kind_is_kept_beside_and_said(store, folder, chat, history) -> None:
    loaded = edited(store, chat, lambda d: d.update(chat_history=history))
    assert loaded.conversation.turns == chat.turns
    assert any("chat_history" in sentence for sentence in loaded.problems)
    assert kept(folder) == ["damaged-1"]


@pytest.mark.parametrize(
    "edit", [lambda d: d.pop("chat_history"), lambda d: d.update(chat_history=None)]
)
def test_a_history_that_is_gone_is_made_again(store, folder, chat, edit) -> None:
    loaded = edited(store, chat, edit)
    assert (loaded.conversation, loaded.problems) == (chat, ())
    store.save(loaded.conversation)
    assert len(json.loads(store.path(chat.id).read_bytes())["chat_history"]) == 3


@pytest.mark.parametrize(
    "edit",
    [
        lambda d: d.pop("tree"),
        lambda d: d.update(tree=None),
        lambda d: d.update(tree={}),
        lambda d: d["tree"].update(turns=[]),
        lambda d: d["tree"].update(turns="none"),
    ],
)
def test_a_chat_without_its_tree_is_what_its_history_says(store, folder, chat, edit) -> None:
    chat = chat.set_system_prompt("Be kind.").rename("Caches")
    loaded = edited(store, chat, edit)
    assert said(loaded.conversation) == said(chat)
    assert loaded.conversation.system_prompt == "Be kind."
    assert loaded.conversation.title == "Caches"
    assert loaded.conversation.created_at == chat.created_at
    assert "removed the variants" in loaded.problems[0]
    store.save(loaded.conversation)
    assert kept(folder) == ["original-1"], "the undo history is only there"


def test_a_turn_that_the_tree_lost_and_the_history_has_is_shown(store, folder, chat) -> None:
    loaded = edited(store, chat, lambda d: d["tree"]["turns"][2].update(role=None))
    assert said(loaded.conversation) == said(chat)
    assert kept(folder) == ["damaged-1"]


DUPLICATES = {
    "chat_history": '"chat_history": [{"role": "user", "content": "first of two"}], "chat_history"',
    "tree": '"tree": {"turns": [], "lost": "first of two"}, "tree"',
    "title": '"title": "first of two", "title"',
    "content": '"content": "first of two", "content"',
    "settings": '"settings": {"model_id": "first of two"}, "settings"',
}


@pytest.mark.parametrize("key", [*DUPLICATES])
def test_a_key_that_stands_twice_is_said_and_the_file_kept(store, folder, chat, key) -> None:
    store.save(chat)
    store.close()
    text = store.path(chat.id).read_text()
    at = text.rindex(f'"{key}"')
    changed = text[:at] + DUPLICATES[key] + text[at:].removeprefix(f'"{key}"')
    store.path(chat.id).write_text(changed)
    loaded = store.load(chat.id)
    assert any(f"more than one value for '{key}'" in sentence for sentence in loaded.problems)
    store.save(loaded.conversation.add_user("and on"))
    assert "first of two" in (folder / f"{chat.id}.json.damaged-1").read_text()


def test_unknown_keys_at_every_level_come_back(store, folder, chat) -> None:
    def mark(value: Any, depth: int = 0) -> None:
        if isinstance(value, dict):
            for key, inner in list(value.items()):
                if key not in ("selected", "chat_history"):
                    mark(inner, depth + 1)
            if not any(re.fullmatch("[0-9a-f]{32}", key) for key in value):
                value["x_kept"] = {"at": depth}
        elif isinstance(value, list):
            for inner in value:
                mark(inner, depth + 1)

    chat = chat.leave_out([chat.path[0].id], "a summary")
    loaded = edited(store, chat, mark)
    before = json.loads(store.path(chat.id).read_bytes())
    assert (loaded.problems, kept(folder)) == ((), [])
    store.save(loaded.conversation)
    assert json.loads(store.path(chat.id).read_bytes()) == before


@pytest.mark.parametrize(
    "number",
    ["NaN", "Infinity", "-Infinity", "1e400", "-1e999", str(2**70), "1" * 4000, "0.1e-400"],
)
def test_no_number_stops_a_chat_from_being_opened_and_saved(store, folder, chat, number) -> None:
    store.save(chat)
    store.close()
    text = store.path(chat.id).read_text().replace('"seed": 3', f'"seed": {number}')
    text = text.replace('"settings": {', '"settings": {"x": ' + number)
    store.path(chat.id).write_text(text.replace('"format": ', f'"later": [{number}], "format": '))
    loaded = store.load(chat.id)
    assert loaded.conversation.path == chat.path or set(loaded.conversation.turns) == set(
        chat.turns
    )
    store.save(loaded.conversation.add_user("and on"))
    assert SessionStore(folder).load(chat.id, lock=False).problems == ()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_file_in_another_encoding_is_read(store, chat, encoding) -> None:
    store.save(chat)
    store.close()
    mark = "\ufeff" if encoding.endswith(("-le", "-be")) else ""
    store.path(chat.id).write_bytes((mark + codec.dumps(chat).decode()).encode(encoding))
    loaded = store.load(chat.id)
    assert (loaded.conversation, loaded.problems) == (chat, ())


def test_a_newer_version_may_write_its_history_in_another_way(store, folder, chat) -> None:
    loaded = edited(store, chat, lambda d: d.update(format=99, chat_history=[{"role": "user"}]))
    assert loaded.read_only
    assert loaded.conversation.turns == chat.turns
    assert kept(folder) == []


def test_a_search_leads_to_a_turn_that_another_program_added(store, chat) -> None:
    loaded = edited(
        store, chat, lambda d: d["chat_history"].append({"role": "assistant", "content": "zebra"})
    )
    [hit] = store.search("zebra")
    assert hit.turn_id == loaded.conversation.path[-1].id
    assert store.list()[0].updated_at == chat.updated_at, "looking at it changes nothing"


def test_what_the_history_says_of_a_reply_that_was_being_written_is_no_change(store, chat) -> None:
    streaming = chat.begin_reply(chat.path[-1].id, Generation("demo"), text="It ")
    store.save(streaming)
    store.checkpoint(chat.id, streaming.path[-1].id, "grows.")
    store.close()
    loaded = store.load(chat.id)
    assert loaded.problems == ()
    assert loaded.conversation.path[-1].text == "It grows."


# -- any edit


def edit_at_random(document: dict[str, Any], rng: random.Random, words: list[str]) -> None:
    """Do what another program, or a person with an editor, might do."""

    def word() -> str:
        words.append(f"w{rng.randrange(10**12)}w")
        return words[-1]

    history = document["chat_history"]
    entry = {"role": rng.choice(["user", "assistant", "system", "tool"]), "content": word()}
    at = rng.randrange(len(history) + 1)
    kind = rng.randrange(12)
    if kind < 5:
        edit_text(history, kind, at, entry)
    elif kind == 5 and history and isinstance(history[at % len(history)], dict):
        history[at % len(history)][rng.choice(["name", "id", "reasoning", "status"])] = word()
    elif kind == 6:
        history.insert(at, entry | {"content": [{"type": "text", "text": word()}, {"x": word()}]})
    elif kind == 7:
        document[rng.choice(["title", "system_prompt", "note"])] = word()
    elif kind == 8 and document["tree"].get("turns"):
        rng.choice(document["tree"]["turns"])[rng.choice(["content", "note", "error"])] = word()
    elif kind == 9:
        history.insert(at, rng.choice([word(), [word()], {"content": word()}, {"role": word()}]))
    elif kind == 10:
        document["tree"] = rng.choice([{}, {"turns": []}, document["tree"], document["tree"]])


def edit_text(history: list[Any], kind: int, at: int, entry: dict[str, Any]) -> None:
    if kind == 0:
        history.append(entry)
    elif kind == 1:
        history.insert(at, entry)
    elif kind == 2 and history:
        history[at % len(history)] = entry
    elif kind == 3 and history:
        del history[at % len(history)]
    else:
        history.reverse()


def long_chat() -> Conversation:
    chat = Conversation().set_system_prompt("Be kind.")
    for number in range(4):
        chat = chat.add_user(f"question {number}")
        chat = chat.begin_reply(chat.path[-1].id, Generation("demo", parameters={"seed": number}))
        ended = Status.FAILED if number == 2 else Status.COMPLETE
        text = "" if number == 2 else f"answer {number}"
        chat = chat.finish(chat.path[-1].id, ended, text=text, reasoning=text and "thought")
    return chat.edit(chat.path[2].id, "question 1, asked better").undo()


def test_every_word_of_any_edit_is_in_the_chat_or_beside_it(tmp_path) -> None:
    rng = random.Random(7)
    whole = long_chat()
    ours = [json.dumps(text)[1:-1] for text in all_texts(whole) if text]
    for number in range(EDITS):
        folder = tmp_path / str(number)
        words: list[str] = []
        store = SessionStore(folder)
        chat = replace(whole, title="t")

        def edit(document: dict[str, Any], words: list[str] = words) -> None:
            for _ in range(rng.randrange(1, 5)):
                edit_at_random(document, rng, words)

        loaded = edited(store, chat, edit)
        before = store.path(chat.id).read_text()
        words = [word for word in words if word in before]
        store.save(loaded.conversation.add_user("and on"))
        text = "".join(path.read_text() for path in folder.iterdir() if ".json" in path.name)
        lost = [word for word in (*words, *ours) if word in before and word not in text]
        assert lost == [], number
        again = SessionStore(folder).load(chat.id, lock=False)
        assert again.problems == (), number
        assert again.conversation.undo().path == loaded.conversation.path
        store.close()


def test_a_document_is_not_changed_by_reading_it(chat) -> None:
    document = codec.encode(chat)
    document["chat_history"].append({"role": "user", "content": [{"type": "text", "text": "x"}]})
    document["tree"]["turns"][0]["role"] = 7
    before = copy.deepcopy(document)
    codec.decode(document)
    assert document == before


@pytest.mark.parametrize(
    "change",
    [
        {"title": {"words": "of somebody"}},
        {"created_at": "yesterday"},
        {"system_prompt": ["be", "kind"]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_a_save_keeps_beside_the_chat_is_said_once(tmp_path, change):
    store = SessionStore(tmp_path)
    loaded = edited(
        store, Conversation().add_user("hello"), lambda document: document.update(change)
    )
    store.save(loaded.conversation.add_user("more"))
    told = store.take_kept()
    assert f"{loaded.conversation.id}.json.original-1" in (told, *" ".join(loaded.problems).split())
    assert kept(tmp_path) == ["original-1"]
    assert store.take_kept() == ""
    store.close()
