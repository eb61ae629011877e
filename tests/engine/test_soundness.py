"""A reply of numbers that are none ends at once with what to try, and leaves nothing behind that spoils others."""

from __future__ import annotations

import math

import pytest
import torch

from tests.engine import rigged, tiny
from tests.engine.conftest import Heard, ask, chat, load, never
from tui.conversation.turn import ReplyStats
from tui.engine.base import (
    GenerateRequest,
    GenerationError,
    ModelInfo,
    Speculation,
)
from tui.engine.local import soundness
from tui.engine.local.soundness import NotFiniteError, Soundness


def spoiled(folder, name, row=None, value=math.nan):
    """A checkpoint with one of its weights, or one row of it, replaced by what is no number."""
    from safetensors.torch import load_file, save_file

    path = folder / "model.safetensors"
    weights = load_file(path)
    [key] = [one for one in weights if one.endswith(name)]
    weights[key][... if row is None else row] = value
    save_file(weights, path, metadata={"format": "pt"})
    return folder


def id_of(text):
    return tiny.tokenizer().convert_tokens_to_ids(text)


def spoil_token(model, text="z"):
    """Make a token's embedding no number in a loaded model, but not how likely it is."""
    head = model.get_output_embeddings()
    head.weight = torch.nn.Parameter(head.weight.detach().clone(), requires_grad=False)
    model.get_input_embeddings().weight.data[id_of(text)] = math.nan


def failed(engine, messages, **parameters):
    heard = Heard()
    request = GenerateRequest(messages, {"temperature": 0.0, "max_new_tokens": 8, **parameters})
    with pytest.raises(GenerationError) as caught:
        engine.generate(request, heard.events.append, never)
    return heard, caught.value


FAMILIES = {
    "full": (tiny.llama, "model.norm.weight"),
    "sliding": (tiny.sliding, "model.norm.weight"),
    "recurrent": (tiny.recurrent, "norm_f.weight"),
    "without a cache": (tiny.forgetful, "norm_f.weight"),
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_model_of_no_numbers_says_nothing_but_what_to_try(engine, tmp_path, family, value):
    make, weight = FAMILIES[family]
    load(engine, spoiled(make(tmp_path / "m"), weight, value=value), dtype="float32", kernels=False)
    for temperature in (0.0, 0.8):
        heard, error = failed(engine, chat("hello"), temperature=temperature)
        assert (heard.text, heard.reasoning) == ("", "")
        assert "float32" in error.message
        assert "weights may be damaged" in error.hint
    assert engine._loaded.cache.entries == 0


@pytest.mark.parametrize(
    "make", [tiny.llama, tiny.mixed, tiny.hybrid], ids=["full", "mixed", "hybrid"]
)
def test_other_chats_are_what_they_were(engine, tmp_path, make):
    load(engine, make(tmp_path / "m"), dtype="float32", kernels=False)
    spoil_token(engine._loaded.model)
    good = chat("hello there, this is a start of some length")
    bad = chat("hello there, this is a start of some length and a z in it")
    expected = ask(engine, good, max_new_tokens=8).text
    failed(engine, bad)
    failed(engine, bad)
    assert engine.prepare(GenerateRequest((*bad, *chat("", "a reply that is kept")[1:])), never)
    heard = ask(engine, good, max_new_tokens=8)
    assert heard.text == expected
    again = ask(engine, chat(good[0].content, expected, "go on"), max_new_tokens=4)
    assert again.finished.stats.new_tokens == 4


def test_what_was_said_before_the_numbers_ended_stays(engine, tmp_path):
    said = ("It is ", "blue.", "never")
    made = rigged.tokenizer(pieces=said)
    folder = rigged.saying(tmp_path / "m", made, said)
    spoiled(folder, "embed_tokens.weight", made.convert_tokens_to_ids("blue."))
    load(engine, folder, dtype="float32", kernels=False)
    for _ in range(2):
        heard, error = failed(engine, chat("Which color?"))
        assert heard.text == "It is blue."
        assert error.stats.new_tokens == 2
    assert engine._loaded.cache.entries == 0
    assert engine._loaded.last_reply.ids == ()


def test_a_prompt_of_no_numbers_is_not_prepared(engine, tmp_path):
    load(engine, tiny.llama(tmp_path / "m"), dtype="float32", kernels=False)
    spoil_token(engine._loaded.model)
    assert engine.prepare(GenerateRequest(chat("a z in it", "a reply of some length")), never)
    assert engine._loaded.cache.entries == 0


def test_numbers_that_the_user_wants_replaced_are_not_kept(engine, tmp_path):
    load(engine, tiny.llama(tmp_path / "m"), dtype="float32", kernels=False)
    spoil_token(engine._loaded.model)
    heard = ask(engine, chat("a z in it"), max_new_tokens=4, remove_invalid_values=True)
    assert heard.finished.stats.new_tokens >= 1
    assert engine._loaded.cache.entries == 0
    ask(engine, chat("all is well"), max_new_tokens=4, remove_invalid_values=True)
    assert engine._loaded.cache.entries == 1


@pytest.mark.parametrize("speculation", [Speculation.LOOKUP, Speculation.EARLY_EXIT])
def test_drafts_don_t_hide_it(engine, tmp_path, speculation):
    folder = tiny.llama(tmp_path / "m", sizes={"num_hidden_layers": 3}.items())
    load(engine, folder, dtype="float32", kernels=False)
    spoil_token(engine._loaded.model)
    request = GenerateRequest(
        chat("one two one two z one two"),
        {"temperature": 0.0, "max_new_tokens": 8},
        speculation=speculation,
    )
    with pytest.raises(GenerationError, match="NaN"):
        engine.generate(request, lambda _event: None, never)
    drafter = engine._loaded.speculation.early_exit
    assert drafter._held == []
    assert ask(engine, chat("hello"), max_new_tokens=4).finished.stats.new_tokens == 4


def test_an_assistant_of_no_numbers_drafts_nothing_and_spoils_nothing(engine, tmp_path):
    folder = tiny.llama(tmp_path / "m")
    load(engine, folder, dtype="float32", kernels=False)
    expected = [ask(engine, chat(text), max_new_tokens=12).text for text in ("a z", "hello")]
    load(engine, folder, dtype="float32", kernels=False, assistant=str(folder))
    spoil_token(engine._loaded.assistant.model)
    heard = [ask(engine, chat(text), max_new_tokens=12) for text in ("a z", "hello")]
    assert [one.text for one in heard] == expected
    assert heard[0].finished.stats.drafted_tokens == 0
    assert heard[1].finished.stats.accepted_tokens > 0


@pytest.mark.parametrize(
    ("info", "hint"),
    [
        ({"dtype": "float16"}, "Load it again with the data type bfloat16 or float32."),
        ({"dtype": "bfloat16"}, "Load it again with the data type float32."),
        (
            {"dtype": "bfloat16", "quantization": "int4"},
            "Load it again without a quantization or with the data type float32.",
        ),
        (
            {"dtype": "float16", "quantization": "gptq", "quantization_locked": "it is"},
            "Load it again with the data type bfloat16 or float32.",
        ),
        ({"dtype": "float32", "quantization": "int8"}, "Load it again without a quantization."),
    ],
)
def test_what_to_try_depends_on_what_is_in_force(info, hint):
    made = soundness.generation_error(ModelInfo("m", "m", **info), ReplyStats())
    assert made.hint == hint
    assert info["dtype"] in made.message


BROKEN = [
    [0.0, math.nan, 1.0],
    [math.nan] * 3,
    [0.0, math.inf, 1.0],
    [-math.inf] * 3,
]


@pytest.mark.parametrize("row", BROKEN)
@pytest.mark.parametrize("choose", [soundness.likeliest, soundness.drawn])
def test_no_token_is_chosen_of_what_is_no_number(row, choose):
    with pytest.raises(NotFiniteError):
        choose(torch.tensor([row]))
    with pytest.raises(NotFiniteError):
        Soundness().check(torch.tensor([row]))
    watch = Soundness(allows_others=True)
    watch.check(torch.tensor([row]))
    assert not watch.is_sound


def test_tokens_that_were_ruled_out_are_no_fault():
    scores = torch.tensor([[-math.inf, 2.0, -math.inf, 1.0]])
    Soundness().check(scores)
    assert soundness.likeliest(scores) == 1
    assert {soundness.drawn(scores) for _ in range(50)} == {1, 3}


def test_tokens_are_drawn_as_torch_draws_them():
    scores = torch.randn(1, 500)
    torch.manual_seed(5)
    expected = [int(torch.multinomial(scores.softmax(-1), 1)) for _ in range(20)]
    torch.manual_seed(5)
    assert [soundness.drawn(scores) for _ in range(20)] == expected


def good(tmp_path):
    said = ("It is ", "blue.")
    made = rigged.tokenizer(pieces=said)
    return rigged.saying(tmp_path / "m", made, said), len(made)


BANS = {
    "suppress_tokens": lambda tokens: list(range(tokens)),
    "sequence_bias": lambda tokens: [[[token], -math.inf] for token in range(tokens)],
}
TOO_HEAVY = {"sequence_bias": lambda _tokens: [[[5], math.inf]]}


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        *((BANS, options) for options in ({}, {"temperature": 0.8}, {"num_beams": 2})),
        *((TOO_HEAVY, options) for options in ({}, {"temperature": 0.8})),
    ],
)
def test_settings_that_leave_no_token_are_named_and_not_the_model(
    engine, tmp_path, settings, options
):
    folder, tokens = good(tmp_path)
    load(engine, folder, dtype="float32", kernels=False)
    for name, value in settings.items():
        _, error = failed(engine, chat("Which color?"), **{name: value(tokens)}, **options)
        assert error.message.startswith("The settings exclude every possible next token")
        assert "damaged" not in error.hint
    assert ask(engine, chat("Which color?"), max_new_tokens=4).text == "It is blue."


@pytest.mark.parametrize(
    ("name", "value", "label"),
    [
        ("bad_words_ids", [[5], [7, 99_999]], "Banned sequences"),
        ("sequence_bias", [[[99_999], 1.0]], "Sequence bias"),
        ("forced_eos_token_id", [99_999], "Forced last tokens"),
    ],
)
def test_a_token_that_the_model_does_not_have_is_named(engine, tmp_path, name, value, label):
    folder, tokens = good(tmp_path)
    load(engine, folder, dtype="float32", kernels=False)
    _, error = failed(engine, chat("Which color?"), **{name: value})
    assert error.message == (
        f"“{label}” contains token 99999, but the model's tokens are 0 to {tokens - 1}."
    )
