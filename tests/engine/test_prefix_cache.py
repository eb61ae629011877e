"""The KV cache over turns and edits: the same text as without it, and never a wrong one."""

import random

import pytest
import torch

from tests.engine import tiny
from tests.engine.conftest import ask, chat, load
from tui.engine.base import GenerationError
from tui.engine.local.prefix_cache import common_prefix

KINDS = {"full attention": tiny.llama, "sliding window": tiny.sliding, "recurrent": tiny.recurrent}


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
    for _ in range(14):
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


def test_the_kept_cache_gives_the_logits_of_a_fresh_one(engine_of_each_kind):
    engine = engine_of_each_kind
    loaded = engine._loaded
    if not loaded.cache.is_usable:
        assert "Mamba" in type(loaded.model).__name__
        return
    first, second = (
        chat("one two three four five"),
        chat("one two three", "reply", "six seven eight"),
    )
    for messages in (first, second, chat("one"), first):
        ask(engine, messages, max_new_tokens=20)
        ids = loaded.prompts.build(second).ids
        cache, keep = loaded.cache.take(ids)
        assert keep > 0
        with torch.inference_mode():
            rest = torch.tensor([ids[keep:]])
            mask = torch.ones((1, len(ids)), dtype=torch.long)
            kept = loaded.model(input_ids=rest, past_key_values=cache, attention_mask=mask).logits[
                0, -1
            ]
            fresh = loaded.model(input_ids=torch.tensor([ids])).logits[0, -1]
        assert torch.allclose(kept, fresh, atol=1e-4)


def test_the_next_turn_computes_only_what_is_new(engine, tmp_path):
    load(engine, tiny.llama(tmp_path / "model"), dtype="float32")
    first = ask(engine, chat("hello"), max_new_tokens=8)
    messages = chat("hello", first.text, "go on")
    second = ask(engine, messages, max_new_tokens=8)
    assert second.prompt.cached_tokens >= first.prompt.prompt_tokens
    again = ask(engine, messages, max_new_tokens=8)
    assert again.prompt.cached_tokens == again.prompt.prompt_tokens - 1
    assert again.text == second.text


def test_an_edit_far_behind_the_window_starts_over_instead_of_guessing(engine, tmp_path):
    load(engine, tiny.sliding(tmp_path / "model"), dtype="float32")
    long = chat("a" * 60, "b" * 60, "c" * 60)
    ask(engine, long, max_new_tokens=4)
    ask(
        engine, chat("a" * 60, "b" * 60, "c" * 50), max_new_tokens=4
    )  # cuts, and forgets what slid out
    edited = chat("a" * 50)
    heard = ask(engine, edited, max_new_tokens=12)
    assert heard.prompt.cached_tokens == 0
    assert heard.text == uncached(engine, edited, max_new_tokens=12).text


def test_a_recurrent_model_reads_everything_again(engine, tmp_path):
    load(engine, tiny.recurrent(tmp_path / "model"), dtype="float32")
    ask(engine, chat("hello"), max_new_tokens=4)
    assert ask(engine, chat("hello"), max_new_tokens=4).prompt.cached_tokens == 0


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
    with pytest.raises(GenerationError, match="not enough memory") as raised:
        ask(engine, chat("hello"))
    hook.remove()
    assert "smaller model" in raised.value.hint
    assert engine.loaded is not None


@pytest.mark.parametrize(
    ("one", "other", "length"),
    [([], [1], 0), ([1, 2], [1, 2, 3], 2), ([1, 2], [1, 3], 1), ([2], [1], 0)],
)
def test_common_prefix(one, other, length):
    assert common_prefix(one, other) == length
