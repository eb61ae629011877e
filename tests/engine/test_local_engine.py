"""Replies of the local engine: the real demo model, and tiny ones where the model does not matter."""

import time

import pytest

from tests.engine import tiny
from tests.engine.conftest import ask, chat, load
from tui.conversation.turn import Message
from tui.engine.base import (
    GenerateRequest,
    GenerationError,
    Progress,
    PromptReady,
    StopReason,
    TextDelta,
)
from tui.engine.worker import EngineWorker

QUESTION = "What is the capital of Japan?"
"""The demo model is sure of its answer. Of France it is not: the first word there hangs on how one processor rounds."""


def after(events, kind, count=1):
    """Cancels once so many events of a kind were emitted."""
    return lambda: sum(isinstance(event, kind) for event in events) >= count


def stopped(engine, messages, kind, count=1, **parameters):
    events = []
    request = GenerateRequest(messages, {"temperature": 0.0, **parameters})
    return engine.generate(request, events.append, after(events, kind, count)), events


# -- the real model


@pytest.mark.model
def test_the_demo_model_answers(demo):
    heard = ask(demo, chat(QUESTION), max_new_tokens=40)
    assert "Tokyo" in heard.text
    assert heard.finished.reason is StopReason.END
    assert "<|im_end|>" not in heard.text
    assert heard.reasoning == ""


@pytest.mark.model
def test_events_and_figures_of_a_reply_agree(demo):
    heard = ask(demo, chat(QUESTION), max_new_tokens=40)
    stats = heard.finished.stats
    assert isinstance(heard.events[0], PromptReady)
    assert stats.prompt_tokens == heard.prompt.prompt_tokens > 20
    assert stats.new_tokens == sum(e.tokens for e in heard.events if isinstance(e, TextDelta))
    assert stats.ttft_s > 0
    assert stats.decode_s > 0
    assert heard.prompt.parameters["temperature"] == 0
    assert heard.prompt.parameters["max_new_tokens"] == 40


@pytest.mark.model
def test_the_next_turn_reuses_the_cache(demo):
    first = ask(demo, chat(QUESTION), max_new_tokens=40)
    second = ask(demo, chat(QUESTION, first.text, "And of Germany?"), max_new_tokens=40)
    reached = first.finished.stats.context_tokens
    assert second.prompt.cached_tokens >= reached - 1
    assert "Berlin" in second.text


@pytest.mark.model
def test_the_same_seed_gives_the_same_reply(demo):
    once = ask(demo, chat("Tell me a story."), temperature=0.9, seed=11, max_new_tokens=16)
    between = ask(demo, chat("Tell me a story.", once.text, "Go on."), max_new_tokens=4)
    assert between.prompt.cached_tokens
    # Read in the same pieces as before: in 16 bits, others could tip a near tie.
    cached = once.finished.stats.cached_tokens
    again = ask(
        demo,
        chat("Tell me a story."),
        temperature=0.9,
        seed=11,
        max_new_tokens=16,
        cached_at_most=cached,
    )
    assert again.finished.stats.cached_tokens <= cached
    assert once.text == again.text
    assert once.prompt.parameters["seed"] == 11


@pytest.mark.model
def test_stopping_while_decoding_keeps_the_text_and_the_cache(demo):
    finished, events = stopped(demo, chat("Count to one hundred."), TextDelta, 4)
    assert finished.reason is StopReason.CANCELLED
    assert 4 <= finished.stats.new_tokens <= 6
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    again = ask(demo, chat("Count to one hundred.", text), continue_last=True, max_new_tokens=4)
    assert again.prompt.cached_tokens > finished.stats.prompt_tokens


@pytest.mark.model
def test_stopping_while_the_prompt_is_read_keeps_what_was_read(demo):
    long = chat("one two three four five six seven eight nine ten " * 120)
    # The first says that reading begins, the second that a chunk was read.
    finished, events = stopped(demo, long, Progress, 2)
    assert finished.reason is StopReason.CANCELLED
    assert finished.stats.new_tokens == 0
    assert not any(isinstance(event, TextDelta) for event in events)
    heard = ask(demo, long, max_new_tokens=2)
    assert 0 < heard.prompt.cached_tokens < heard.prompt.prompt_tokens
    reading = [event for event in heard.events if isinstance(event, Progress)]
    assert reading[0].total == heard.prompt.prompt_tokens - heard.prompt.cached_tokens
    assert [event.done for event in reading] == sorted(event.done for event in reading)


@pytest.mark.model
def test_a_chat_that_does_not_fit_is_refused_with_numbers(demo):
    with pytest.raises(GenerationError, match="8,192") as raised:
        ask(demo, chat("word " * 9000))
    assert "Shorten" in raised.value.hint


@pytest.mark.model
def test_a_continued_reply_goes_on_with_the_same_sentence(demo):
    heard = ask(
        demo, chat(QUESTION, "The capital of Japan is"), continue_last=True, max_new_tokens=8
    )
    assert heard.text.startswith(" ")
    assert "Tokyo" in heard.text


@pytest.mark.model
def test_the_whole_way_through_the_worker(demo):
    worker = EngineWorker(demo)
    job = worker.generate(
        GenerateRequest(chat(QUESTION), {"temperature": 0.0, "max_new_tokens": 20})
    )
    came = []
    while worker.busy:
        came += worker.drain()
        # Looking all the time would keep the model from its work.
        time.sleep(0.01)
    came += worker.drain()
    assert {job_id for job_id, _ in came} == {job}
    assert "Tokyo" in "".join(event.text for _, event in came if isinstance(event, TextDelta))
    assert worker.close(10)


# -- tiny models


@pytest.fixture
def small(engine, tmp_path):
    load(engine, tiny.llama(tmp_path / "model", temperature=0.7), dtype="float32")
    return engine


def test_the_limit_of_new_tokens_ends_a_reply(small):
    heard = ask(small, chat("hello"), max_new_tokens=5)
    assert heard.finished.reason is StopReason.LENGTH
    assert heard.finished.stats.new_tokens == 5


def test_the_end_of_the_context_ends_a_reply(small):
    heard = ask(small, chat("x" * 420), max_new_tokens=100)
    assert heard.finished.reason is StopReason.LENGTH
    assert heard.finished.stats.context_tokens == 512
    assert heard.prompt.parameters["max_new_tokens"] == 512 - heard.prompt.prompt_tokens


def test_a_drawn_seed_is_reported_and_repeats_the_reply(small):
    drawn = ask(small, chat("hello"), temperature=1.5, max_new_tokens=12)
    seed = drawn.prompt.parameters["seed"]
    assert isinstance(seed, int)
    assert (
        ask(small, chat("hello"), temperature=1.5, seed=seed, max_new_tokens=12).text == drawn.text
    )


def test_the_models_own_defaults_hold_where_the_user_set_nothing(small):
    events = []
    small.generate(GenerateRequest(chat("hi"), {"max_new_tokens": 2}), events.append, lambda: False)
    assert events[0].parameters["temperature"] == 0.7


@pytest.mark.parametrize(
    "parameters",
    [
        {"temperature": 0.0, "top_p": 0.5, "top_k": 3, "min_p": 0.1},
        {"temperature": 2.0, "top_p": 0.0, "top_k": 0, "min_p": 1.0},
        {"temperature": 0.01, "top_p": 1.0, "top_k": 1000},
        {"temperature": 1.0, "min_p": 0.0, "repetition_penalty": 0.1},
        {"temperature": 1.0, "repetition_penalty": 5.0, "seed": 2**32 - 1, "max_new_tokens": 1},
    ],
)
def test_every_allowed_value_generates_without_a_warning(small, caplog, recwarn, parameters):
    heard = ask(small, chat("hello"), **{"max_new_tokens": 4, **parameters})
    assert heard.finished.stats.new_tokens >= 1
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]
    assert not list(recwarn)


def test_temperature_zero_is_greedy_whatever_the_seed(small):
    texts = {ask(small, chat("hello"), seed=seed, max_new_tokens=12).text for seed in (1, 2, 3)}
    assert len(texts) == 1


def test_stopping_a_model_whose_prompt_is_not_read_in_chunks(engine, tmp_path):
    load(engine, tiny.forgetful(tmp_path / "model"), dtype="float32")
    finished, _ = stopped(engine, chat("hello"), PromptReady)
    assert finished.reason is StopReason.CANCELLED
    assert finished.stats.new_tokens == 0
    layer = engine._loaded.model.backbone.layers[0]
    assert not layer._forward_pre_hooks
    assert ask(engine, chat("hello"), max_new_tokens=3).finished.stats.new_tokens == 3


def test_a_reply_cancelled_before_it_began(small):
    finished, events = stopped(small, chat("hello"), object, 0)
    assert finished.reason is StopReason.CANCELLED
    assert [type(event) for event in events] == [PromptReady]


def test_a_template_that_opens_the_reasoning_gives_reasoning(engine, tmp_path):
    load(engine, tiny.llama(tmp_path / "model", tiny.THINKING_TEMPLATE), dtype="float32")
    heard = ask(engine, chat("hello"), max_new_tokens=10)
    assert heard.text == ""
    stats = heard.finished.stats
    assert stats.reasoning_tokens == stats.new_tokens == 10
    assert stats.reasoning_s > 0


def test_a_response_template_decides_what_is_reasoning(engine, tmp_path):
    load(engine, tiny.llama(tmp_path / "model", tiny.THINKING_TEMPLATE), dtype="float32")
    engine._loaded.tokenizer.response_template = {
        "start_anchor": "<|assistant|>",
        "fields": {"thinking": {"open": "<think>", "close": "</think>"}, "content": {}},
    }
    heard = ask(engine, chat("hello"), max_new_tokens=10)
    assert heard.reasoning
    assert heard.text == ""
    engine._loaded.tokenizer.response_template = {"not": "a template"}
    assert ask(engine, chat("hello"), max_new_tokens=10).finished.stats.reasoning_tokens == 10


def test_the_turn_end_that_only_the_template_knows_stops_the_model(engine, tmp_path):
    folder = tiny.llama(tmp_path / "model", tiny.SIMPLE_TEMPLATE.replace("<|end|>", "<|system|>"))
    load(engine, folder)
    tokenizer = engine._loaded.tokenizer
    assert tokenizer.convert_tokens_to_ids("<|system|>") in engine._loaded.end_ids
    assert tokenizer.eos_token_id in engine._loaded.end_ids


def test_an_empty_chat_is_a_sentence(small):
    with pytest.raises(GenerationError, match="no message"):
        ask(small, (Message("system", "Be brief."),))
