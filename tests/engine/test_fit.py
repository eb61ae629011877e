"""What a model would need, told from its files' headers, against what loading it then takes."""

import json
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine import tiny
from tests.engine.conftest import ask, chat, load
from tests.engine.test_gguf import write_gguf
from tui.engine import catalog, demo, instructions, safetensors_header
from tui.engine.base import ModelLoadError
from tui.engine.facts import ModelFacts, facts_of, folder_facts, gguf_facts
from tui.engine.fit import Grade, Need, cache_bytes, grade, need, weights_bytes
from tui.engine.local import placement
from tui.engine.quantization import QUANTIZATIONS, availability

SIZES = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 3}


def llama(folder):
    return tiny.llama(folder, sizes=SIZES)


def qwen2(folder):
    from transformers import Qwen2Config

    return tiny.checkpoint(folder, Qwen2Config(**tiny._sizes(**SIZES, tie_word_embeddings=False)))


def gemma3(folder):
    from transformers import Gemma3TextConfig

    sizes = tiny._sizes(**SIZES, sliding_window=16, head_dim=32)
    kinds = ["sliding_attention", "full_attention", "sliding_attention"]
    return tiny.checkpoint(folder, Gemma3TextConfig(**sizes, layer_types=kinds))


@pytest.mark.parametrize("quantization", ["none", "8bit", "4bit", "torchao-int8", "torchao-int4"])
@pytest.mark.parametrize("make", [llama, qwen2, gemma3])
def test_the_estimate_is_what_loading_takes(engine, tmp_path, make, quantization):
    folder = make(tmp_path / "model")
    facts = folder_facts(folder)
    info = load(engine, folder, quantization=quantization, dtype="bfloat16")
    estimate = weights_bytes(facts, quantization, dtype="bfloat16", device=info.device)
    assert estimate == pytest.approx(info.weights_bytes, rel=0.1)
    assert facts.parameters == info.parameters > 0


def falcon(folder):
    from transformers import FalconConfig

    return tiny.checkpoint(folder, FalconConfig(**tiny._sizes(**SIZES)))


@pytest.mark.parametrize("quantization", ["8bit", "4bit", "int8", "torchao-int8"])
@pytest.mark.parametrize("make", [falcon, tiny.transposed])
def test_the_estimate_knows_layers_of_a_class_of_their_own(engine, tmp_path, make, quantization):
    folder = make(tmp_path / "model")
    info = load(engine, folder, quantization=quantization, dtype="bfloat16")
    estimate = weights_bytes(
        folder_facts(folder), quantization, dtype="bfloat16", device=info.device
    )
    assert estimate == pytest.approx(info.weights_bytes, rel=0.1)


@pytest.mark.parametrize(("make", "measured"), [(llama, 1_509_184), (qwen2, 1_543_616)])
def test_what_a_gpu_fills_up_with_zeros_is_a_part_of_the_estimate(tmp_path, make, measured):
    facts = folder_facts(make(tmp_path / "model"))
    estimate = weights_bytes(facts, "torchao-int4", dtype="bfloat16", device="cuda:0")
    assert estimate == pytest.approx(measured, rel=0.01)
    other = weights_bytes(facts, "torchao-int4", dtype="bfloat16", device="cpu")
    assert other == weights_bytes(facts, "torchao-int4", dtype="bfloat16") < estimate / 5


@pytest.mark.parametrize("quantization", ["none", "8bit", "int8"])
@pytest.mark.parametrize("make", [llama, qwen2])
def test_the_estimate_of_pickled_weights_is_near_what_loading_takes(
    engine, tmp_path, make, quantization
):
    import torch
    from safetensors.torch import load_file

    folder = make(tmp_path / "model")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    (folder / "training_args.bin").write_bytes(bytes(10**6))
    info = load(engine, folder, quantization=quantization, dtype="bfloat16")
    estimate = weights_bytes(folder_facts(folder), quantization, dtype="bfloat16")
    assert estimate == pytest.approx(info.weights_bytes, rel=0.1)


def test_weights_that_are_there_twice_count_once(tmp_path):
    folder = llama(tmp_path / "model")
    before = folder_facts(folder)
    shutil.copy(folder / "model.safetensors", folder / "consolidated.safetensors")
    assert folder_facts(folder) == before


@pytest.mark.parametrize("stored", ["float16", "float32", "bfloat16", None])
@pytest.mark.parametrize("half", ["", "bfloat16"])
def test_the_estimate_goes_by_the_dtype_that_loading_chooses(
    engine, tmp_path, monkeypatch, stored, half
):
    import torch
    from transformers import AutoModelForCausalLM

    folder = llama(tmp_path / "model")
    kind = getattr(torch, stored or "float32")
    AutoModelForCausalLM.from_pretrained(folder, dtype=kind).save_pretrained(folder)
    if stored is None:
        config = json.loads((folder / "config.json").read_text())
        config.pop("dtype", None)
        (folder / "config.json").write_text(json.dumps(config))
    monkeypatch.setattr(placement, "half_dtype", lambda _device: half)
    info = load(engine, folder)
    estimate = need(folder_facts(folder), half_dtype=half, context_tokens=100)
    assert estimate.weights_bytes == pytest.approx(info.weights_bytes, rel=0.1)
    ask(engine, chat("word " * 20), max_new_tokens=4)
    layer = engine._loaded.cache._entries[0].cache.layers[0]
    size = layer.keys.element_size()
    assert estimate.cache_bytes == cache_bytes(folder_facts(folder), 100) * size // 2
    assert any("converted to float32" in one for one in info.notes) == (
        (stored, half) == ("float16", "")
    )
    _, reading = engine.target_memory()
    assert reading.half_dtype == half


@pytest.mark.parametrize("make", [llama, qwen2, gemma3])
def test_the_estimate_of_the_cache_is_what_a_chat_takes(engine, tmp_path, make):
    folder = make(tmp_path / "model")
    load(engine, folder, dtype="bfloat16")
    heard = ask(engine, chat("word " * 70), max_new_tokens=30)
    cache, facts = engine._loaded.cache, folder_facts(folder)
    tokens = heard.finished.stats.context_tokens
    # Room is made for up to 256 tokens more at a time.
    assert cache_bytes(facts, tokens - 1) <= cache.bytes <= cache_bytes(facts, tokens + 256) * 1.01
    assert engine.memory().cache == cache.bytes
    assert engine.memory().weights == engine.loaded.weights_bytes


@pytest.mark.model
@pytest.mark.parametrize(
    "quantization", ["none", "8bit", "4bit", "4bit-fp4", "torchao-int8", "torchao-int4"]
)
def test_the_demo_model_answers_in_every_quantization_and_takes_what_was_said(
    quantized_demo, quantization
):
    source = catalog.resolve("demo")
    facts = catalog.facts(source)
    info = load(quantized_demo, "demo", quantization=quantization)
    estimate = need(facts, quantization)
    assert estimate.weights_bytes == pytest.approx(info.weights_bytes, rel=0.1)
    said = ask(quantized_demo, chat("What is the capital of Japan?"), max_new_tokens=12)
    assert "Tokyo" in said.text
    tokens = said.finished.stats.context_tokens
    assert tokens < 256
    assert cache_bytes(facts, 256) == pytest.approx(quantized_demo._loaded.cache.bytes, rel=0.1)


@pytest.fixture(scope="module")
def quantized_demo(demo):
    """The engine with the demo model, which has it as it was in the end."""
    yield demo
    load(demo, "demo")


def test_a_gguf_file_and_its_conversion_say_the_same():
    path = demo.demo_model()
    if path is None:
        pytest.skip("the demo model is not installed")
    facts = gguf_facts(path)
    assert (facts.layers, facts.kv_heads, facts.head_dim) == (30, 3, 64)
    assert facts.parameters == 134_515_008
    assert (facts.context_tokens, facts.has_template) == (8192, True)
    assert facts.dtype == "GGUF Q4_1"


WIDE = (64, 64)
PLAIN = {"layers.0.mlp.up_proj.weight": ("BF16", WIDE), "embed_tokens.weight": ("BF16", (99, 64))}

MORE = {"layers.0.mlp.down_proj.weight": ("BF16", (512, 64))}


@pytest.mark.parametrize(
    "name",
    [
        # Tables and factors, which are called by names of their own.
        "layers.0.attn_hc.fn", "layers.0.attn.compressor.ape", "layers.0.hc_attn_fn", "layers.0.indexer.index_kpool_compress_gate",
        # What chooses among experts.
        "layers.0.mlp.gate.weight", "layers.0.ffn.gate.weight", "layers.0.block_sparse_moe.gate.weight", "layers.0.gate.weight",
        # Several layers in one.
        "layers.0.attn.wo_a.weight", "layers.0.self_attn.o_a_proj.weight",
        "output.weight",
    ],
)  # fmt: skip
@pytest.mark.parametrize("quantization", [name for name in QUANTIZATIONS if name != "none"])
def test_a_matrix_that_is_no_linear_layer_stays_whole(name, quantization):
    without = facts_of({}, PLAIN)
    facts = facts_of({}, {**PLAIN, name: ("BF16", WIDE)})
    more = weights_bytes(facts, quantization, dtype="bfloat16") - weights_bytes(
        without, quantization, dtype="bfloat16"
    )
    assert more == 64 * 64 * 2


@pytest.mark.parametrize(
    "name",
    [
        "layers.0.mlp.gate_proj.weight", "layers.0.self_attn.gate_proj.weight", "h.0.attn.c_attn.weight",
        "layers.0.mlp.shared_experts.up_proj.weight", "layers.0.attention.output_gate.weight", "layers.0.self_attn.wo_b.weight",
    ],
)  # fmt: skip
def test_a_linear_layer_with_a_name_near_those_is_taken(name):
    facts = facts_of({}, {**PLAIN, name: ("BF16", WIDE)})
    assert facts.linears == {WIDE: 2}


@pytest.mark.parametrize(
    ("quantization", "is_left"),
    [("int8", False), ("int4", False), ("8bit", True), ("4bit", True), ("torchao-int4", True)],
)
def test_layers_that_stand_in_several_places_are_only_taken_by_quantizations_made_here(
    quantization, is_left
):
    name = "layers.1.shared_transformer.feed_forward.down_proj.weight"
    facts = facts_of({}, {**PLAIN, name: ("BF16", WIDE)})
    alone = facts_of({}, PLAIN)
    more = weights_bytes(facts, quantization, dtype="bfloat16") - weights_bytes(
        alone, quantization, dtype="bfloat16"
    )
    assert (more == 64 * 64 * 2) is is_left


@pytest.mark.parametrize("quantization", list(QUANTIZATIONS))
@pytest.mark.parametrize(("kind", "size"), [("F32", 4), ("I64", 8), ("U8", 1)])
def test_what_is_wider_than_the_rest_or_no_fraction_keeps_its_type(quantization, kind, size):
    odd = {"lm_head.weight": (kind, (99, 64)), "layers.0.wq.weight": (kind, (8, 8))}
    facts, alone = facts_of({}, {**PLAIN, **odd, **MORE}), facts_of({}, {**PLAIN, **MORE})
    more = weights_bytes(facts, quantization, dtype="bfloat16") - weights_bytes(
        alone, quantization, dtype="bfloat16"
    )
    assert more == size * (99 * 64 + 8 * 8)
    assert facts.parameters == alone.parameters + 99 * 64 + 8 * 8


@pytest.mark.parametrize("quantization", ["4bit", "4bit-fp4"])
@pytest.mark.parametrize(
    ("device", "has_instructions", "is_whole"),
    [
        ("cpu", True, True), ("cpu", False, False), ("cuda:0", True, False), ("xpu", True, False), ("", False, True),
        ("auto", False, True),
    ],
)  # fmt: skip
def test_a_shape_that_some_cpus_can_not_take_in_4_bits_is_left_there_alone(
    monkeypatch, quantization, device, has_instructions, is_whole
):
    monkeypatch.setattr(instructions, "has_avx512_bf16", lambda: has_instructions)
    held = QUANTIZATIONS[quantization].bytes_of(296, 64, False, device)
    assert (held is None) is is_whole
    # Half a byte for each, a scale for each 64, and the values that they stand for.
    assert held in (None, 296 * 32 + 296 * 4 + 64)


def test_a_processor_that_says_nothing_is_taken_for_one_with_all_instructions(
    monkeypatch, tmp_path
):
    for text, has in (
        (None, True),
        ("flags : fpu avx512_bf16 x", True),
        ("flags : avx512f", False),
    ):
        path = tmp_path / str(text)
        if text is not None:
            path.write_text(text)
        monkeypatch.setattr(instructions, "_FLAGS", path)
        assert instructions.has_avx512_bf16.__wrapped__() is has


def test_a_checkpoint_in_32_bits_is_held_in_16_all_the_same():
    wide = {name: ("F32", shape) for name, (_, shape) in PLAIN.items()}
    assert weights_bytes(facts_of({}, wide), dtype="bfloat16") == 2 * (64 * 64 + 99 * 64)


def test_a_head_of_another_shape_than_the_embeddings_is_not_tied_to_them():
    tied = {"tie_word_embeddings": True}
    same = {**PLAIN, "lm_head.weight": ("BF16", (99, 64))}
    assert facts_of(tied, same).parameters == facts_of(tied, PLAIN).parameters
    other = {**PLAIN, "lm_head.weight": ("BF16", (80, 64))}
    assert facts_of(tied, other).parameters == facts_of(tied, PLAIN).parameters + 80 * 64


def test_layers_without_keys_and_values_cost_no_cache():
    facts = ModelFacts(layers=4, kv_heads=2, head_dim=8, stateless_layers=3)
    assert cache_bytes(facts, 10) == 2 * 2 * 8 * 2 * 10


def test_the_three_grades():
    needed = Need(weights_bytes=800 * 2**20, cache_bytes=72 * 2**20, context_tokens=4096)
    assert needed.total_bytes == 1000 * 2**20
    assert grade(needed, 2000 * 2**20) is Grade.FITS
    assert grade(needed, 1100 * 2**20) is Grade.TIGHT
    assert grade(needed, 999 * 2**20) is Grade.TOO_BIG
    assert grade(None, 10) is Grade.UNKNOWN
    assert grade(needed, 0) is Grade.UNKNOWN


def test_no_more_context_is_reckoned_with_than_the_model_takes():
    facts = ModelFacts(parameters=10, layers=1, kv_heads=1, head_dim=1, context_tokens=512)
    assert need(facts).context_tokens == 512
    assert need(facts, context_tokens=100).context_tokens == 100
    assert need(ModelFacts()) is None


def test_a_quantized_checkpoint_takes_what_it_has_on_the_disk():
    config = {"model_type": "llama", "quantization_config": {"quant_method": "gptq"}}
    facts = facts_of(config, {"a.qweight": ("I32", (8, 8))}, 1234)
    assert facts.method == "gptq"
    assert weights_bytes(facts, "4bit", dtype="bfloat16") == 1234


@given(
    st.sampled_from(list(QUANTIZATIONS)),
    st.integers(1, 4096).map(lambda n: n * 32),
    st.integers(1, 4096).map(lambda n: n * 64),
)
def test_fewer_bits_never_take_more(name, rows, columns):
    cost = QUANTIZATIONS[name].linear_bytes
    if cost is not None and rows * columns > 20_000:
        assert cost(rows, columns, True) < rows * columns * 2
        assert cost(rows, columns, True) >= rows * columns * QUANTIZATIONS[name].bits // 8


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
KEYS = st.sampled_from(
    ["model_type", "hidden_size", "num_hidden_layers", "num_attention_heads", "layer_types", "sliding_window",
     "text_config", "quantization_config", "head_dim", "max_position_embeddings", "tie_word_embeddings"]
)  # fmt: skip


# Where others use the machine, to draw the first config can take seconds.
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(KEYS, JSON, max_size=8))
def test_any_config_has_facts_and_a_need_that_is_no_less_than_nothing(config):
    facts = facts_of(config, {"model.layers.0.q_proj.weight": ("BF16", (64, 64))})
    assert cache_bytes(facts, 100) >= 0
    assert facts.parameters == 4096
    for name in QUANTIZATIONS:
        assert need(facts, name).total_bytes > 0


def test_headers_that_lie_are_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    for data in (
        b"",
        b"\xff" * 8,
        (2).to_bytes(8, "little") + b"[]",
        (2).to_bytes(8, "little") + b"{}x",
        (20).to_bytes(8, "little") + json.dumps({"a": {"dtype": 1}}).encode(),
    ):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"."):
            safetensors_header.read_header(path)


def test_a_folder_is_looked_through_for_models(tmp_path):
    model = llama(tmp_path / "shelf" / "a" / "tiny")
    write_gguf(tmp_path / "shelf" / "b.gguf")
    (tmp_path / "shelf" / "c.gguf").write_text("not a model")
    (tmp_path / "shelf" / ".hidden").mkdir()
    shutil.copytree(model, tmp_path / "shelf" / ".hidden" / "m")
    found = [one for one in catalog.local_models([str(tmp_path / "shelf")]) if one.kind != "demo"]
    names = sorted(one.name for one in found if str(tmp_path) in one.location)
    assert names == ["b", "c", "tiny"]
    assert catalog.local_models([str(tmp_path / "nothing-here")]) is not None


def test_a_broken_model_in_a_folder_says_so_when_it_is_looked_at(tmp_path):
    folder = llama(tmp_path / "m")
    (folder / "config.json").write_text("{")
    with pytest.raises(ModelLoadError, match="isn't valid JSON"):
        catalog.facts(catalog.resolve(str(folder)))


def test_what_can_not_run_here_says_why_and_what_would_help(monkeypatch):
    import importlib.util

    assert availability("none", "cpu").ok
    assert "doesn't run on mps" in availability("8bit", "mps").reason
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    missing = availability("torchao-int8", "cpu")
    assert (missing.reason, missing.command) == ("needs the package torchao", "pip install torchao")
