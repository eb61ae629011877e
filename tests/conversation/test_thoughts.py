"""Parting a reply into reasoning and answer."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui.conversation.reasoning_marks import HARMONY, TABLE, THINK, is_over_after, opened_by
from tui.conversation.thoughts import Piece, ThinkSplitter, parted


def split(*chunks, opened=None, marks=(), **options):
    splitter = ThinkSplitter(opened, marks, **options)
    reasoning, answer = "", options.get("said", "")
    for piece in [piece for chunk in chunks for piece in splitter.feed(chunk)] + splitter.finish():
        assert piece.text
        if piece.tag:
            assert piece.text.startswith(answer.strip())
            answer = ""
        if piece.is_reasoning:
            reasoning += piece.text
        else:
            answer += piece.text
    return reasoning, answer


@pytest.mark.parametrize(
    ("reply", "reasoning", "answer"),
    [
        ("just an answer", "", "just an answer"),
        ("<think>why</think>so", "why", "so"),
        ("\n<think>\nwhy\n\n</think>\n\nso\n", "why", "so\n"),
        ("<think>\n\n</think>\n\nso", "", "so"),
        ("<think>cut off in the mid", "cut off in the mid", ""),
        ("<think>a</thin", "a</thin", ""),
        ("<think>a < b </ c</think>d", "a < b </ c", "d"),
        ("use the <think> tag, then </think>", "", "use the <think> tag, then </think>"),
        ("<think>a</think>b</think>c", "a", "b</think>c"),
        ("closing alone</think> is text", "", "closing alone</think> is text"),
        ("<thing>", "", "<thing>"),
        ("<thi", "", "<thi"),
        ("  indented", "", "  indented"),
        ("", "", ""),
    ],
)
def test_a_reply_is_parted_at_its_tags(reply, reasoning, answer):
    assert split(reply) == (reasoning, answer)


@pytest.mark.parametrize(
    ("reply", "reasoning", "answer"),
    [
        ("why\n</think>\n\nso", "why", "so"),
        ("</think>so", "", "so"),
        ("never closed", "never closed", ""),
        ("", "", ""),
    ],
)
def test_a_template_can_have_opened_the_reasoning(reply, reasoning, answer):
    assert split(reply, opened=THINK) == (reasoning, answer)


def wrote(reasoning, answer, row):
    return "".join(row.written(reasoning, answer, is_open=False, is_over=False))


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.opening)
@pytest.mark.parametrize("is_known", [True, False])
def test_each_family_s_reply_is_parted(row, is_known):
    known = (row,) if is_known else ()
    if row.are_words or row.answer_opening in ("<answer>", "<response>", "<output>", "<Output>"):
        known = (row,)  # words that an answer may begin with
    reply = wrote("I count.\n\nTwo.", "Two of them.", row) + "".join(row.answer_closings[:1])
    assert split(reply, marks=known) == ("I count.\n\nTwo.", "Two of them.")
    assert split(*reply, marks=known) == ("I count.\n\nTwo.", "Two of them.")
    opened = reply.removeprefix(row.opening)
    assert split(opened, marks=known, opened=row) == ("I count.\n\nTwo.", "Two of them.")
    assert split(wrote("Cut", "", row), marks=known) == ("Cut", "")
    assert split("An answer.", marks=known) == ("", "An answer.")
    assert split("An answer.", marks=known, is_over=True) == ("", "An answer.")


@pytest.mark.parametrize(
    ("reply", "row"),
    [
        ("Here is my thought process: I count. Here is my response: Two.", "Here is my thought process:"),
        ("Here's my thought process:\nI count.\n\nHere's my response:\nTwo.", "Here's my thought process:"),
        ("Here are my reasoning steps:\nI count.\n[BEGIN FINAL RESPONSE]\nTwo.[END FINAL RESPONSE]\n", "Here are my reasoning steps:"),
        ("I count.\n[BEGIN FINAL RESPONSE]Two.[END FINAL RESPONSE]", "Here are my reasoning steps:"),
        ("<|open|>think<|sep|>I count.<|close|>think<|sep|><|open|>response<|sep|>Two.<|close|>response<|sep|><|close|>message<|sep|>",
         "<|open|>think<|sep|>"),
    ],
)  # fmt: skip
def test_marks_that_are_words_count_for_a_model_that_writes_them(reply, row):
    (known,) = [one for one in TABLE if one.opening == row]
    assert split(reply, marks=(known,)) == ("I count.", "Two.")
    assert split(*reply, marks=(known,)) == ("I count.", "Two.")


@pytest.mark.parametrize(
    "row", [row for row in TABLE if row.are_words], ids=lambda row: row.opening
)
def test_marks_that_are_words_are_words_of_any_other_model(row):
    reply = f"{row.opening}\nI count.\n{row.closings[0]}\nTwo."
    assert split(reply) == split(*reply) == ("", reply)
    assert split(reply, marks=(THINK,)) == ("", reply)
    assert parted(reply) == ("", reply)
    assert opened_by(f"Hi. {row.opening}\n") is None


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.opening)
def test_a_reply_that_is_written_on_reads_as_it_was_said(row):
    def said(reasoning, answer, **head):
        options = {"is_open": False, "is_over": False, **head}
        reply = "".join(row.written(reasoning, answer, **options))
        opened = row if options["is_open"] else None
        return split(reply, opened=opened, marks=(row,), is_over=options["is_over"])

    for head in ({}, {"is_open": True}):
        assert said("Why.", "So.", **head) == ("Why.", "So.")
        assert said("Why", "", **head) == ("Why", "")
        assert said("", "So.", **head) == ("", "So.")
    assert said("", "So.", is_over=True) == ("", "So.")


@pytest.mark.parametrize(
    ("prompt", "opened", "is_over"),
    [
        ("<|im_start|>assistant\n<think>\n", THINK, False),
        ("<|im_start|>assistant\n<think>\n\n</think>\n\n", None, True),
        ("<|im_start|>assistant\n", None, False),
        ("<|start|>assistant", None, False),
        ("<|start|>assistant<|channel|>analysis<|message|>", HARMONY, False),
        ("<|start|>assistant<|channel|>final<|message|>", None, True),
    ],
)
def test_a_prompt_says_where_the_reply_starts(prompt, opened, is_over):
    known = (HARMONY, THINK)
    assert opened_by(prompt, known) == opened
    assert is_over_after(prompt, known) == is_over


@pytest.mark.parametrize(
    "row", [row for row in TABLE if row.lone_closing], ids=lambda row: row.opening
)
def test_a_closing_mark_alone_ends_reasoning_of_a_model_that_writes_it(row):
    closing = row.closings[0]
    for reply in (
        f"I look.{closing}Yes.",
        f"I look.\n{closing}\n\nYes.",
        f"I look. {closing}\nYes.",
    ):
        assert split(reply, marks=(row,)) == ("I look.", "Yes.")
        assert split(*reply, marks=(row,)) == ("I look.", "Yes.")


@pytest.mark.parametrize(
    "answer",
    [
        "The tag `</think>` ends the thoughts.",
        'The tag "</think>" ends them.',
        "It ends with </think>.",
        "A tag </think> in a sentence.",
        "```\n</think>\n```\nis how it ends.",
        "~~~~\n```\n</think>\n~~~~",
        "    </think>\nis code.",
        "Write <think> first\n</think>\nand close it.",
        "(</think> is meant)",
    ],
)
def test_an_answer_that_speaks_about_the_tag_stays_an_answer(answer):
    for known in ((), (THINK,)):
        assert split(answer, marks=known) == ("", answer)
        assert split(*answer, marks=known) == ("", answer)


def test_of_a_model_that_is_not_known_to_think_a_tag_has_a_line_of_its_own():
    assert split("I look.\n</think>\nYes.") == ("I look.", "Yes.")
    assert split("I look.</think>Yes.") == ("", "I look.</think>Yes.")


def test_what_was_shown_as_the_answer_is_taken_back_in_one_piece():
    splitter = ThinkSplitter(marks=(THINK,))
    assert splitter.feed("I look at it.") == [Piece("I look at it.")]
    assert not splitter.in_reasoning
    assert splitter.feed("</think>") == []
    found = Piece("I look at it.", is_reasoning=True, tag="</think>")
    assert splitter.feed("Yes") == [found, Piece("Yes")]


def test_a_reply_that_goes_on_is_taken_back_with_its_beginning():
    assert split(" at it.</think>Yes", marks=(THINK,), said="I look") == ("I look at it.", "Yes")
    assert split("think>` tag", marks=(THINK,), said="The `</") == ("", "The `</think>` tag")
    assert split(" tag `</think>`.", marks=(THINK,), said="```\nThe") == (
        "",
        "```\nThe tag `</think>`.",
    )


def test_after_reasoning_a_closing_mark_is_text():
    assert split("a</think>b", marks=(THINK,), is_over=True) == ("", "a</think>b")
    assert split("<think>a</think>b</think>c", marks=(THINK,)) == ("a", "b</think>c")


def test_thoughts_that_speak_about_the_tag_go_on():
    reply = "<think>They ask about `</think>`, a tag.</think>It ends them."
    for chunks in ([reply], reply):
        assert split(*chunks) == ("They ask about `</think>`, a tag.", "It ends them.")


def test_parts_of_a_kind_are_joined():
    assert split("<think>a</think>\n<think>b</think>\n\nc") == ("a\n\nb", "c")


@pytest.mark.parametrize(
    ("reply", "reasoning", "answer"),
    [
        (("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>analysis<|message|>b<|end|>"
         "<|start|>assistant<|channel|>final<|message|>c<|return|>"), "a\n\nb", "c"),
        ("<|channel|>commentary<|message|>I look.<|end|><|start|>assistant<|channel|>final<|message|>c", "", "I look.\n\nc"),
        ("<|channel|>commentary to=functions.f <|constrain|>json<|message|>{}<|call|>", "{}", ""),
        ("<|channel|>final <|constrain|>json<|message|>{}<|return|>", "", "{}"),
        ("<|channel|>analysis<|message|>a<|start|>assistant<|channel|>final<|message|>c", "a", "c"),
        ("<|start|>assistant<|channel|>analysis<|message|>a", "a", ""),
        ("<|channel|>" + "x" * 400, "", "x" * 400),
        ("no channel at all", "", "no channel at all"),
    ],
)  # fmt: skip
def test_channels(reply, reasoning, answer):
    for known in ((), (HARMONY,)):
        assert split(reply, marks=known) == (reasoning, answer)
        assert split(*reply, marks=known) == (reasoning, answer)


PIECES = [
    "<",
    ">",
    "/",
    "think",
    "</th",
    "\n",
    " ",
    "a",
    "é",
    "日本",
    "`",
    "```\n",
    '"',
    ".",
    "<|",
    "|>",
    "to=x ",
    "analysis",
    "final",
]
replies = st.lists(
    st.sampled_from(PIECES + sorted({mark for row in TABLE for mark in row.all}))
    | st.text(max_size=4)
).map("".join)


@settings(deadline=None, max_examples=300)
@given(
    reply=replies,
    cuts=st.lists(st.integers(0, 200)),
    opened=st.none() | st.sampled_from(TABLE),
    marks=st.lists(st.sampled_from(TABLE), max_size=3, unique=True),
    said=st.sampled_from(["", "a", "`", "```\n"]),
)
def test_every_chunking_gives_what_one_piece_gives(reply, cuts, opened, marks, said):
    places = sorted({0, len(reply), *(cut for cut in cuts if cut < len(reply))})
    chunks = [reply[start:end] for start, end in pairwise(places)]
    options = {"opened": opened, "marks": tuple(marks), "said": "" if opened else said}
    whole = split(reply, **options)
    assert split(*chunks, **options) == whole
    assert split(*reply, **options) == whole


@given(replies)
def test_nothing_is_lost_of_a_text_without_marks(reply):
    plain = reply.replace("<", "").replace("[", "").replace("◁", "")
    assert split(plain) == ("", plain)
    assert parted(plain) == ("", plain)


def test_an_answer_is_told_at_once():
    splitter = ThinkSplitter()
    assert [piece.text for piece in splitter.feed("Hello")] == ["Hello"]
    assert [piece.text for piece in splitter.feed(" <")] == [" "]
    assert [piece.text for piece in splitter.feed("b")] == ["<b"]


def test_reasoning_is_told_while_it_grows():
    splitter = ThinkSplitter()
    splitter.feed("<think>")
    assert splitter.in_reasoning
    assert [piece.text for piece in splitter.feed("because of")] == ["because of"]


def test_a_whole_text_of_any_model_is_parted():
    text = "Okay, so 2, 3, 5: none.\n</think>\n\nYes, 7 is a prime number."
    assert parted(text) == ("Okay, so 2, 3, 5: none.", "Yes, 7 is a prime number.")
    assert parted("[THINK]a[/THINK]b") == ("a", "b")
    assert parted("The tag `</think>` ends it") == ("", "The tag `</think>` ends it")


@pytest.mark.parametrize(
    "text",
    [
        "say `</think>` " * 20_000,
        "<|channel|>a<|message|>b<|end|>" * 10_000,
        "a</think>" + " " * 200_000 + "b",
        "\n" * 200_000,
        "<think>" + "\n" * 200_000,
        "```\n</think>\n" * 20_000,
        "<think></think>" * 20_000,
    ],
    ids=lambda text: text[:12],
)
def test_long_texts_of_nothing_but_marks_are_parted_soon(text):
    reasoning, answer = parted(text)
    assert len(reasoning) + len(answer) <= len(text)
