"""What is computed ahead while the user types."""

import pytest

from tests.engine import tiny
from tests.engine.conftest import ask, chat, load, never
from tui.conversation.turn import Message
from tui.engine.base import GenerateRequest
from tui.engine.local import ahead


@pytest.fixture(params=[tiny.llama, tiny.hybrid], ids=["full attention", "hybrid"])
def small(request, engine, tmp_path):
    load(engine, request.param(tmp_path / "model"), dtype="float32")
    return engine


def prepare(engine, messages, cancelled=never):
    return engine.prepare(GenerateRequest(messages), cancelled)


def test_the_next_message_finds_all_before_it_computed(small):
    history = chat("hello there", "a reply of some length")
    assert prepare(small, history)
    heard = ask(small, chat("hello there", "a reply of some length", "go on"), max_new_tokens=4)
    before = len(ahead.certain_start(small._loaded.prompts, history))
    assert heard.prompt.cached_tokens == before > 20
    assert heard.prompt.prompt_tokens - before < 10


def test_the_reply_is_the_same_as_without(small):
    messages = chat("hello there", "a reply of some length", "go on")
    expected = ask(small, messages, max_new_tokens=12).text
    small._loaded.cache.drop()
    prepare(small, messages[:2])
    assert ask(small, messages, max_new_tokens=12).text == expected


def test_a_system_prompt_is_computed_before_the_first_message(small):
    system = Message("system", "Answer in the manner of a pirate.")
    assert prepare(small, (system,))
    heard = ask(small, (system, *chat("hello")), max_new_tokens=2)
    assert heard.prompt.cached_tokens > len("Answer in the manner of a pirate.")


def test_what_is_known_already_is_not_computed_again(small):
    prepare(small, chat("hello there", "a reply of some length"))
    calls = []
    hook = small._loaded.model.register_forward_pre_hook(lambda *_args: calls.append(1))
    assert prepare(small, chat("hello there", "a reply of some length"))
    hook.remove()
    assert not calls


def test_it_ends_at_once_when_it_is_cancelled_and_goes_on_from_there(engine, tmp_path):
    load(engine, tiny.llama(tmp_path / "model"), dtype="float32")
    loaded = engine._loaded
    loaded.prefill = type(loaded.prefill)(loaded.prefill.forward, loaded.prefill.kind, 16)
    history = chat("hello " * 20, "a reply " * 10)
    looks = []

    def cancelled():
        looks.append(1)
        return len(looks) > 6

    assert not prepare(engine, history, cancelled)
    held = loaded.cache.tokens
    assert 0 < held < len(ahead.certain_start(loaded.prompts, history))
    assert held % 16 == 0
    assert prepare(engine, history)


def test_a_chat_that_takes_no_next_message_is_left_alone(engine, tmp_path):
    load(engine, tiny.llama(tmp_path / "model", tiny.NO_SYSTEM_TEMPLATE), dtype="float32")
    assert prepare(engine, ())
    assert engine._loaded.cache.tokens == 0


def test_without_a_model_there_is_nothing_to_do(engine):
    assert prepare(engine, chat("hello"))
