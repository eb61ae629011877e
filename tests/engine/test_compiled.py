"""Decoding with a compiled pass over a cache of fixed size gives what decoding without gives, and leaves the same cache behind."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModelForCausalLM, CompileConfig
from transformers.utils import import_utils

from tests.engine import tiny
from tests.engine.conftest import ask, chat, load
from tui.engine.base import LoadRequest
from tui.engine.local import cache_layers, compiled, manifest, placement
from tui.engine.local.cache_layers import CacheKind
from tui.engine.local.compiled import Compiled
from tui.engine.local.prefill import Forward

IDS = torch.randint(3, 200, (1, 120), generator=torch.Generator().manual_seed(5))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tiny.llama(tmp_path_factory.mktemp("compiled") / "model")
    made = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    made.uncompiled = made.get_compiled_call
    return made


@pytest.fixture
def forward(model):
    return Forward(model, "past_key_values")


def cache_of(forward, tokens):
    cache = cache_layers.fresh(forward.model.config)
    forward(IDS[:, :tokens], cache, 0)
    return cache


def same(found, expected):
    assert (found.log_softmax(-1) - expected.log_softmax(-1)).abs().max() <= 1e-4


def test_each_token_has_the_logits_that_it_has_without(forward, monkeypatch):
    monkeypatch.setattr(compiled, "_LEAST_TOKENS", 64)
    made = Compiled(forward, 0, CompileConfig(backend="eager", dynamic=False))
    with torch.inference_mode():
        plain, cache = cache_of(forward, 20), cache_of(forward, 20)
        with made.over(cache, 20, 30) as decode:
            for past in range(20, 45):
                found = decode(IDS[:, past : past + 1], cache, past)
                same(found, forward(IDS[:, past : past + 1], plain, past))
        assert cache_layers.length(cache) == 45
        for one, other in zip(cache.layers, plain.layers, strict=True):
            assert torch.allclose(one.keys, other.keys, atol=1e-5)
            assert torch.allclose(one.values, other.values, atol=1e-5)
        # It can be cut and gone on from, as any kept cache.
        assert cache_layers.cut_to(cache, 30)
        assert cache_layers.cut_to(plain, 30)
        same(forward(IDS[:, 30:40], cache, 30), forward(IDS[:, 30:40], plain, 30))


STEPS = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 3)), min_size=1, max_size=25)
"""How many tokens go in at once, and how many of them are taken back."""


@settings(max_examples=25, deadline=None)
@given(steps=STEPS, held=st.integers(1, 40))
def test_drafts_that_are_taken_back_and_replies_that_outgrow_the_cache_change_nothing(
    model, steps, held
):
    forward = Forward(model, "past_key_values")
    made = Compiled(forward, 0)
    # Compiling is another's business here.
    model.get_compiled_call = lambda _options: model.__call__
    before, compiled._LEAST_TOKENS = compiled._LEAST_TOKENS, 16
    try:
        with torch.inference_mode():
            plain, cache = cache_of(forward, held), cache_of(forward, held)
            past = held
            with made.over(cache, held, 8) as decode:
                for count, back in steps:
                    ids = IDS[:, past : past + count]
                    found = decode(ids, cache, past, logits=count)
                    same(found, forward(ids, plain, past, logits=count))
                    past += count - min(back, count - 1)
                    assert cache_layers.cut_to(plain, past)
                    # As the decoder does, which knows nothing of a fixed cache.
                    cache_layers.cut_to(cache, past)
            assert cache_layers.cut_to(cache, past)
            same(
                forward(IDS[:, past : past + 1], cache, past),
                forward(IDS[:, past : past + 1], plain, past),
            )
    finally:
        compiled._LEAST_TOKENS = before
        model.get_compiled_call = model.uncompiled


def test_a_cache_is_as_large_as_it_must_be_and_compiled_for_once(forward, model, monkeypatch):
    monkeypatch.setattr(compiled, "_LEAST_TOKENS", 16)
    monkeypatch.setattr(model, "get_compiled_call", lambda _options: model.__call__)
    told = []
    made = Compiled(forward, 100)
    with torch.inference_mode():
        for held, new in ((4, 8), (5, 8), (20, 12), (20, 30), (60, 10), (60, 10)):
            cache = cache_of(forward, held)
            with made.over(cache, held, new, told.append) as decode:
                decode(IDS[:, held : held + 1], cache, held)
            assert made.bytes > 0
    assert told == [16, 32, 64, 100]
    assert made.size == 100


def test_a_chat_that_leaves_no_room_is_decoded_without(forward, monkeypatch):
    monkeypatch.setattr(compiled, "_LEAST_TOKENS", 16)
    made = Compiled(forward, 50)
    with torch.inference_mode():
        cache = cache_of(forward, 45)
        with made.over(cache, 45, 10) as decode:
            assert decode is forward
        assert made.cache is None


def test_an_error_in_a_reply_leaves_the_cache_to_the_one_who_drops_it(forward, model, monkeypatch):
    monkeypatch.setattr(model, "get_compiled_call", lambda _options: model.__call__)
    made = Compiled(forward, 0)
    with torch.inference_mode():
        cache = cache_of(forward, 10)

        def reply():
            with made.over(cache, 10, 5) as decode:
                decode(IDS[:, 10:11], cache, 10)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            reply()
        assert cache_layers.length(cache) == 10


@pytest.mark.parametrize(
    ("make", "reason"),
    [(tiny.sliding, "doesn't have a fixed size"), (tiny.mixed, "doesn't have a fixed size")],
)
def test_models_with_other_caches_are_not_compiled(tmp_path, make, reason):
    made = AutoModelForCausalLM.from_pretrained(make(tmp_path / "model"))
    assert reason in compiled.why_not(made, CacheKind.CUTTABLE)


def test_models_are_compiled_only_where_that_can_be_done(model, monkeypatch):
    assert compiled.why_not(model, CacheKind.CUTTABLE) == ""
    assert "doesn't have a fixed size" in compiled.why_not(model, CacheKind.WHOLE)
    with monkeypatch.context() as other:
        other.setattr(model.config, "_attn_implementation", "flash_attention_2")
        assert "flash_attention_2" in compiled.why_not(model, CacheKind.CUTTABLE)
    monkeypatch.setattr(model, "hf_device_map", {"a": "cuda:0", "b": "cpu"}, raising=False)
    assert "several devices" in compiled.why_not(model, CacheKind.CUTTABLE)
    monkeypatch.setattr(model, "hf_device_map", {"": "cuda:0"}, raising=False)
    for can in (False, True):
        quantizer = SimpleNamespace(is_compileable=can)
        monkeypatch.setattr(model, "hf_quantizer", quantizer, raising=False)
        assert bool(compiled.why_not(model, CacheKind.CUTTABLE)) is not can
    monkeypatch.setattr(type(model), "_can_compile_fullgraph", False)
    assert "doesn't support compilation" in compiled.why_not(model, CacheKind.CUTTABLE)


def test_on_a_gpu_the_steps_of_a_pass_are_recorded(forward):
    """As transformers has it for its own static cache."""
    options = Compiled(forward, 0).options
    assert (options.backend, options.mode, options.dynamic) == (
        "inductor",
        "reduce-overhead",
        False,
    )


def test_a_compiled_model_says_the_same_and_goes_on_from_its_cache(engine, tmp_path, monkeypatch):
    # One for each run: what is set once holds for the process.
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    # Compiling takes as long as there are layers.
    folder = tiny.llama(tmp_path / "model", sizes=(("num_hidden_layers", 1),))
    load(engine, folder, dtype="float32", kernels=False)
    first = ask(engine, chat("hello"), max_new_tokens=12)
    later = chat("hello", first.text, "again")
    second = ask(engine, later, max_new_tokens=12)
    info = load(engine, folder, dtype="float32", compile=True)
    assert "The decoding pass is compiled." in info.notes
    assert ask(engine, chat("hello"), max_new_tokens=12).text == first.text
    heard = ask(engine, later, max_new_tokens=12)
    assert heard.text == second.text
    assert heard.prompt.cached_tokens == second.prompt.cached_tokens > 0
    made = engine._loaded.compiled
    assert made.bytes > 0
    assert engine.memory().cache == engine._loaded.cache.bytes + made.bytes
    kept = tmp_path / "cache" / "compiled"
    assert manifest.is_whole(kept)
    assert any(path.suffix == ".so" for path in kept.rglob("*"))


def test_what_cannot_be_compiled_replies_as_it_is(engine, tmp_path, monkeypatch):
    def fails(*_args):
        raise RuntimeError("no compiler\nand much more")

    folder = tiny.llama(tmp_path / "model")
    monkeypatch.setattr(Compiled, "warm_up", fails)
    info = load(engine, folder, dtype="float32", compile=True)
    assert "Not compiled: no compiler." in info.notes
    assert engine._loaded.compiled is None
    assert ask(engine, chat("hello"), max_new_tokens=4).finished.stats.new_tokens == 4
    sizes = (("hidden_size", 64), ("intermediate_size", 128))
    folder = tiny.llama(tmp_path / "other", sizes=sizes)
    info = load(engine, folder, dtype="bfloat16", quantization="int8", compile=True)
    assert "Not compiled: its matrix products are already compiled." in info.notes


def test_what_was_compiled_goes_with_the_model(engine, tmp_path, monkeypatch):
    forgotten = []
    monkeypatch.setattr(Compiled, "warm_up", lambda *_args: None)
    monkeypatch.setattr(compiled, "forget", lambda: forgotten.append(True))
    load(engine, tiny.llama(tmp_path / "model"), dtype="float32", compile=True)
    assert engine._loaded.compiled is not None
    assert not forgotten
    engine.unload()
    assert forgotten


@pytest.mark.parametrize(
    ("device", "capability", "dtype", "installed", "wanted", "expected"),
    [
        ("cuda:0", (8, 0), torch.bfloat16, True, {}, "flash_attention_2"),
        ("cuda:0", (9, 0), torch.float16, True, {}, "flash_attention_2"),
        ("cuda:0", (7, 5), torch.float16, True, {}, ""),
        ("cuda:0", (8, 0), torch.float32, True, {}, ""),
        ("cuda:0", (8, 0), torch.bfloat16, False, {}, ""),
        ("cuda:0", (8, 0), torch.bfloat16, True, {"attention": "sdpa"}, "sdpa"),
        ("cuda:0", (8, 0), torch.bfloat16, True, {"compile": True}, ""),
        ("cpu", (0, 0), torch.bfloat16, True, {}, ""),
        ("mps", (0, 0), torch.float16, True, {}, ""),
    ],
)
def test_flash_attention_is_taken_where_it_is_installed_and_can_be(
    tmp_path, monkeypatch, device, capability, dtype, installed, wanted, expected
):
    monkeypatch.setattr(import_utils, "is_flash_attn_2_available", lambda: installed)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: capability)
    config = AutoConfig.from_pretrained(tiny.llama(tmp_path / "model"))
    request = LoadRequest("model", **wanted)
    assert placement.choose_attention(request, device, dtype, config) == expected


def test_a_size_for_which_there_is_no_room_or_code_is_decoded_without(
    forward, model, monkeypatch, caplog
):
    def fails(*_args, **_kwargs):
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(model, "get_compiled_call", lambda _options: fails)
    made = Compiled(forward, 0)
    with torch.inference_mode():
        for _ in range(2):
            cache, plain = cache_of(forward, 10), cache_of(forward, 10)
            with made.over(cache, 10, 5) as decode:
                assert decode is forward
                same(decode(IDS[:, 10:11], cache, 10), forward(IDS[:, 10:11], plain, 10))
    assert made.bytes == 0
    assert caplog.text.count("nothing was compiled for") == 1
