"""The KV cache over turns and edits: the same text as without it, and never a wrong one."""

import random

import pytest
import torch

from tests.engine import tiny
from tests.engine.conftest import ask, chat, load
from tui.engine.base import GenerationError
from tui.engine.local import settings
from tui.engine.local.history import LastReply
from tui.engine.local.prefix_cache import common_prefix

KINDS = {
    "full attention": tiny.llama,
    "sliding window": tiny.sliding,
    "full and sliding": tiny.mixed,
    "recurrent": tiny.recurrent,
    "recurrent and forgetful": tiny.forgetful,
    "hybrid": tiny.hybrid,
}


@pytest.fixture(params=KINDS)
def engine_of_each_kind(request, engine, tmp_path):
    load(engine, KINDS[request.param](tmp_path / "model"), dtype="float32")
    return engine


def uncached(engine, messages, **parameters):
    """The reply of the same model without anything kept."""
    kept, engine._loaded.cache = (
        engine._loaded.cache,
        type(engine._loaded.cache)(engine._loaded.model),
    )
    try:
        heard = ask(engine, messages, **parameters)
        assert heard.prompt.cached_tokens == 0
        return heard
    finally:
        engine._loaded.cache = kept


def test_replies_with_and_without_the_cache_are_equal_over_turns_and_edits(engine_of_each_kind):
    engine, die = engine_of_each_kind, random.Random(5)
    contents = ["hello there"]
    for _ in range(10):
        messages = chat(*contents)
        heard = ask(engine, messages, max_new_tokens=24)
        assert heard.text == uncached(engine, messages, max_new_tokens=24).text
        match die.choice(["next", "next", "edit", "again", "shorter"]):
            case "next":
                contents += [heard.text or "?", "and then " + "more " * die.randint(0, 6)]
            case "edit":
                at = die.randrange(0, len(contents), 2)
                contents = [*contents[:at], contents[at] + " edited"]
            case "shorter" if len(contents) > 2:
                contents = contents[:-2]
        contents = contents[:9]


def test_the_next_turn_computes_only_what_is_new(engine, tmp_path):
    load(engine, tiny.llama(tmp_path / "model"), dtype="float32")
    first = ask(engine, chat("hello"), max_new_tokens=8)
    # A model without training may write nothing but control tokens, and a turn without text is left out.
    messages = chat("hello", first.text or "ok", "go on")
    second = ask(engine, messages, max_new_tokens=8)
    assert second.prompt.cached_tokens >= first.prompt.prompt_tokens
    again = ask(engine, messages, max_new_tokens=8)
    assert again.prompt.cached_tokens == again.prompt.prompt_tokens - 1
    assert again.text == second.text


def test_an_edit_far_behind_the_window_goes_on_from_what_it_shares(engine, tmp_path):
    load(engine, tiny.sliding(tmp_path / "model"), dtype="float32")
    ask(engine, chat("a" * 60, "b" * 60, "c" * 60), max_new_tokens=4)
    edited = chat("a" * 50)
    heard = ask(engine, edited, max_new_tokens=12)
    assert heard.prompt.cached_tokens >= 50
    assert heard.text == uncached(engine, edited, max_new_tokens=12).text


def test_an_edit_behind_a_window_whose_past_was_given_up_starts_over(engine, tmp_path):
    load(engine, tiny.sliding(tmp_path / "model"), dtype="float32")
    engine._loaded.cache._budget_bytes = lambda: 0
    ask(engine, chat("a" * 60, "b" * 60, "c" * 60), max_new_tokens=4)
    edited = chat("a" * 50)
    heard = ask(engine, edited, max_new_tokens=12)
    assert heard.prompt.cached_tokens == 0
    assert heard.text == uncached(engine, edited, max_new_tokens=12).text


@pytest.mark.parametrize("kind", ["recurrent", "hybrid"])
def test_a_recurrent_model_goes_on_from_the_states_that_were_kept(engine, tmp_path, kind):
    load(engine, KINDS[kind](tmp_path / "model"), dtype="float32")
    first = ask(engine, chat("hello"), max_new_tokens=8)
    again = ask(engine, chat("hello"), max_new_tokens=8)
    assert again.prompt.cached_tokens == again.prompt.prompt_tokens - 1
    assert again.text == first.text
    following = chat("hello", first.text, "go on")
    second = ask(engine, following, max_new_tokens=8)
    assert second.prompt.cached_tokens >= first.prompt.prompt_tokens - 1
    assert second.text == uncached(engine, following, max_new_tokens=8).text
    edited = chat("hello", first.text, "no, go back")
    assert (
        ask(engine, edited, max_new_tokens=8).prompt.cached_tokens >= first.prompt.prompt_tokens - 1
    )


def test_a_state_that_does_not_go_on_exactly_is_not_kept(engine, tmp_path):
    load(engine, tiny.forgetful(tmp_path / "model"), dtype="float32")
    for _ in range(2):
        assert ask(engine, chat("hello"), max_new_tokens=4).prompt.cached_tokens == 0
    assert not engine._loaded.cache.is_usable


def test_going_back_to_another_branch_or_chat_computes_nothing_twice(engine, tmp_path):
    load(engine, tiny.llama(tmp_path / "model"), dtype="float32")
    one, other = chat("a" * 40, "b" * 60, "c" * 40), chat("a" * 40, "d" * 60, "e" * 40)
    third = chat("quite another chat " * 3)
    for messages in (one, other, third):
        ask(engine, messages, max_new_tokens=4)
    for messages in (one, third, other):
        heard = ask(engine, messages, max_new_tokens=4)
        assert heard.prompt.cached_tokens == heard.prompt.prompt_tokens - 1
        assert heard.text == uncached(engine, messages, max_new_tokens=4).text


def test_what_the_cache_held_beyond_the_common_start_is_reported(engine, tmp_path):
    load(engine, tiny.llama(tmp_path / "model"), dtype="float32")
    first = ask(engine, chat("hello", "bb", "and"), max_new_tokens=4)
    stats = ask(engine, chat("hello", "xx", "and"), max_new_tokens=4).finished.stats
    assert stats.cached_tokens + stats.dropped_tokens == first.finished.stats.context_tokens - 1
    assert stats.prefill_s > 0


def test_what_stays_for_another_branch_is_not_reported_as_dropped(engine, tmp_path):
    load(engine, tiny.llama(tmp_path / "model"), dtype="float32")
    one, other = chat("a" * 40, "b" * 200), chat("a" * 40, "d" * 200)
    ask(engine, one, max_new_tokens=4)
    stats = ask(engine, other, max_new_tokens=4).finished.stats
    assert stats.cached_tokens > 40
    assert stats.dropped_tokens == 0
    again = ask(engine, one, max_new_tokens=4).prompt
    assert again.cached_tokens == again.prompt_tokens - 1


def test_a_template_that_rewrites_history_is_found_out(engine, tmp_path):
    load(engine, tiny.llama(tmp_path / "model", tiny.THINKING_TEMPLATE), dtype="float32")
    loaded = engine._loaded
    question, reply = chat("hello"), "an answer"
    prompt = loaded.prompts.build(question).ids
    thoughts = loaded.tokenizer.encode(f"thoughts\n</think>\n\n{reply}<|end|>")
    loaded.last_reply = LastReply(question, reply, (*prompt, *thoughts))
    following = chat("hello", reply, "go on")
    heard = ask(engine, following, max_new_tokens=4)
    assert heard.prompt.rewritten_tokens >= len(thoughts)
    edited = chat("hello", "another answer", "go on")
    loaded.last_reply = LastReply(question, reply, (*prompt, *thoughts))
    assert ask(engine, edited, max_new_tokens=4).prompt.rewritten_tokens == 0


def test_a_static_cache_is_not_kept(engine, tmp_path, monkeypatch):
    load(engine, tiny.llama(tmp_path / "model"), dtype="float32")
    made = settings.generation_config

    def with_static_cache(*arguments):
        config = made(*arguments)
        config.cache_implementation = "static"
        return config

    expected = ask(engine, chat("hello"), max_new_tokens=6).text
    engine._loaded.cache.drop()
    monkeypatch.setattr(settings, "generation_config", with_static_cache)
    for _ in range(2):
        heard = ask(engine, chat("hello"), max_new_tokens=6)
        assert (heard.text, heard.prompt.cached_tokens) == (expected, 0)
    assert engine._loaded.cache.entries == 0


def test_a_failure_in_the_middle_drops_the_cache_and_says_how_far_it_got(engine, tmp_path):
    load(engine, tiny.llama(tmp_path / "model"), dtype="float32")
    ask(engine, chat("hello"), max_new_tokens=4)
    assert engine._loaded.cache.tokens
    calls = []

    def fail(*_args):
        calls.append(1)
        if len(calls) == 4:
            raise RuntimeError("in the middle")

    hook = engine._loaded.model.register_forward_pre_hook(fail)
    with pytest.raises(GenerationError, match="in the middle") as raised:
        ask(engine, chat("hello"), max_new_tokens=9)
    hook.remove()
    assert raised.value.stats.new_tokens == 3
    assert not engine._loaded.cache.tokens
    assert ask(engine, chat("hello"), max_new_tokens=4).prompt.cached_tokens == 0


def test_running_out_of_memory_in_a_reply_says_what_to_do(engine, tmp_path):
    load(engine, tiny.llama(tmp_path / "model"), dtype="float32")

    def fail(*_args):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    hook = engine._loaded.model.register_forward_pre_hook(fail)
    with pytest.raises(GenerationError, match="isn't enough memory") as raised:
        ask(engine, chat("hello"))
    hook.remove()
    assert "smaller or quantized model" in raised.value.hint
    assert engine.loaded is not None


def test_kept_caches_are_given_up_before_memory_runs_out(engine, tmp_path):
    load(engine, tiny.llama(tmp_path / "model"), dtype="float32")
    expected = ask(engine, chat("hello"), max_new_tokens=6).text
    ask(engine, chat("quite another chat"), max_new_tokens=4)
    calls = []

    def fail_once(*_args):
        calls.append(1)
        if len(calls) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    hook = engine._loaded.model.register_forward_pre_hook(fail_once)
    heard = ask(engine, chat("hello"), max_new_tokens=6)
    hook.remove()
    assert heard.text == expected
    assert engine._loaded.cache.entries == 1


@pytest.mark.parametrize(
    ("one", "other", "length"),
    [([], [1], 0), ([1, 2], [1, 2, 3], 2), ([1, 2], [1, 3], 1), ([2], [1], 0)],
)
def test_common_prefix(one, other, length):
    assert common_prefix(one, other) == length


def test_no_more_is_taken_from_the_cache_than_was_asked_for(engine_of_each_kind):
    engine = engine_of_each_kind
    first = ask(engine, chat("one and two"), max_new_tokens=4)
    for limit in (0, 3):
        again = ask(engine, chat("one and two"), max_new_tokens=4, cached_at_most=limit)
        assert again.prompt.cached_tokens <= limit
        assert again.text == first.text
