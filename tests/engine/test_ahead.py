"""What is computed ahead while the user types."""

from dataclasses import replace

import pytest

from tests.engine import stock, tiny
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
    loaded.prefill = replace(loaded.prefill, chunk_tokens=16)
    history = chat("hello " * 20, "a reply " * 10)
    passes = []
    hook = loaded.model.register_forward_pre_hook(lambda *_: passes.append(1))
    assert not prepare(engine, history, lambda: len(passes) > 4)
    hook.remove()
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


@pytest.mark.parametrize("letters", [60, 130])
def test_what_a_longer_text_has_other_frequencies_for_is_not_computed(engine, tmp_path, letters):
    load(engine, tiny.dynamic_rope(tmp_path / "model"), dtype="float32")
    history = chat("x" * letters, "y")
    assert prepare(engine, history)
    assert engine._loaded.cache.tokens == 0


def test_what_was_broken_off_is_of_no_use_for_a_text_with_other_frequencies(
    engine, tmp_path, monkeypatch
):
    folder = tiny.longrope_kept(tmp_path / "model")
    load(engine, folder, dtype="float32")
    loaded = engine._loaded
    loaded.prefill = replace(loaded.prefill, chunk_tokens=16)
    passes = []
    hook = loaded.model.register_forward_pre_hook(lambda *_: passes.append(1))
    assert not prepare(engine, chat("x" * 130, "y"), lambda: len(passes) > 1)
    hook.remove()
    assert 0 < loaded.cache.tokens < 64
    said = stock.record(monkeypatch)
    heard = ask(engine, chat("x" * 30), max_new_tokens=8)
    assert heard.prompt.cached_tokens == 0
    assert said[-1] == stock.replied(engine, folder, chat("x" * 30), 8)
