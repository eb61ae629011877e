"""A model's response template may hold regular expressions that never end; the reply does."""

from __future__ import annotations

import threading

import pytest

from tests.engine import tiny
from tui.conversation.thoughts import Piece
from tui.engine.attempts import StuckError, never
from tui.engine.base import Cancelled
from tui.engine.local import response_parsing
from tui.engine.local.reasoning import TemplateSplitter
from tui.engine.local.response_parsing import ResponseParsing

LITERAL = {
    "start_anchor": "<|assistant|>",
    "fields": {"thinking": {"open": "<think>", "close": "</think>"}, "content": {}},
}
EVIL = {
    "start_anchor": "<|assistant|>",
    "fields": {
        "thinking": {"open_pattern": "(?:a|a|b)+(?:a|b|b)+(?:a|a)+c", "close": "</think>"},
        "content": {},
    },
}


SLOW = "ab" * 400 + "!" + "ab" * 400
"""What the pattern takes many times longer for than it is given, but not forever: nothing ends the thread that it runs on."""


@pytest.fixture
def tokenizer(monkeypatch):
    monkeypatch.setattr(response_parsing, "_WITHIN_S", 0.1)
    made = tiny.tokenizer()
    if not hasattr(made, "get_response_parser"):
        pytest.skip("this transformers has no response templates")
    yield made
    for thread in threading.enumerate():
        # The tests after it are to have both cores.
        if thread.name == "attempt":
            thread.join()


def test_a_template_without_patterns_is_parsed_on_the_spot(tokenizer, monkeypatch):
    tokenizer.response_template = LITERAL
    monkeypatch.setattr(response_parsing, "Attempts", lambda _within_s: None)
    parsing = ResponseParsing(tokenizer, tokenizer.encode("<|assistant|>"), never)
    splitter = TemplateSplitter(parsing)
    assert splitter.feed("<think>why</think>because") == [
        Piece("why", is_reasoning=True), Piece("because"),
    ]  # fmt: skip
    assert splitter.finish() == []


def test_a_pattern_that_never_ends_is_left_behind_and_the_reply_ends(tokenizer):
    tokenizer.response_template = EVIL
    parsing = ResponseParsing(tokenizer, tokenizer.encode("<|assistant|>"), never)
    splitter = TemplateSplitter(parsing)
    with pytest.raises(StuckError):
        splitter.feed(SLOW)
    assert splitter.finish() == []


def test_a_pattern_that_never_ends_is_cancelled(tokenizer, monkeypatch):
    monkeypatch.setattr(response_parsing, "_WITHIN_S", 60.0)
    tokenizer.response_template = EVIL
    parsing = ResponseParsing(tokenizer, tokenizer.encode("<|assistant|>"), lambda: True)
    splitter = TemplateSplitter(parsing)
    with pytest.raises(Cancelled):
        splitter.feed(SLOW)
    assert splitter.finish() == []
