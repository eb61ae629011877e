"""Parts as JSON and back: nothing is lost, and a turn of text stays what it was in files of format 1."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conversation.strategies import JSON, PARTS
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
    UnknownPart,
    codec,
)
from tui.conversation.content import content_text, decode_part, encode_part
from tui.conversation.entries import ChatFormatError

NOTES = FilePart("notes.txt", "one")
CAT = ImagePart("image/png", "ab" * 32, "cat.png")
CALL = ToolCallPart("c1", "search", {"query": "cats"})
FORMAT_1 = sorted((Path(__file__).parent / "format_1").glob("*.json"))


def chat_of(*parts) -> Conversation:
    chat = Conversation().add_user("?")
    return chat.update(chat.leaf.id, parts=parts)


def through_file(chat: Conversation) -> Conversation:
    decoded = codec.loads(codec.dumps(chat))
    assert (decoded.problems, decoded.notes, decoded.is_whole) == ((), (), True)
    return decoded.conversation


def in_history(chat: Conversation):
    return codec.encode(chat)["chat_history"][-1]["content"]


@given(st.lists(PARTS, max_size=5))
@settings(deadline=None)
def test_parts_that_are_written_are_read_back(parts):
    chat = chat_of(*parts)
    expected = json.loads(json.dumps([encode_part(part) for part in chat.leaf.parts]))

    assert [encode_part(part) for part in through_file(chat).leaf.parts] == expected


@given(JSON)
def test_whatever_a_part_is_in_a_file_it_is_written_back(value):
    known = {"type": "text", "text": value} if isinstance(value, str) else value
    assert encode_part(decode_part(value)) == known


@pytest.mark.parametrize(
    "value",
    [
        {"type": "text", "text": "a", "cache": {"ttl": 5}},
        {"type": "input_text", "text": "a"},
        {"type": "text", "text": 5},
        {"type": "image"},
        {"type": "image", "url": "cat.png"},
        {"type": "image", "sha256": "00", "media_type": "image/png", "width": 5},
        {"type": "image", "sha256": "00", "media_type": "image/png", "name": None},
        {"type": "image_url", "image_url": {"url": "data:,"}},
        {"type": "file", "name": "a", "text": "b", "path": "/a"},
        {"type": "file", "file": {"file_id": "x"}},
        {"type": "tool_call", "id": "", "name": "f", "arguments": {"a": [None]}},
        {"type": "tool_call", "name": "f"},
        {"type": "tool_result", "call_id": "", "name": "", "content": "x", "is_error": True},
        {"type": "tool_result", "content": []},
        {"type": ["odd"]},
        {},
        7,
        None,
    ],
)
def test_a_part_survives_with_all_its_keys(value):
    assert encode_part(decode_part(value)) == value


def test_a_turn_of_text_is_written_as_in_format_1():
    chat = Conversation().add_user("a").begin_reply(None, Generation())
    chat = chat.finish(chat.leaf.id, Status.COMPLETE, text="b", reasoning="c")
    entry = codec.encode(chat)["tree"]["turns"][-1]

    assert (entry["content"], entry["reasoning_content"]) == ("b", "c")


def test_the_order_of_text_and_reasoning_survives():
    parts = (TextPart("a"), ReasoningPart("b"), TextPart("c"))
    chat = chat_of(*parts)

    assert in_history(chat) == "a\nc"
    assert through_file(chat).leaf.parts == parts


def test_other_programs_find_a_file_as_the_text_that_the_model_was_sent():
    chat = chat_of(TextPart("Look"), NOTES)

    assert in_history(chat) == chat.leaf.content == "Look\n\nnotes.txt:\n```\none\n```"
    assert through_file(chat).leaf == chat.leaf


def test_other_programs_find_an_image_as_a_typed_part():
    chat = chat_of(ReasoningPart("hm"), TextPart("Look"), CAT, NOTES, CALL)

    assert in_history(chat) == [
        {"type": "text", "text": "Look"},
        {"type": "image", "sha256": "ab" * 32, "media_type": "image/png", "name": "cat.png"},
        {"type": "text", "text": "notes.txt:\n```\none\n```"},
        {"type": "tool_call", "id": "c1", "name": "search", "arguments": {"query": "cats"}},
    ]
    assert through_file(chat).leaf == chat.leaf


def test_the_undo_history_holds_parts():
    chat = chat_of(TextPart("Look"), CAT)
    chat = chat.edit(chat.leaf.id, "Look!").delete(chat.leaf.id, following=True)
    read = through_file(chat)

    assert read.undo().leaf == chat.undo().leaf
    assert read.undo().undo().leaf.parts == (TextPart("Look"), CAT)


def test_a_part_that_is_nested_too_deeply_is_refused():
    deep: dict = {}
    for _ in range(200):
        deep = {"a": deep}
    document = codec.encode(Conversation().add_user("x"))
    document["tree"]["turns"][0]["content"] = [deep]

    with pytest.raises(ChatFormatError):
        codec.decode(document)


def test_the_parts_of_a_file_of_transformers_chat_are_kept():
    image = {"type": "image", "url": "https://example.org/cat.png"}
    content = [image, {"type": "text", "text": "What is it?"}]
    read = codec.decode({"chat_history": [{"role": USER, "content": content}]})

    assert read.is_whole
    assert read.conversation.title == "What is it?"
    assert read.conversation.leaf.parts == (UnknownPart(image), TextPart("What is it?"))
    assert through_file(read.conversation).leaf == read.conversation.leaf


def test_reasoning_is_no_part_of_the_text():
    content = [{"type": "reasoning", "text": "a"}, {"type": "text", "text": "b"}]
    assert content_text(content) == "b"


@pytest.mark.parametrize("path", FORMAT_1, ids=lambda path: path.stem)
def test_a_file_of_format_1_opens_and_nothing_of_it_is_lost(path):
    document = json.loads(path.read_bytes())
    decoded = codec.loads(path.read_bytes())

    assert (decoded.format, decoded.problems, decoded.is_whole) == (1, (), True)
    written = codec.encode(decoded.base)
    assert written.pop("format") == 2
    del document["format"]
    if not decoded.notes:
        assert written["chat_history"] == document["chat_history"]
    del written["chat_history"], document["chat_history"]
    assert json.loads(json.dumps(written)) == document


def test_the_files_of_format_1_are_read_as_they_were_meant():
    chats = {path.stem: codec.loads(path.read_bytes()) for path in FORMAT_1}
    said = chats["variants_and_undo"].conversation
    assert [turn.text for turn in said.path] == ["Why is the sky blue?", "Because", "Go on."]
    first = said.variants(said.path[1].id)[0]
    assert first.parts == (
        ReasoningPart("Light, air, small molecules."),
        TextPart("Rayleigh scattering."),
    )
    assert said.undo().leaf.text == "Go on, please."
    pasted = chats["pasted_file_and_unfinished_reply"].conversation
    assert pasted.path[0].parts == (TextPart(pasted.path[0].text),)
    assert (pasted.leaf.role, pasted.leaf.status) == (ASSISTANT, Status.STREAMING)
    changed = chats["unknown_keys_and_changed_elsewhere"]
    assert changed.conversation.leaf.text == "there, changed elsewhere"
    assert "changed" in changed.notes[0]
    assert changed.conversation.extra == {"pinned": True, "later": {"deep": [1, {"a": None}]}}
