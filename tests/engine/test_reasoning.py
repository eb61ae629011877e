"""How a model's tokenizer says what its reasoning is."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine import tiny
from tui.conversation.reasoning_marks import HARMONY, THINK, Marks
from tui.engine.local.reasoning import TemplateSplitter, marks_of

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


def marks(template="", specials=(), pieces=(), response_template=None):
    made = tiny.tokenizer(template)
    made.add_special_tokens({"additional_special_tokens": [*tiny.ROLES, *specials]})
    made.add_tokens(list(pieces))
    made.response_template = response_template
    return [one.opening for one in marks_of(made)]


def test_marks_are_found_in_the_vocabulary_special_or_not():
    assert marks() == ["<think>"]
    assert marks(specials=["[THINK]", "[/THINK]"]) == ["[THINK]", "<think>"]
    assert marks(pieces=["</seed:think>"]) == ["<seed:think>", "<think>"]


def test_marks_are_found_in_the_template_s_text():
    assert marks("{{ m }}{% if x %}◁think▷{% endif %}")[0] == "◁think▷"
    made = tiny.tokenizer()
    made.chat_template = {"default": "{{ m }}", "thinks": "<thought>"}
    assert [one.opening for one in marks_of(made)] == ["<think>", "<thought>"]


@pytest.mark.parametrize("name", ["think:6124c78e", "acme:thought", "deep_thinking"])
@pytest.mark.parametrize("in_template", [True, False])
def test_a_pair_of_tags_with_a_name_of_its_own_is_found(name, in_template):
    pair = [f"<{name}>", f"</{name}>"]
    made = marks("".join(pair)) if in_template else marks(pieces=pair)
    assert made == [pair[0], "<think>"]


def test_half_a_pair_or_another_tag_marks_nothing():
    assert marks("</rethink><quote></quote><|think_more|>") == ["<think>"]
    assert marks("<think></think><thought></thought>") == ["<think>", "<thought>"]


def test_marks_that_are_words_are_found_in_the_template():
    said = "Write your thoughts after 'Here is my thought process:' and your answer after 'Here is my response:'."
    assert marks(said)[0] == "Here is my thought process:"
    assert marks("put it behind [BEGIN FINAL RESPONSE].")[0] == "Here are my reasoning steps:"


@pytest.mark.parametrize(
    ("thinking", "row"),
    [
        ({"open": "<think>", "close": "</think>"}, THINK),
        ({"open": HARMONY.opening, "close": ["<|end|>"]}, HARMONY),
        ({"open": "<musing>", "close": "</musing>"}, Marks("<musing>", ("</musing>",))),
    ],
)
def test_the_response_template_s_marks_go_first(thinking, row):
    made = tiny.tokenizer("[THINK][/THINK]")
    made.response_template = {"fields": {"thinking": thinking, "content": {}}}
    assert marks_of(made)[0] == row


@pytest.mark.parametrize(
    "said",
    [
        None,
        "text",
        {"fields": []},
        {"fields": {"thinking": "x"}},
        {"fields": {"thinking": {"open": 7}}},
    ],
)
def test_a_response_template_that_names_no_marks_is_passed_over(said):
    assert marks(response_template=said) == ["<think>"]
