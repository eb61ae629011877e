"""What a message says, in whatever it is wrapped, and what is said of the rest of it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from tui.conversation import (
    Conversation,
    FilePart,
    ImagePart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from tui.conversation.formats import ChatFormatError, Imported, import_text


def read(document: Any) -> Imported:
    return import_text(json.dumps(document).encode())


def chat_of(document: Any) -> Conversation:
    return read(document).conversations[0]


def user(content: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content}]


@pytest.mark.parametrize(
    "content",
    [
        "hi",
        ["hi"],
        [["hi"]],
        {"text": "hi"},
        {"value": "hi"},
        {"content": "hi"},
        {"parts": ["hi"]},
        {"contents": [{"text": "hi"}]},
        {"items": [{"text": {"value": "hi", "annotations": []}}]},
        {"output": [{"content": [{"type": "output_text", "text": "hi"}]}]},
        [{"type": "text", "text": "hi"}],
        [{"type": "input_text", "text": "hi"}],
        [{"type": "text", "text": {"value": "hi"}}],
        [{"text": "hi", "value": "hi"}],
        {"content_type": "text", "parts": ["hi"]},
        [{"type": "refusal", "refusal": "hi"}],
        [{"type": "something_new", "text": "hi"}],
    ],
)
def test_a_text_is_found_in_any_wrapping(content):
    imported = read(user(content))
    assert imported.conversations[0].path[0].text == "hi"
    assert imported.problems == ()


@pytest.mark.parametrize("key", ["content", "value", "text", "parts", "contents", "output", "mes"])
def test_a_text_is_found_under_any_name(key):
    assert chat_of({"messages": [{"role": "user", key: "hi"}]}).path[0].text == "hi"


@pytest.mark.parametrize("key", ["role", "from", "sender", "author"])
def test_a_speaker_is_found_under_any_name(key):
    messages = [{key: "human", "content": "hi"}, {key: "bot", "content": "ho"}]
    assert [turn.role for turn in chat_of({"messages": messages}).path] == ["user", "assistant"]


@pytest.mark.parametrize(
    "message",
    [
        {"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "ho"}]},
        {"content": [{"type": "reasoning", "text": {"value": "hm"}}, {"text": "ho"}]},
        {"content": [{"thought": True, "text": "hm"}, {"text": "ho"}]},
        {"content": "ho", "reasoning_content": "hm"},
        {"content": "ho", "reasoningContent": "hm"},
        {"content": "ho", "reasoning": {"content": "hm"}},
        {"content": "ho", "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]},
        {"content": "ho", "thinking": "hm"},
        {"content": [{"type": "think", "think": "hm"}, {"type": "text", "text": {"value": "ho"}}]},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, "ho"]},
        {"content": "<think>hm</think>ho"},
    ],
)
def test_reasoning_is_found_in_any_wrapping(message):
    turn = chat_of([{"role": "user", "content": "a"}, {"role": "assistant", **message}]).path[1]
    assert (turn.text, turn.reasoning) == ("ho", "hm")


@pytest.mark.parametrize(
    ("part", "what"),
    [
        ({"type": "input_audio", "input_audio": {}}, "attachments"),
        ({"type": "file", "file": {}}, "attachments"),
        ({"type": "file", "file": {"filename": "a.pdf", "file_data": "x"}}, "attachments"),
        ({"type": "tool_use", "input": {}}, "tool calls"),
        ({"type": "web_search_call", "id": "w"}, "tool calls"),
        ({"type": "tool_result", "content": []}, "tool results"),
        ({"type": "redacted_thinking", "data": "x"}, "blocks of encrypted or hidden reasoning"),
        ({"type": "hologram", "data": "x"}, "parts of type 'hologram'"),
        (3, "parts that can't be read"),
    ],
)
def test_a_part_that_is_no_text_is_named(part, what):
    imported = read(user([part, {"type": "text", "text": "hi"}]))
    assert imported.conversations[0].path[0].text == "hi"
    assert imported.problems == (f"Left out: {what} (1)",)


PIXEL = "data:image/png;base64,AAAA"
PIXEL_HASH = hashlib.sha256(b"\0\0\0").hexdigest()


@pytest.mark.parametrize(
    ("part", "kept"),
    [
        (
            {"type": "image_url", "image_url": {"url": "https://x.org/a/cat.png?s=1"}},
            ImagePart(name="cat.png", extra={"url": "https://x.org/a/cat.png?s=1"}),
        ),
        ({"type": "image_url", "image_url": PIXEL}, ImagePart("image/png", PIXEL_HASH)),
        ({"type": "image_url", "image_url": "data:image/png;base64,A"}, ImagePart("image/png")),
        (
            {"type": "image", "source": {"media_type": "image/png", "data": "AAAA"}},
            ImagePart("image/png", PIXEL_HASH),
        ),
        (
            {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
            ImagePart("image/png", PIXEL_HASH),
        ),
        (
            {"content_type": "image_asset_pointer", "asset_pointer": "sediment://f"},
            ImagePart(extra={"url": "sediment://f"}),
        ),
        (
            {"type": "image", "media_type": "image/png", "sha256": "ab", "name": "c", "w": 5},
            ImagePart("image/png", "ab", "c", extra={"w": 5}),
        ),
        (
            {"type": "file", "file": {"filename": "a.txt", "data": {"content": "one"}}},
            FilePart("a.txt", "one"),
        ),
        (
            {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
            ToolCallPart("t", "f", {"a": 1}),
        ),
        ({"functionCall": {"name": "f", "args": {"a": 1}}}, ToolCallPart("", "f", {"a": 1})),
        ({"executableCode": {"language": "PYTHON", "code": "1"}}, ToolCallPart("", "code", "1")),
        (
            {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "a"}]},
            ToolResultPart("t", "", "a"),
        ),
        (
            {"functionResponse": {"name": "f", "response": {"a": 1}}},
            ToolResultPart("", "f", '{"a": 1}'),
        ),
    ],
)
def test_a_part_that_is_no_text_is_kept_in_its_place(part, kept):
    for content in ([part, {"type": "text", "text": "hi"}], [{"type": "text", "text": "hi"}, part]):
        imported = read(user(content))
        turn = imported.conversations[0].path[0]
        assert turn.text == "hi"
        expected = [TextPart("hi") if one is not part else kept for one in content]
        assert [*turn.parts] == expected
        lost = isinstance(kept, ImagePart) and kept.media_type and not kept.extra
        assert imported.problems == (("Left out: image contents (1)",) if lost else ())


def test_a_turn_keeps_the_order_of_its_words_and_tools():
    call = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    answer = {"type": "tool_result", "tool_use_id": "t", "content": "42"}
    content = [{"type": "text", "text": text} for text in ("Wait. ", "Here:", "It is 42.")]
    content[2:2] = [call, answer]
    (turn,) = chat_of([{"role": "assistant", "content": content}]).path

    assert turn.text == "Wait. Here:\nIt is 42."
    assert turn.parts == (
        TextPart("Wait. Here:"),
        ToolCallPart("t", "f", {}),
        ToolResultPart("t", "", "42"),
        TextPart("It is 42."),
    )


def test_a_message_of_nothing_but_an_image_is_a_turn():
    chat = chat_of(user([{"type": "image_url", "image_url": {"url": "https://x.org/cat.png"}}]))
    assert (chat.path[0].text, chat.title) == ("", "image: cat.png")


def test_a_call_that_stands_among_the_words_and_beside_them_is_one():
    message = {
        "role": "assistant",
        "content": [{"type": "text", "text": "hi"}, {"type": "tool_use", "id": "t", "name": "f"}],
        "tool_calls": [{"id": "t", "name": "f", "args": {}}],
    }
    assert chat_of([message]).path[0].others == (ToolCallPart("t", "f"),)


@pytest.mark.parametrize(
    ("beside", "kept"),
    [
        (
            {"tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]},
            ToolCallPart("c", "f", "{}"),
        ),
        ({"function_call": {"name": "f"}}, ToolCallPart("", "f")),
        ({"images": ["AAAA"]}, ImagePart("", PIXEL_HASH)),
        (
            {"images": ["https://x.org/a.png"]},
            ImagePart(name="a.png", extra={"url": "https://x.org/a.png"}),
        ),
        ({"attachments": [{"file_name": "a", "extracted_content": "x"}]}, FilePart("a", "x")),
        ({"extra": [{"type": "TEXT", "name": "a", "content": "x"}]}, FilePart("a", "x")),
        (
            {"extra": [{"type": "imageFile", "name": "a", "base64Url": PIXEL}]},
            ImagePart("image/png", PIXEL_HASH, "a"),
        ),
    ],
)
def test_what_stands_beside_a_text_is_kept_behind_it(beside, kept):
    imported = read([{"role": "assistant", "content": "hi", **beside}])
    assert imported.conversations[0].path[0].parts == (TextPart("hi"), kept)


@pytest.mark.parametrize(
    ("beside", "what"),
    [
        ({"tool_calls": [{}, {}]}, "tool calls (2)"),
        ({"toolCalls": "[]"}, ""),
        ({"images": ["AAAA", "BBBB"]}, "image contents (2)"),
        ({"images": [7]}, "images (1)"),
        ({"attachments": [{}]}, "attachments (1)"),
        ({"files": [{}]}, "attachments (1)"),
    ],
)
def test_what_stands_beside_a_text_is_counted(beside, what):
    imported = read([{"role": "assistant", "content": "hi", **beside}])
    assert imported.problems == ((f"Left out: {what}",) if what else ())


@pytest.mark.parametrize("content", ["", None, [], " \n", [{"type": "text", "text": ""}], {}])
def test_a_message_that_says_nothing_is_left_out_and_counted(content):
    messages = [*user("a"), {"role": "assistant", "content": content}, *user("b")]
    imported = read({"messages": messages})
    assert [turn.text for turn in imported.conversations[0].path] == ["a", "b"]
    assert imported.problems == ("Left out: messages without text (1)",)


def test_a_reply_that_was_stopped_in_its_thoughts_keeps_them():
    messages = [*user("a"), {"role": "assistant", "content": "", "reasoning_content": "hm"}]
    assert [turn.reasoning for turn in chat_of(messages).path] == ["", "hm"]


def test_items_that_are_no_messages_are_counted_and_reasoning_goes_to_the_reply():
    items = [
        *user([{"type": "input_text", "text": "Who?"}]),
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Look."}]},
        {"type": "function_call", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "output": "two"},
        {"type": "mcp_approval_request", "name": "x"},
        {"type": "wholly_new", "output": "words"},
        {"id": "nothing"},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Two."}],
        },
    ]
    imported = read({"messages": items})
    first, second = imported.conversations[0].path
    assert (first.text, second.text, second.reasoning) == ("Who?", "Two.", "Look.")
    assert second.parts[1:] == (
        ToolCallPart("", "f", "{}"),
        ToolResultPart("", "", "two"),
        ToolCallPart("", "x"),
        TextPart("Two."),
    )
    assert imported.problems == (
        "Left out: items of type 'wholly_new' (1)",
        "Left out: items that aren't messages (1)",
    )


@pytest.mark.parametrize("following", [[], user("more")])
def test_reasoning_that_no_reply_follows_is_a_turn_of_its_own(following):
    items = [*user("a"), {"type": "reasoning", "summary": "hm"}, *following]
    path = chat_of({"messages": items}).path
    assert [(turn.role, turn.reasoning) for turn in path][:2] == [("user", ""), ("assistant", "hm")]


def test_a_thought_that_the_answer_repeats_stays_one():
    message = {"role": "assistant", "content": "Yes, a lion.", "reasoning_content": "a lion"}
    (turn,) = chat_of([message]).path
    assert (turn.text, turn.reasoning) == ("Yes, a lion.", "a lion")


def test_reasoning_that_is_kept_secret_is_counted():
    items = [*user("a"), {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"}]
    assert read({"messages": items}).problems == (
        "Left out: blocks of encrypted or hidden reasoning (1)",
    )


def test_a_role_that_is_not_known_is_kept_and_said_and_a_missing_one_too():
    messages = [*user("a"), {"role": "critic", "content": "b"}, {"text": "c"}]
    imported = read({"messages": messages})
    assert [turn.role for turn in imported.conversations[0].path] == ["user", "critic", "user"]
    assert set(imported.problems) == {
        "Messages with the unknown role 'critic' (1)",
        "Messages without a role, imported as yours (1)",
    }


def test_messages_that_name_their_parents_form_a_tree():
    def message(key: str, parent: str | None, role: str) -> dict[str, Any]:
        return {"messageId": key, "parentMessageId": parent, "text": key, "sender": role}

    root = "00000000-0000-0000-0000-000000000000"
    messages = [message("a", root, "human"), message("b", "a", "ai"), message("c", "a", "ai")]
    chat = chat_of({"title": "T", "messages": messages})
    assert [turn.text for turn in chat.children(chat.path[0].id)] == ["b", "c"]


def test_ids_that_are_there_twice_lose_nothing():
    nodes = [
        {"id": "a", "parentId": None, "role": "user", "content": "one"},
        {"id": "b", "parentId": "a", "role": "assistant", "content": "two"},
        {"id": "b", "parentId": "a", "role": "assistant", "content": "three"},
        {"id": "b", "parentId": "a", "role": "assistant", "content": "two"},
    ]
    imported = read({"messages": nodes})
    texts = sorted(turn.text for turn in imported.conversations[0].turns.values())
    assert texts == ["one", "three", "two"] or texts == ["one", "three", "two", "two"]
    assert "Messages given a new ID because theirs was taken (1)" in " ".join(imported.problems)


def test_a_second_wording_of_a_reply_is_counted():
    output = [{"type": "message", "role": "assistant", "content": [{"text": "As it was."}]}]
    message = {"id": "a", "role": "assistant", "content": "As it was edited.", "output": output}
    chat = [{"chat": {"history": {"currentId": "a", "messages": {"a": message}}}}]
    imported = read(chat)
    assert imported.conversations[0].path[0].text == "As it was edited."
    assert imported.problems == ("Left out: alternative versions of messages (1)",)


LINES = [
    {"type": "session", "version": 3, "id": "s", "timestamp": "2026-07-01T10:00:00.000Z", "name": "Tides"},
    {"type": "model_change", "id": "x", "parentId": None, "modelId": "m"},
    {"type": "message", "id": "1", "parentId": "x", "message": {"role": "user", "content": [{"type": "text", "text": "Why?"}]}},
    {"type": "message", "id": "2", "parentId": "1", "message": {"role": "assistant", "content": [{"type": "thinking", "thinking": "Moon."}, {"type": "text", "text": "So."}, {"type": "toolCall", "name": "f"}]}},
    {"type": "message", "id": "3", "parentId": "1", "message": {"role": "assistant", "content": [{"type": "text", "text": "Thus."}]}},
    {"type": "compaction", "id": "4", "parentId": "3", "summary": "short"},
]  # fmt: skip


def test_lines_below_a_header_are_one_chat_with_its_variants():
    imported = import_text("\n".join(map(json.dumps, LINES)).encode())
    (chat,) = imported.conversations
    assert (chat.title, chat.created_at) == ("Tides", 1782900000)
    assert [turn.text for turn in chat.path] == ["Why?", "Thus."]
    other = chat.variants(chat.path[1].id)[0]
    assert other.parts == (ReasoningPart("Moon."), TextPart("So."), ToolCallPart("", "f"))
    assert imported.problems == ("Left out: shortened histories (1)",)


def test_lines_of_an_agent_are_a_chat_too():
    lines = [
        {"type": "summary", "summary": "About tides", "leafUuid": "b"},
        {"type": "user", "uuid": "a", "parentUuid": None, "message": {"role": "user", "content": "Why?"}, "timestamp": "2026-07-01T10:00:00Z"},
        {"type": "assistant", "uuid": "b", "parentUuid": "a", "message": {"role": "assistant", "model": "m", "content": [{"type": "text", "text": "So."}]}},
    ]  # fmt: skip
    imported = import_text("\n".join(map(json.dumps, lines)).encode())
    assert [turn.text for turn in imported.conversations[0].path] == ["Why?", "So."]
    assert imported.problems == ("Left out: lines that aren't messages (1)",)


@pytest.mark.parametrize(
    "lines",
    [
        [{"title": "Tides", "created_at": 1782900000}, {"role": "user", "content": "Why?"}],
        [{"conv": {"id": "c", "name": "Tides"}}, {"message": {"role": "user", "content": "Why?"}}],
        [{"conv": {"id": "c", "name": "Tides"}}, {"id": "1", "role": "user", "content": "Why?"}],
        [{"type": "metadata", "name": "Tides"}, {"role": "user", "content": "Why?"}],
        [
            {"id": "c", "name": "Tides", "currNode": "1"},
            {"id": "1", "role": "user", "content": "Why?"},
        ],
        [{"type": "session", "name": "Tides"}, {"message": {"role": "user", "content": "Why?"}}],
    ],
)
def test_a_header_in_any_words_gives_the_title_and_no_turn(lines):
    imported = import_text("\n".join(map(json.dumps, lines)).encode())
    (chat,) = imported.conversations
    assert chat.title == "Tides"
    assert [turn.text for turn in chat.path] == ["Why?"]


def test_lines_that_name_their_chats_are_taken_apart():
    lines = [{"conversation_id": key, "role": "user", "content": key} for key in "aba"]
    chats = import_text("\n".join(map(json.dumps, lines)).encode()).conversations
    assert [[turn.text for turn in chat.path] for chat in chats] == [["a", "a"], ["b"]]


def test_a_header_alone_is_refused_in_a_sentence():
    with pytest.raises(ChatFormatError, match="contains no messages"):
        read(LINES[0])


def test_what_was_left_out_of_a_file_without_messages_is_listed_after_that():
    with pytest.raises(ChatFormatError) as raised:
        read([{"role": "user", "content": ""}, {"role": "user", "content": ""}])
    assert raised.value.message.endswith(
        "but it contains no messages. Left out: messages without text (2)."
    )
