"""What stands among the words of a chat and is none of them: calls of tools, marks of sources, places for names, what was never sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tui.conversation import TextPart, ToolCallPart, ToolResultPart
from tui.conversation.formats import Imported, import_text
from tui.conversation.formats.citations import without_marks


def read(document: Any) -> Imported:
    return import_text(json.dumps(document).encode())


def said(imported: Imported) -> list[tuple[str, str]]:
    return [(turn.role[0], turn.text) for turn in imported.conversations[0].path]


# -- tools of ChatGPT


def chatgpt(*messages: dict[str, Any]) -> Imported:
    nodes = {
        str(place): {"parent": str(place - 1) if place else None, "message": message}
        for place, message in enumerate(messages)
    }
    return read({"title": "T", "mapping": nodes, "current_node": str(len(messages) - 1)})


def message(role: str, kind: str, text: str, recipient: str = "all") -> dict[str, Any]:
    content = {"content_type": kind, "text": text} | ({"parts": [text]} if kind == "text" else {})
    return {"author": {"role": role}, "content": content, "recipient": recipient}


@pytest.mark.parametrize(
    ("kind", "recipient"),
    [("code", "web"), ("code", "python"), ("text", "dalle.text2im"), ("text", "bio")],
)
def test_words_to_a_tool_are_a_call_and_its_answer_a_result_in_the_reply_that_follows(
    kind, recipient
):
    imported = chatgpt(
        message("user", "text", "Q"),
        message("assistant", kind, "search('rome')", recipient),
        message("tool", "text", "found"),
        message("assistant", "text", "A"),
    )
    assert said(imported) == [("u", "Q"), ("a", "A")]
    call, *rest = imported.conversations[0].path[1].parts
    assert isinstance(call, ToolCallPart)
    assert (call.name, "search('rome')" in call.arguments) == (recipient, True)
    assert rest == [ToolResultPart("", "", "found"), TextPart("A")]
    assert imported.problems == ()


def test_a_call_that_no_reply_follows_is_a_turn_of_its_own():
    imported = chatgpt(message("user", "text", "Q"), message("assistant", "text", "go", "web"))
    assert imported.conversations[0].path[1].parts == (ToolCallPart("", "web", "go"),)


def test_code_to_everyone_stays_a_reply():
    imported = chatgpt(message("user", "text", "Q"), message("assistant", "code", "1 + 1"))
    assert said(imported) == [("u", "Q"), ("a", "```\n1 + 1\n```")]
    assert imported.problems == ()


# -- Gemini


def test_what_was_never_sent_to_gemini_is_no_turn():
    pending = [{"text": "half a thou", "role": "user"}, {"text": "", "role": "user"}]
    chunks = [{"text": "Q", "role": "user"}, {"text": "A", "role": "model"}]
    imported = read({"chunkedPrompt": {"chunks": chunks, "pendingInputs": pending}})
    assert said(imported) == [("u", "Q"), ("a", "A")]
    assert imported.problems == ("Left out: unsent messages (1)",)


# -- SillyTavern


def tavern(header: dict[str, Any]) -> Imported:
    lines = [
        header,
        {"name": "Ann", "is_user": True, "mes": "I am {{user}}."},
        {
            "name": "Aria",
            "is_user": False,
            "mes": "{{Char}} greets {{user}}.",
            "swipes": ["{{Char}} greets {{user}}.", "No {{random}}, {{user}}."],
            "swipe_id": 0,
        },
    ]
    return import_text("\n".join(map(json.dumps, lines)).encode())


@pytest.mark.parametrize(
    ("header", "user", "character"),
    [
        ({"user_name": "Bob", "character_name": "Eve"}, "Bob", "Eve"),
        ({"user_name": "unused", "character_name": "unused"}, "Ann", "Aria"),
    ],
)
def test_the_places_for_names_get_the_names(header, user, character):
    imported = tavern(header)
    assert said(imported) == [("u", f"I am {user}."), ("a", f"{character} greets {user}.")]
    chat = imported.conversations[0]
    swipes = [turn.text for turn in chat.variants(chat.path[1].id)]
    assert f"No {{{{random}}}}, {user}." in swipes
    assert imported.problems == ()


def test_the_authors_note_is_counted():
    header = {"character_name": "Eve", "chat_metadata": {"note_prompt": "Be dark."}}
    assert tavern(header).problems == ("Left out: author's notes (1)",)


# -- marks of sources

SOURCES = [{"source": {"name": "a"}, "document": ["x", "y"]}, {"source": {"name": "b"}}]


@pytest.mark.parametrize("field", ["content", "output"])
def test_open_webui_keeps_no_marks_of_sources_that_are_left_out(field):
    words = "Quack [1] [3]. Not [4]."
    reply = {"id": "2", "parentId": "1", "role": "assistant", "sources": SOURCES, "content": words}
    if field == "output":
        parts = [{"type": "output_text", "text": words}]
        reply["output"] = [{"type": "message", "role": "assistant", "content": parts}]
    asked = {"id": "1", "parentId": None, "role": "user", "content": "Q [1]", "sources": SOURCES}
    imported = read({"chat": {"history": {"messages": {"1": asked, "2": reply}, "currentId": "2"}}})
    assert said(imported) == [("u", "Q [1]"), ("a", "Quack. Not [4].")]
    assert imported.problems == ("Left out: sources (4)",)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Quack[1][2], and so[1, 2] on [2]", "Quack, and so on"),
        ("see [1](http://x) and [1][ref]", "see [1](http://x) and [1][ref]"),
        ("a `b[1]` and ``c ` [1]`` [1]", "a `b[1]` and ``c ` [1]``"),
        ("```py\na[1]\n```\nso [1]", "```py\na[1]\n```\nso"),
        ("an open ` [1] tick", "an open ` tick"),
        ("so [1]\n\n[1] http://x", "so [1]\n\n[1] http://x"),
        ("in [2024] and [0]", "in [2024] and [0]"),
        ("![1] pic", "![1] pic"),
    ],
)
def test_only_marks_of_sources_are_taken_out(text, left):
    assert without_marks(text, 2) == left
    assert without_marks(text, 0) == text


def test_a_text_that_is_made_to_be_slow_is_not():
    """Where the time grew with the square of the length, each of these would take minutes."""
    for part in ("[1", " ", "`" * 3 + " ", "[1] ", "[1]("):
        without_marks("x" + part * 200_000, 3)
