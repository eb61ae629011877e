"""What is written in each format, and that it is read back."""

from __future__ import annotations

import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.conversation.strategies import chats
from tui.conversation import (
    Conversation,
    FilePart,
    Generation,
    ImagePart,
    ReasoningPart,
    Status,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    from_messages,
)
from tui.conversation.formats import (
    FORMATS,
    ChatFormatError,
    export_text,
    import_text,
    selection_of,
)
from tui.conversation.formats.identity import content_id


@pytest.fixture
def chat() -> Conversation:
    chat = from_messages(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "one?\n```python\nprint(1)"},
            {"role": "assistant", "content": "1", "reasoning_content": "count"},
            {"role": "user", "content": "two? \ud800\x1b[31m"},
        ]
    )
    chat = chat.begin_reply(chat.path[-1].id, Generation(model="tiny"))
    return chat.finish(chat.path[-1].id, Status.STOPPED, text="# 2")


@pytest.mark.parametrize(
    "name", [name for name, known in FORMATS.items() if known.write and known.read]
)
@given(many=st.lists(chats(with_parts=False), min_size=1, max_size=3))
@settings(deadline=None, max_examples=30)
def test_what_is_written_is_read_back(name, many):
    ours = name == "chat-tui"
    many = [chat for chat in many if (chat.turns if ours else spoken(chat))]
    words = [word for chat in many for turn in messages(chat) for word in turn]
    # Reasoning that stands in the text has tests of its own.
    assume(many and not any("think" in word for word in words))
    data = export_text(many, FORMATS[name]).encode()
    imported = import_text(data)
    assert imported.format.name == name.removesuffix("-jsonl")
    # A chat that is in the file twice comes once.
    known = {content_id(chat) if ours else str(spoken(chat)): chat for chat in many}
    before = [
        json.loads(json.dumps(messages(chat) if ours else spoken(chat))) for chat in known.values()
    ]
    assert [messages(chat) for chat in imported.conversations] == before


NOTES = FilePart("notes.txt", "one\n```\ntwo")
CAT = ImagePart("image/png", "ab" * 32, "cat.png")
CALL = ToolCallPart("c", "search", {"query": "cats"})
RESULT = ToolResultPart("c", "search", "many")


@pytest.fixture
def made_of_parts() -> Conversation:
    chat = Conversation().add_user("Look", NOTES, CAT)
    chat = chat.begin_reply(chat.leaf.id, Generation())
    parts = (ReasoningPart("hm"), TextPart("Wait."), CALL, RESULT, TextPart("A cat."))
    return chat.update(chat.leaf.id, parts=parts, status=Status.COMPLETE)


def test_our_own_format_keeps_every_part(made_of_parts):
    data = export_text([made_of_parts], FORMATS["chat-tui"]).encode()
    (again,) = import_text(data).conversations
    assert [turn.parts for turn in again.path] == [turn.parts for turn in made_of_parts.path]


@pytest.mark.parametrize("name", ["openai", "openai-jsonl", "transformers"])
def test_messages_have_typed_parts_and_calls_of_tools(made_of_parts, name):
    text = export_text([made_of_parts], FORMATS[name])
    document = json.loads(text)
    user, wait, answer, reply = document.get("messages") or document["chat_history"]
    assert user["content"] == [
        {"type": "text", "text": "Look\n\nnotes.txt:\n````\none\n```\ntwo\n````"},
        {"type": "image", "sha256": "ab" * 32, "media_type": "image/png", "name": "cat.png"},
    ]
    function = {"name": "search", "arguments": '{"query": "cats"}'}
    assert wait == {
        "role": "assistant",
        "content": "Wait.",
        "reasoning_content": "hm",
        "tool_calls": [{"id": "c", "type": "function", "function": function}],
    }
    assert answer == {"role": "tool", "tool_call_id": "c", "name": "search", "content": "many"}
    assert reply == {"role": "assistant", "content": "A cat."}
    read = import_text(text.encode())
    assert read.problems == ()
    assert read.conversations[0].path[0].others == (CAT,)


def test_markdown_and_plain_text_have_a_line_for_each_part(made_of_parts):
    markdown = export_text([made_of_parts], FORMATS["markdown"])
    assert "Look\n\nnotes.txt:\n````\none\n```\ntwo\n````\n\n[image: cat.png]\n" in markdown
    assert 'Wait.\n\n[tool call: search({"query": "cats"})]\n\n' in markdown
    plain = export_text([made_of_parts], FORMATS["text"])
    assert "Wait.\n[tool call: search(" in plain
    assert "[tool result: search: many]\nA cat." in plain


def test_the_name_of_a_part_can_do_no_harm():
    part = ImagePart(name="\x1b]0;x\x07\n## Assistant\n<script>")
    chat = Conversation().add_user("Look", part, FilePart("\x1b[31m\n# x", "\x1b[31m"))
    for name in ("markdown", "text"):
        text = export_text([chat], FORMATS[name])
        assert "\x1b" not in text
        assert "\n## Assistant" not in text


def spoken(chat: Conversation) -> list[list[str]]:
    """What other tools' files give back: a message that says nothing is left out, and counted."""
    return [said for said in messages(chat) if "".join(said[1:]).strip()]


def messages(chat: Conversation) -> list[list[str]]:
    """What was said; a format that keeps reasoning in the text can't tell the line ends between the two apart."""
    return [
        [message.role, message.content.lstrip(), message.reasoning.strip()]
        for message in chat.messages()
    ]


def test_reasoning_survives_where_the_format_has_no_field_for_it():
    chat = from_messages([{"role": "assistant", "content": "4", "reasoning_content": "2\n+ 2"}])
    (again,) = import_text(export_text([chat], FORMATS["sharegpt"]).encode()).conversations
    assert (again.path[0].reasoning, again.path[0].text) == ("2\n+ 2", "4")


@pytest.mark.parametrize("name", [name for name, known in FORMATS.items() if known.write])
def test_every_export_can_be_written_as_utf_8(name, chat):
    assert export_text([chat], FORMATS[name]).encode()


@pytest.mark.parametrize("name", [name for name, known in FORMATS.items() if not known.write])
def test_an_import_only_format_says_so(name, chat):
    with pytest.raises(ChatFormatError, match="can be imported but not exported"):
        export_text([chat], FORMATS[name])


def test_our_own_format_keeps_every_branch(chat):
    branched = chat.edit(chat.path[0].id, "uno?")
    (again,) = import_text(export_text([branched], FORMATS["chat-tui"]).encode()).conversations
    assert again.turns.keys() == branched.turns.keys()
    assert again.can_undo


def test_the_transformers_export_has_its_keys(chat):
    written = json.loads(export_text([chat], FORMATS["transformers"]))
    assert written.keys() == {"settings", "chat_history"}
    assert written["chat_history"][0] == {"role": "system", "content": "Be brief."}


def test_json_lines_are_one_line_for_each_chat(chat):
    text = export_text([chat, chat], FORMATS["openai-jsonl"])
    assert [len(json.loads(line)["messages"]) for line in text.splitlines()] == [5, 5]


def test_markdown_shows_who_said_what_and_keeps_an_open_fence_to_its_turn(chat):
    text = export_text([chat], FORMATS["markdown"])
    assert text.startswith("# one?")
    assert "## System prompt\n\nBe brief." in text
    assert "print(1)\n```\n\n## Assistant" in text
    assert "> **Reasoning**\n>\n> count" in text
    assert "## Assistant (tiny, stopped)\n\n# 2" in text
    assert "\x1b" not in text


def test_plain_text_holds_the_words_and_no_control_characters(chat):
    text = export_text([chat], FORMATS["text"])
    assert "User:\none?" in text
    assert "[reasoning]\ncount\n[/reasoning]\n1" in text
    assert "two? \ufffd␛[31m" in text


def test_a_selection_is_written_alone_and_in_order(chat):
    chosen = {chat.path[3].id, chat.path[0].id, "nowhere"}
    text = export_text([chat], FORMATS["openai"], chosen)
    assert [entry["content"] for entry in json.loads(text)["messages"]] == [
        chat.path[0].text,
        "# 2",
    ]
    assert [turn.id for turn in selection_of(chat, chosen).path] == [
        chat.path[0].id,
        chat.path[3].id,
    ]


def test_an_empty_selection_is_refused(chat):
    with pytest.raises(ChatFormatError, match="nothing to export"):
        export_text([chat], FORMATS["markdown"], {"nowhere"})
    with pytest.raises(ChatFormatError, match="nothing to export"):
        export_text([], FORMATS["markdown"])
