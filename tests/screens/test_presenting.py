"""What the transcript is given of a turn's parts. No app."""

from __future__ import annotations

from tui.conversation import (
    Conversation,
    FilePart,
    Generation,
    ImagePart,
    ReplyStats,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    Turn,
    UnknownPart,
)
from tui.screens.presenting import Presenter, caption
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


def captions(*made: Generation) -> list[str]:
    chat = Conversation()
    for generation in made:
        chat = chat.add_user("?")
        chat = chat.begin_reply(chat.leaf.id, generation)
    presenter = Presenter()
    shown = presenter.turns(chat)[1::2]
    assert [presenter.turn(chat, chat.turn(turn.id)) for turn in shown] == list(shown)
    return [turn.caption.partition(" · ")[2] + turn.change for turn in shown]


def test_a_reply_names_its_model_only_where_that_is_another():
    one, two = Generation("org/one"), Generation("org/two")
    assert captions(one, one, two, two) == ["one", "", "model changed to two", ""]


def test_a_reply_names_its_model_where_that_is_quantized_otherwise():
    whole, small = Generation("org/one"), Generation("org/one", quantization="int8")
    assert captions(whole, small, small, whole) == ["one", "one · int8", "", "one"]


def test_a_caption_tells_time_length_and_speed():
    turn = Turn("a", None, "assistant", "Hi", 0.0, generation=Generation("one"))
    stats = ReplyStats(new_tokens=128, decode_s=7.0)
    assert caption(turn, stats=stats) == "128 tokens · 18 tok/s"
