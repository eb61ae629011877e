"""What the transcript is given of a turn's parts. No app."""

from __future__ import annotations

from tui.conversation import (
    Conversation,
    FilePart,
    ImagePart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    UnknownPart,
)
from tui.screens.presenting import Presenter
from tui.widgets.other_parts import ShownPart

CALL = ToolCallPart("c", "search", {"q": "cats"})


def shown(*parts):
    chat = Conversation().add_user("?")
    chat = chat.update(chat.leaf.id, parts=parts)
    return Presenter().turns(chat)[0].parts


def test_a_turn_of_text_has_no_other_parts():
    assert shown(TextPart("a")) == ()


def test_files_unfold_and_all_else_is_a_line():
    parts = shown(
        TextPart("a"), FilePart("a.py", "x = 1"), ImagePart(name="cat.png"), UnknownPart({})
    )

    assert parts == (
        ShownPart("a.py · 1 line", "x = 1", "py"),
        ShownPart("image: cat.png"),
        ShownPart("something (not shown here)"),
    )


def test_what_came_before_the_text_stands_above_it():
    parts = shown(CALL, ToolResultPart("c", "search", "many"), TextPart("Found"), CALL)

    assert [part.is_above for part in parts] == [True, True, False]
    assert [part.is_above for part in shown(CALL)] == [False]


def test_a_name_that_is_no_file_name_names_no_language():
    assert shown(FilePart("a.`\n```x", "y"))[0].language == ""
    assert shown(FilePart("", "y"))[0].language == ""
