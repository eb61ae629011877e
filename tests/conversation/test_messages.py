"""Reasoning inside a reply's text, and content in parts."""

from __future__ import annotations

import pytest

from tui.conversation.content import content_text
from tui.conversation.messages import plain_message, split_reasoning
from tui.conversation.reasoning_marks import TABLE


@pytest.mark.parametrize(
    ("text", "reasoning", "rest"),
    [
        ("plain", "", "plain"),
        ("<think>hm</think>yes", "hm", "yes"),
        ("\n <think>\nhm\n</think>\n\n  yes", "hm", "  yes"),
        ("<think></think>yes", "", "yes"),
        ("<think>cut off", "cut off", ""),
        ("\\<think\\>hm\\</think\\>yes", "hm", "yes"),
        ("say <think>hm</think>", "", "say <think>hm</think>"),
        ("say \\<think\\>", "", "say \\<think\\>"),
        ("no </think> here", "", "no </think> here"),
    ],
)
def test_a_block_at_the_start_is_split_off(text, reasoning, rest):
    assert split_reasoning(text) == (reasoning, rest)


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning", "thinking"])
def test_a_field_of_its_own_goes_before_the_text(key):
    entry = {"role": "assistant", "content": "<think>a</think>b", key: "c"}
    assert plain_message(entry) == {
        "role": "assistant",
        "content": "<think>a</think>b",
        "reasoning_content": "c",
    }


def test_only_a_reply_has_reasoning_in_its_text():
    assert plain_message({"role": "user", "content": "<think>a"})["content"] == "<think>a"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("a", "a"),
        ([{"type": "text", "text": "a"}, {"type": "image_url"}, "b"], "a\nb"),
        (None, ""),
        (3, ""),
        ([[["a"]]], ""),
    ],
)
def test_content_may_stand_in_parts(content, text):
    assert content_text(content) == text


def test_every_family_s_marks_are_known_in_files_too():
    for marks in TABLE:
        text = "".join(marks.written("why", "so", is_open=False, is_over=False))
        # Words that an answer may hold or begin with count only where the model is known.
        begins_with_words = marks.answer_opening.lower() in ("<answer>", "<response>", "<output>")
        if not (marks.are_words or begins_with_words):
            assert split_reasoning(text) == ("why", "so")
    assert split_reasoning("<think>cut off\n  ") == ("cut off", "")
