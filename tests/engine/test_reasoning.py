"""Parting a reply into reasoning and answer."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui.engine.local.reasoning import TemplateSplitter, ThinkSplitter


def split(*chunks, open_at_start=False):
    splitter = ThinkSplitter(open_at_start)
    pieces = [piece for chunk in chunks for piece in splitter.feed(chunk)] + splitter.finish()
    assert all(piece.text for piece in pieces)
    return (
        "".join(piece.text for piece in pieces if piece.is_reasoning),
        "".join(piece.text for piece in pieces if not piece.is_reasoning),
    )


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
    assert split(reply, open_at_start=True) == (reasoning, answer)


replies = st.lists(
    st.sampled_from(
        [
            "<think>",
            "</think>",
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
            "👩‍👩‍👧",
        ]
    )
    | st.text(max_size=4)
).map("".join)


@settings(deadline=None)
@given(reply=replies, cuts=st.lists(st.integers(0, 200)), open_at_start=st.booleans())
def test_every_chunking_gives_what_one_piece_gives(reply, cuts, open_at_start):
    places = sorted({0, len(reply), *(cut for cut in cuts if cut < len(reply))})
    chunks = [reply[start:end] for start, end in pairwise(places)]
    assert split(*chunks, open_at_start=open_at_start) == split(reply, open_at_start=open_at_start)
    assert split(*reply, open_at_start=open_at_start) == split(reply, open_at_start=open_at_start)


def test_an_answer_is_told_at_once():
    splitter = ThinkSplitter()
    assert [piece.text for piece in splitter.feed("Hello")] == ["Hello"]
    assert [piece.text for piece in splitter.feed(" <")] == [" <"]


def test_reasoning_is_told_while_it_grows():
    splitter = ThinkSplitter()
    splitter.feed("<think>")
    assert splitter.in_reasoning
    assert [piece.text for piece in splitter.feed("because of")] == ["because of"]


CHANNELS = {
    "start_anchor": "<|assistant|>",
    "fields": {
        "thinking": {"open": "<|channel|>analysis:", "close": "<|over|>"},
        "content": {"open": "<|channel|>final:", "close": "<|over|>"},
    },
}


@settings(deadline=None)
@given(cuts=st.lists(st.integers(0, 80)))
def test_a_response_template_parts_the_reply_in_every_chunking(cuts):
    from transformers.utils.chat_parsing import ResponseParser

    reply = "<|channel|>analysis:why é<|over|><|channel|>final:so 日本<|over|>"
    places = sorted({0, len(reply), *(cut for cut in cuts if cut < len(reply))})
    splitter = TemplateSplitter(ResponseParser(CHANNELS, prefix="<|user|>hi<|assistant|>"))
    pieces = [piece for a, b in pairwise(places) for piece in splitter.feed(reply[a:b])]
    pieces += splitter.finish()
    assert "".join(piece.text for piece in pieces if piece.is_reasoning) == "why é"
    assert "".join(piece.text for piece in pieces if not piece.is_reasoning) == "so 日本"


def test_a_response_template_knows_what_the_prompt_opened():
    from transformers.utils.chat_parsing import ResponseParser

    prefix = "<|user|>hi<|assistant|><|channel|>analysis:"
    splitter = TemplateSplitter(ResponseParser(CHANNELS, prefix=prefix))
    assert splitter.in_reasoning
    assert [(p.text, p.is_reasoning) for p in splitter.feed("cut off")] == [("cut off", True)]
    splitter.finish()
