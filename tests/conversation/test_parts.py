"""Turns made of parts: what they say, and what becomes of the other parts when their text changes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conversation.strategies import PARTS
from tui.conversation import (
    ASSISTANT,
    USER,
    Conversation,
    FilePart,
    Generation,
    ImagePart,
    ReasoningPart,
    Status,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    Turn,
    UnknownPart,
)
from tui.conversation.parts import fenced, label_of, reasoning_of, saying, text_of

NOTES = FilePart("notes.txt", "one\ntwo\n")
CAT = ImagePart("image/png", "ab" * 32, "cat.png")
CALL = ToolCallPart("c1", "search", {"query": "cats"})
RESULT = ToolResultPart("c1", "search", "many")


def turn(*parts, role=USER):
    return Turn("1", None, role, "", 1.0).with_parts(parts)


def test_a_turn_of_text_and_reasoning_is_made_of_both():
    made = Turn("1", None, ASSISTANT, "said", 1.0, "thought")

    assert made.parts == (ReasoningPart("thought"), TextPart("said"))
    assert made.others == ()
    assert made.content == "said"


def test_the_text_of_a_turn_is_that_of_its_text_parts():
    made = turn(ReasoningPart("a"), TextPart("b"), CALL, ReasoningPart("c"), TextPart("d"))

    assert (made.text, made.reasoning) == ("b\nd", "a\n\nc")
    assert made.others == (CALL,)


def test_what_the_model_is_sent_has_the_files_in_fences_and_no_images():
    made = turn(TextPart("Look:"), CAT, NOTES, FilePart("b.md", "```\nx\n```"))

    assert made.content == (
        "Look:\n\nnotes.txt:\n```\none\ntwo\n```\n\nb.md:\n````\n```\nx\n```\n````"
    )


def test_a_fence_is_one_that_the_file_can_not_close():
    assert fenced("a", "`````\n") == "a:\n``````\n`````\n``````"


def test_another_text_keeps_the_other_parts_in_their_places():
    made = replace(turn(CAT, TextPart("old"), NOTES), text="new")

    assert made.parts == (CAT, TextPart("new"), NOTES)


def test_a_text_that_goes_on_makes_the_last_text_part_longer():
    made = turn(TextPart("a"), CALL, TextPart("b"))

    assert replace(made, text="a\nbc").parts == (TextPart("a"), CALL, TextPart("bc"))
    assert replace(made, text="x").parts == (TextPart("x"), CALL)
    assert replace(made, text="").parts == (CALL,)


def test_a_first_text_stands_behind_the_reasoning():
    assert replace(turn(CAT), text="x").parts == (TextPart("x"), CAT)
    made = replace(turn(ReasoningPart("a"), CAT), text="x", reasoning="b")
    assert made.parts == (ReasoningPart("b"), TextPart("x"), CAT)


@given(st.lists(PARTS, max_size=6).map(tuple), st.text(max_size=9), st.text(max_size=9))
def test_parts_say_what_they_are_made_to_say_and_lose_no_other(parts, text, reasoning):
    said = saying(parts, text, reasoning)

    assert (text_of(said), reasoning_of(said)) == (text, reasoning)
    kinds = (TextPart, ReasoningPart)
    assert [one for one in said if not isinstance(one, kinds)] == [
        one for one in parts if not isinstance(one, kinds)
    ]


def test_a_user_turn_takes_files_and_images_along():
    chat = Conversation().add_user("Look", NOTES, CAT)

    assert chat.leaf.parts == (TextPart("Look"), NOTES, CAT)
    assert chat.title == "Look"
    assert Conversation().add_user(" ", NOTES).leaf.parts == (NOTES,)


def test_a_chat_that_begins_with_a_file_alone_is_called_after_it():
    assert Conversation().add_user("", NOTES).title == "notes.txt · 2 lines"


def test_an_edited_turn_keeps_its_files_and_undo_brings_the_old_text_back():
    chat = Conversation().add_user("Look", NOTES, CAT)
    edited = chat.edit(chat.leaf.id, "Look here")

    assert edited.leaf.parts == (TextPart("Look here"), NOTES, CAT)
    assert edited.undo().leaf == chat.leaf
    assert edited.undo().redo().leaf == edited.leaf


def test_a_growing_reply_keeps_the_tool_calls_in_it():
    chat = Conversation().add_user("?").begin_reply(None, Generation())
    reply = chat.leaf.id
    chat = chat.update(reply, parts=(TextPart("Wait."), CALL, RESULT, TextPart("So")))
    chat = chat.update(reply, text="Wait.\nSo it")
    chat = chat.finish(reply, Status.COMPLETE, text="Wait.\nSo it is")

    assert chat.leaf.parts == (TextPart("Wait."), CALL, RESULT, TextPart("So it is"))
    assert chat.undo().redo().leaf == chat.leaf


def test_messages_carry_parts_only_where_they_are_more_than_text():
    chat = Conversation().add_user("Look", NOTES, CAT).add_user("plain")
    first, second = chat.messages()

    assert first.content == "Look\n\nnotes.txt:\n```\none\ntwo\n```"
    assert first.parts == (TextPart("Look"), NOTES, CAT)
    assert second.parts == ()


@pytest.mark.parametrize(
    ("part", "label"),
    [
        (NOTES, "notes.txt · 2 lines"),
        (FilePart("", "x"), "file · 1 line"),
        (FilePart("empty", ""), "empty · 0 lines"),
        (CAT, "image: cat.png"),
        (ImagePart(), "image"),
        (CALL, 'tool call: search({"query": "cats"})'),
        (ToolCallPart("", "now", " {\n}"), "tool call: now({ })"),
        (RESULT, "tool result: search: many"),
        (ToolResultPart("", "", "a\nb"), "tool result: a b"),
        (UnknownPart({"type": "sketch"}), "sketch (not shown here)"),
        (UnknownPart(5), "something (not shown here)"),
    ],
)
def test_a_part_has_a_label_on_one_line(part, label):
    assert label_of(part) == label
