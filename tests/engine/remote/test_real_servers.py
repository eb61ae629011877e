"""The demo model on two real servers; see `tests.real_servers`."""

from __future__ import annotations

import pytest

from tests.engine.conftest import ask, chat, load
from tests.engine.contract import CONTRACT, Subject
from tests.real_servers import CONTEXT
from tui.conversation.turn import Message
from tui.engine.base import (
    ContextOverflowError,
    GenerateRequest,
    GenerationError,
    Progress,
    StopReason,
    TextDelta,
)
from tui.engine.remote.engine import RemoteEngine

pytestmark = pytest.mark.model

QUESTION = "What is the capital of Japan?"


@pytest.fixture(params=["transformers_serve", "llama_server"])
def real(request):
    """Each server in turn, with an engine that is connected to it."""
    url = request.getfixturevalue(request.param)
    engine = RemoteEngine()
    load(engine, url)
    yield engine
    engine.unload()


@pytest.fixture
def llama(llama_server):
    engine = RemoteEngine()
    load(engine, llama_server)
    yield engine
    engine.unload()


def stopped_after(engine, words, message, **parameters):
    """How a reply ends that is stopped after so many pieces of text."""
    events = []

    def has_words():
        return sum(isinstance(event, TextDelta) for event in events) >= words

    request = GenerateRequest(chat(message), {"temperature": 0.0, **parameters})
    return engine.generate(request, events.append, has_words)


def test_two_turns(real):
    first = ask(real, chat(QUESTION), max_new_tokens=16)
    assert "Tokyo" in first.text
    assert first.finished.reason is StopReason.END
    second = ask(real, chat(QUESTION, first.text, "Which country is it in?"), max_new_tokens=16)
    assert "Japan" in second.text
    assert second.finished.stats.prompt_tokens > first.finished.stats.prompt_tokens


def test_a_reply_made_again_is_the_same(real):
    first, again = (ask(real, chat(QUESTION), max_new_tokens=20, seed=1) for _ in range(2))
    assert first.text == again.text


def test_the_limit_of_new_tokens_holds(real):
    heard = ask(real, chat("Count to one hundred."), max_new_tokens=5)
    assert heard.finished.reason is StopReason.LENGTH
    assert heard.finished.stats.new_tokens == 5


def test_an_answer_ends_before_a_stop_text(real):
    whole = ask(real, chat(QUESTION), max_new_tokens=30).text
    heard = ask(real, chat(QUESTION), max_new_tokens=30, stop_strings=["Tok", "no such"])
    assert heard.text == whole.partition("Tok")[0]
    assert heard.finished.reason is StopReason.END


def test_samplers_have_an_effect(real):
    heard = ask(real, chat(QUESTION), max_new_tokens=20, temperature=2.0, top_k=1, seed=7)
    assert heard.text == ask(real, chat(QUESTION), max_new_tokens=20).text
    plain = ask(real, chat("Repeat the word yes many times."), max_new_tokens=24)
    other = ask(
        real, chat("Repeat the word yes many times."), max_new_tokens=24, repetition_penalty=1.9
    )
    assert other.text != plain.text


def test_a_sampler_alone_does_not_make_the_reply_short(real):
    finished = stopped_after(real, 30, "Count to one hundred.", repetition_penalty=1.01)
    # It went on until it was stopped.
    assert finished.reason is StopReason.CANCELLED
    assert finished.stats.new_tokens > 25


def test_a_reply_can_be_stopped_and_the_next_one_is_whole(real):
    finished = stopped_after(real, 3, "Tell me a long story.", max_new_tokens=400)
    assert finished.reason is StopReason.CANCELLED
    assert 3 <= finished.stats.new_tokens < 400
    assert "Tokyo" in ask(real, chat(QUESTION), max_new_tokens=30).text


def test_a_reply_is_written_on_by_llama_server(llama):
    heard = ask(llama, chat(QUESTION, "The capital of Japan is"), continue_last=True, max_new_tokens=8)  # fmt: skip
    assert heard.text.startswith(" ")
    assert "Tokyo" in heard.text


def test_transformers_serve_says_that_it_can_not_write_on(transformers_serve):
    engine = RemoteEngine()
    load(engine, transformers_serve)
    with pytest.raises(GenerationError, match="can't continue a reply"):
        ask(engine, chat(QUESTION, "The capital"), continue_last=True)
    engine.unload()


def test_llama_server_refuses_a_chat_that_is_too_long_with_figures(llama):
    assert llama.loaded.context_tokens == CONTEXT
    with pytest.raises(ContextOverflowError) as raised:
        ask(llama, (*chat("word " * 3000, "Yes."), Message("user", "Go on.")))
    assert raised.value.overflow.context_tokens == CONTEXT
    assert raised.value.overflow.prompt_tokens > 3000
    assert len(raised.value.overflow.message_tokens) == 3


def test_llama_servers_own_refusal_is_understood(llama, monkeypatch):
    async def unknown(*_args):
        return 0

    monkeypatch.setattr(type(llama._connected.dialect), "count", unknown)
    with pytest.raises(ContextOverflowError) as raised:
        ask(llama, chat("word " * 3000))
    assert raised.value.overflow.context_tokens == CONTEXT
    assert raised.value.overflow.prompt_tokens > 3000


def test_llama_server_counts_what_it_reads(llama):
    async def count():
        one = llama._connected
        return await one.dialect.count(one.link, one.model, GenerateRequest(chat(QUESTION)))

    counted = llama._wait(count(), lambda: False)
    assert counted == ask(llama, chat(QUESTION), max_new_tokens=2).finished.stats.prompt_tokens


def test_llama_server_tells_times_progress_and_what_it_knew(llama):
    long = chat("word " * 700)
    first = ask(llama, long, max_new_tokens=4)
    assert first.finished.stats.prefill_s > 0
    assert first.finished.stats.decode_s > 0
    reading = [event for event in first.events if isinstance(event, Progress)]
    assert reading
    assert [event.done for event in reading] == sorted(event.done for event in reading)
    again = ask(llama, long, max_new_tokens=4)
    assert again.finished.stats.cached_tokens > 600


@pytest.mark.parametrize("holds", CONTRACT[:-1], ids=lambda one: one.__name__)
def test_what_holds_for_every_engine(real, holds):
    holds(Subject(real, "http://127.0.0.1:9/#none"))
