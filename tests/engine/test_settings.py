"""Every generation parameter reaches `generate`, and holds there."""

from __future__ import annotations

import pytest

from tests.compiled_kernels import lay_kernels
from tests.engine import tiny
from tests.engine.conftest import ask, chat, load
from tui.engine.base import StopReason
from tui.engine.local.engine import LocalEngine
from tui.parameters import PARAMETERS

SAMPLES = {
    "temperature": 0.5, "top_p": 0.5, "top_k": 7, "min_p": 0.1, "do_sample": True, "seed": 3, "typical_p": 0.9, "top_h": 0.5,
    "epsilon_cutoff": 0.0003, "eta_cutoff": 0.0003, "guidance_scale": 1.5, "renormalize_logits": True,
    "remove_invalid_values": True, "max_new_tokens": 6, "min_new_tokens": 3, "max_length": 400, "min_length": 2, "max_time": 60.0,
    "stop_strings": ["zzz"], "eos_token_id": [5], "forced_eos_token_id": [5],
    "exponential_decay_length_penalty": [2, 1.1], "repetition_penalty": 1.2, "no_repeat_ngram_size": 2,
    "encoder_repetition_penalty": 1.1, "encoder_no_repeat_ngram_size": 3, "suppress_tokens": [7], "begin_suppress_tokens": [8],
    "bad_words_ids": [[9, 10]], "sequence_bias": [[[5, 6], -2.0]], "bos_token_id": 1, "pad_token_id": 0,
    "prompt_lookup_num_tokens": 3, "max_matching_ngram_size": 2, "num_assistant_tokens": 2,
    "num_assistant_tokens_schedule": "constant", "assistant_confidence_threshold": 0.4,
}  # fmt: skip

DONE_HERE = (
    "seed", "stop_strings", "max_length", "prompt_lookup_num_tokens", "max_matching_ngram_size",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.llama(tmp_path_factory.mktemp("models") / "llama")


@pytest.fixture(scope="module")
def shared(folder, tmp_path_factory, kernels):
    """A model for tests that change nothing in it."""
    cache = tmp_path_factory.mktemp("shared") / "cache"
    lay_kernels(cache)
    made = LocalEngine(cache)
    load(made, folder)
    yield made
    made.unload()


@pytest.fixture
def model(engine, folder):
    load(engine, folder)
    return engine


def test_the_samples_cover_the_table():
    assert SAMPLES.keys() == PARAMETERS.keys()


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_reply_can_be_made_with_each_parameter(shared, one_thread, name):
    value = PARAMETERS[name].check(SAMPLES[name])
    heard = ask(shared, chat("hello"), **{"temperature": 0.7, "max_new_tokens": 4, name: value})
    assert heard.prompt.parameters[name] == value
    assert heard.finished.stats.new_tokens > 0


def config(model, **values):
    from tui.engine.local import settings

    return settings.generation_config(
        model._loaded, {**dict.fromkeys(PARAMETERS), "temperature": 0.7, **values}
    )


@pytest.mark.parametrize(
    "name",
    [one for one in PARAMETERS if one not in DONE_HERE],
)
def test_generate_is_given_each_parameter(shared, name):
    assert getattr(config(shared, **{name: SAMPLES[name]}), name) == SAMPLES[name]


def test_do_sample_false_goes_before_the_temperature(model):
    assert config(model, do_sample=False).do_sample is False
    assert config(model, temperature=0.0, do_sample=True).do_sample is False


def test_a_temperature_of_the_users_samples_also_where_the_models_own_config_does_not(
    engine, tmp_path
):
    load(engine, tiny.llama(tmp_path / "m", do_sample=False))
    assert config(engine, temperature=0.0, do_sample=False).do_sample is False
    assert config(engine, temperature=0.7, do_sample=False).do_sample is True


def only_a(model):
    """What makes the model say nothing but the letter a."""
    [token] = model._loaded.tokenizer.encode("a", add_special_tokens=False)
    return token, {"sequence_bias": [[[token], 1000.0]]}


def test_an_answer_ends_before_a_stop_text(model):
    _, bias = only_a(model)
    assert ask(model, chat("hello"), max_new_tokens=20, **bias).text == "a" * 20
    heard = ask(model, chat("hello"), max_new_tokens=20, stop_strings=["b", "aaa"], **bias)
    assert (heard.text, heard.finished.reason) == ("", StopReason.END)
    assert heard.finished.stats.new_tokens <= 4


def test_an_end_token_of_the_users_ends_a_reply(model):
    token, bias = only_a(model)
    heard = ask(model, chat("hello"), max_new_tokens=8, eos_token_id=[token], **bias)
    assert (heard.text, heard.finished.reason) == ("", StopReason.END)


def test_max_length_counts_the_prompt(model):
    heard = ask(model, chat("hello"), max_new_tokens=400, max_length=30)
    assert heard.finished.stats.prompt_tokens + heard.finished.stats.new_tokens <= 30
    assert heard.finished.reason is StopReason.LENGTH
