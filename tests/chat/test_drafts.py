"""Drafts and what was sent, without a screen."""

from __future__ import annotations

import pytest

from tui.chat.drafts import NOT_BEGUN, Drafts, SentHistory, draft_key
from tui.chat.outbox import Outgoing
from tui.conversation import Conversation
from tui.settings.history import Attachment, Draft, Sent, read_drafts, read_history


def at_once(work):
    return work()


@pytest.fixture
def drafts(tmp_path):
    return Drafts(tmp_path / "drafts.json", at_once)


def test_a_chat_that_has_not_begun_shares_its_draft_with_any_new_one():
    assert draft_key(Conversation()) == draft_key(Conversation())
    begun = Conversation().add_user("hi")
    assert draft_key(begun) == begun.id


def test_a_draft_is_on_the_disk_at_once_and_gone_when_it_is_empty(drafts, tmp_path):
    drafts.keep("a", Draft("words"))
    assert read_drafts(tmp_path / "drafts.json")[0] == {"a": Draft("words", ())}
    drafts.drop("a")
    assert read_drafts(tmp_path / "drafts.json")[0] == {}
    assert drafts.of("a") is None


def test_a_draft_that_is_as_before_is_not_written(tmp_path):
    asked = []
    drafts = Drafts(tmp_path / "drafts.json", asked.append)
    drafts.keep("a", Draft("words"))
    drafts.keep("a", Draft("words"))
    drafts.keep("b", Draft())
    assert len(asked) == 1


def test_what_was_written_since_goes_before_what_was_read(drafts):
    drafts.keep("a", Draft("new"))
    drafts.add_read({"a": Draft("old"), "b": Draft("other")})
    assert drafts.of("a") == Draft("new")
    assert drafts.of("b") == Draft("other")


def test_a_message_that_could_not_be_sent_stands_before_what_was_written_since(drafts):
    file = Attachment("a.txt", "x")
    drafts.keep("a", Draft("since"))
    drafts.put_in_front("a", Outgoing("first", (file,), "a", "a"))
    assert drafts.of("a") == Draft("first\nsince", (file,))


def test_without_a_file_all_stays_in_memory():
    drafts, sent = Drafts(None, pytest.fail), SentHistory(None, pytest.fail)
    drafts.keep("a", Draft("words"))
    sent.add(Sent("words", "a"))
    assert drafts.of("a") == Draft("words")
    assert drafts.read() == ({}, "")
    assert sent.read() == []


def test_a_chats_own_messages_come_last_and_are_shown_as_one_types_them(tmp_path):
    chat = Conversation().add_user("/quit")
    sent = SentHistory(tmp_path / "history.jsonl", at_once)
    sent.add(Sent("since", "other"))
    sent.add(Sent("//quit", chat.id))
    sent.add_read([Sent("before", "other")])
    assert [one.text for one in sent.for_chat(chat)] == ["before", "since", "//quit"]
    assert [one.text for one in read_history(tmp_path / "history.jsonl")] == ["since", "//quit"]


def test_what_was_sent_on_other_branches_is_found_too():
    chat = Conversation().add_user("write a story about a fox")
    first = chat.path[0].id
    chat = chat.edit(first, "write a story about a hare")
    sent = SentHistory(None, lambda job: job()).for_chat(chat)
    assert [one.text for one in sent] == ["write a story about a fox", "write a story about a hare"]


def window(tmp_path):
    """The drafts of a window that has just been opened."""
    made = Drafts(tmp_path / "drafts.json", at_once)
    made.add_read(made.read()[0])
    return made


def test_two_windows_keep_what_each_has_written_in_a_chat_that_has_not_begun(tmp_path):
    first, second = window(tmp_path), window(tmp_path)
    first.keep(NOT_BEGUN, Draft("one"))
    second.keep(NOT_BEGUN, Draft("two"))
    first.keep(NOT_BEGUN, Draft("one and more"))
    second.keep(NOT_BEGUN, Draft("two and more"))
    kept = read_drafts(tmp_path / "drafts.json")[0]
    assert sorted(one.text for one in kept.values()) == ["one and more", "two and more"]
    assert first.of(NOT_BEGUN) == Draft("one and more")


def test_the_draft_of_another_window_is_there_when_the_first_has_been_sent(tmp_path):
    first, second = window(tmp_path), window(tmp_path)
    first.keep(NOT_BEGUN, Draft("one"))
    second.keep(NOT_BEGUN, Draft("two"))
    later = window(tmp_path)
    assert later.of(NOT_BEGUN) == Draft("one")
    later.drop(NOT_BEGUN)
    assert later.of(NOT_BEGUN) == Draft("two")
    later.keep(NOT_BEGUN, Draft("two, changed"))
    assert [one.text for one in read_drafts(tmp_path / "drafts.json")[0].values()] == ["two, changed"]  # fmt: skip
    later.drop(NOT_BEGUN)
    assert read_drafts(tmp_path / "drafts.json")[0] == {}


def test_sending_a_draft_leaves_what_another_window_made_of_it(tmp_path):
    Drafts(tmp_path / "drafts.json", at_once).keep(NOT_BEGUN, Draft("old"))
    first, second = window(tmp_path), window(tmp_path)
    second.keep(NOT_BEGUN, Draft("old and new"))
    first.drop(NOT_BEGUN)
    assert read_drafts(tmp_path / "drafts.json")[0] == {NOT_BEGUN: Draft("old and new")}


def test_a_draft_keeps_what_was_set_in_a_chat_that_has_not_begun(tmp_path):
    settings = {"config": {"stop": ("a",)}, "system_prompt": "You are a pirate."}
    first = window(tmp_path)
    first.keep(NOT_BEGUN, Draft("", (), settings))
    first.keep(NOT_BEGUN, Draft("words", (), settings))
    kept = read_drafts(tmp_path / "drafts.json")[0]
    assert kept[NOT_BEGUN].settings["system_prompt"] == "You are a pirate."
    assert list(kept) == [NOT_BEGUN]
