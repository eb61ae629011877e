"""Answers as hosted services give them, which no engine of the table does."""

from __future__ import annotations

import json

import pytest

from tui.engine.base import ReasoningDelta
from tui.engine.remote.chat_completions import ChunkReader, listed_model
from tui.engine.remote.dialect import Words


@pytest.mark.parametrize("name", ["max_model_len", "context_length", "context_window", "max_context_length"])  # fmt: skip
def test_a_context_is_read_under_any_of_its_names(name):
    assert listed_model({"id": "m", name: 131072}).context_tokens == 131072
    assert listed_model({"id": "m", name: "131072"}).context_tokens == 0


def test_reasoning_that_comes_as_a_part_of_the_content_is_reasoning():
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm. "}]},
        {"type": "text", "text": "Yes."},
    ]
    chunk = json.dumps({"choices": [{"delta": {"content": parts}}]})
    assert list(ChunkReader("x").read(chunk)) == [Words("Hm. ", is_reasoning=True), Words("Yes.")]


def test_fields_of_errors_that_hold_nothing_are_no_errors():
    chunk = {"choices": [{"delta": {"content": "Yes."}}], "error": None, "detail": None}
    assert list(ChunkReader("x").read(json.dumps(chunk))) == [Words("Yes.")]


@pytest.mark.parametrize("server", ["openai"], indirect=True)
def test_a_service_that_says_that_it_is_at_work_is_waited_for(server, asker):
    def busy(talk):
        talk.stream()
        for _ in range(3):
            talk.chunk(b": PROCESSING\n\n")
        talk.event({"choices": [], "prompt_filter_results": []})
        talk.event({"choices": [{"delta": {"reasoning": "Hm.", "content": None}}], "usage": None})
        talk.event({"choices": [{"delta": {"content": "Yes."}, "finish_reason": "stop"}]})
        talk.end()

    server.answers[server.column.chat] = busy
    asker.load(server.url)
    heard = asker.ask()
    assert heard.error is None
    assert (heard.reasoning, heard.text) == ("Hm.", "Yes.")
    assert any(isinstance(event, ReasoningDelta) for event in heard.events)
