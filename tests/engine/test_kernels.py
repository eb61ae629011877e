"""The products for CPUs give the numbers of plain arithmetic, and go into a model and out of it without a trace."""

import os
import platform
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional
from transformers import AutoModelForCausalLM

from tests.engine import tiny
from tests.engine.conftest import ask, chat, load
from tui.engine.local import cache_layers
from tui.engine.local.cpu import attention, kernels, linear, native, native_library, norms
from tui.engine.local.cpu.choice import NEVER, Choice
from tui.engine.local.cpu.timings import Timings
from tui.engine.quantization import QUANTIZATIONS


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    made = native.build(tmp_path_factory.mktemp("kernels"))
    if made is None:
        pytest.skip("there is no C compiler here, or no Linux")
    return made


@pytest.fixture(scope="session", params=["all", "AVX2", "none"])
def of_each_width(request, compiled, tmp_path_factory):
    """What is compiled for all vector instructions of this CPU, for those of older ones, and for none of them."""
    without = {"all": None, "AVX2": "-mno-avx512f", "none": "-mno-avx"}[request.param]
    if without is None:
        return compiled
    if platform.machine() != "x86_64":
        pytest.skip("vectors have one width on this CPU")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native_library, "_FLAGS", (*native_library._FLAGS, without))
        return native.build(tmp_path_factory.mktemp("kernels"))


@pytest.fixture(params=[True, False], ids=["compiled here", "torch's"])
def either(request):
    return request.getfixturevalue("compiled") if request.param else None


def numbers(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def layer(outputs, inputs, *, bias=False, dtype=torch.bfloat16):
    made = nn.Linear(inputs, outputs, bias=bias)
    made.weight.data = numbers(outputs, inputs) * 0.1
    return made.to(dtype).requires_grad_(False)


ROWS = [1, 2, 3, 4, 5, 9, 40]
SHAPES = [(1, 32), (7, 64), (48, 96), (130, 416)]


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize(("outputs", "inputs"), SHAPES)
def test_products_with_weights_as_they_are(of_each_width, rows, outputs, inputs):
    weight, x = layer(outputs, inputs).weight, numbers(rows, inputs)
    found = linear.Dense(weight, of_each_width).few(x)
    assert torch.allclose(found, x @ weight.float().T, atol=1e-4)


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize(("outputs", "inputs"), SHAPES)
@pytest.mark.parametrize("form", [linear.Int8, linear.Int4])
def test_products_with_fewer_bits_are_those_of_the_unpacked_weights(
    of_each_width, form, rows, outputs, inputs
):
    weights, x = form(layer(outputs, inputs).weight, of_each_width), numbers(rows, inputs)
    unpacked = weights.unpacked(0, outputs)
    assert torch.allclose(weights.few(x), x @ unpacked.T, atol=1e-4)


@pytest.mark.parametrize(("form", "bits"), [(linear.Int8, 8), (linear.Int4, 4)])
def test_weights_are_rounded_to_the_nearest_step(compiled, form, bits):
    weight = layer(48, 96).weight
    weights = form(weight, compiled)
    off = (weights.unpacked(0, 48) - weight.float()).abs()
    groups = weight.float().reshape(48, -1, 32 if bits == 4 else 96)
    steps = (groups.amax(-1) - groups.amin(-1)) / (2**bits - 1)
    # A clipped range cuts off up to a tenth on each side, and only where that is better on the whole.
    assert off.square().mean().sqrt() <= steps.mean() * 0.4
    if bits == 8:
        assert off.max() <= groups.abs().amax() / 127 * 0.51


def test_four_bits_lie_where_the_kernel_expects_them(compiled):
    weights = linear.Int4(layer(7, 64).weight, compiled)
    lanes = weights.q.to(torch.int32).unsqueeze(2)
    q = torch.cat([(lanes >> (4 * place)) & 15 for place in range(4)], dim=2).reshape(7, 2, 32)
    scales = weights.scales.float()
    expected = (q * scales[..., :1] + scales[..., 1:]).reshape(7, 64)
    assert torch.allclose(weights.unpacked(0, 7), expected, atol=1e-6)
    assert torch.equal(weights.unpacked(2, 5), weights.unpacked(0, 7)[2:5])


def test_torchs_four_bits_hold_the_same_weights(compiled):
    original, x = layer(64, 96), numbers(1, 96).bfloat16()
    ours, theirs = linear.Int4(original.weight, compiled), linear.TorchInt4(original.weight)
    assert torch.allclose(ours.few(x).float(), theirs.few(x).float(), atol=0.02)


@pytest.mark.parametrize("shape", [(1, 1, 96), (1, 7, 96), (2, 3, 96), (1, 200, 96)])
def test_a_fast_layer_is_the_layer_it_stands_for(either, shape):
    original, x = layer(40, 96, bias=True), numbers(*shape).bfloat16()
    made = linear.DenseLinear(original, 32, either)
    assert made.weight is original.weight
    expected = original(x)
    assert made(x).shape == expected.shape
    assert torch.allclose(made(x).float(), expected.float(), atol=0.03)


def test_weights_of_many_blocks_are_multiplied_one_by_one(monkeypatch):
    monkeypatch.setattr(linear, "_BLOCK_WEIGHTS", 96 * 7)
    original, x = layer(40, 96), numbers(50, 96)
    found = linear.in_float32(linear.Dense(original.weight, None), x)
    assert torch.allclose(found, x @ original.weight.float().T, atol=1e-5)


@pytest.mark.parametrize("keys", [1, 7, 255, 256, 257, 700])
@pytest.mark.parametrize(
    ("heads", "key_heads", "dimensions"),
    [(4, 2, 16), (9, 3, 64), (3, 3, 24), (8, 1, 256), (10, 2, 8), (4, 1, 328)],
)
def test_attention_is_that_of_torch(of_each_width, keys, heads, key_heads, dimensions):
    query = numbers(1, heads, 1, dimensions).bfloat16()
    # As the growing layers have them: a view on the start of more room.
    key, value = (
        numbers(1, key_heads, keys + 30 + place, dimensions).bfloat16()[:, :, :keys]
        for place in (0, 1)
    )
    found = of_each_width.attention(query, key, value, 0.3).float()
    groups = heads // key_heads
    expected = functional.scaled_dot_product_attention(
        query.float(),
        key.float().repeat_interleave(groups, 1),
        value.float().repeat_interleave(groups, 1),
        scale=0.3,
    ).transpose(1, 2)
    assert torch.allclose(found, expected.bfloat16().float(), atol=0.02)


@pytest.mark.parametrize(("outputs", "inputs"), SHAPES)
@pytest.mark.parametrize("form", [linear.Dense, linear.Int8, linear.Int4])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_row_gives_the_same_numbers_alone_and_among_others(
    of_each_width, form, outputs, inputs, dtype
):
    weights, x = form(layer(outputs, inputs).weight, of_each_width), numbers(31, inputs).to(dtype)
    alone = torch.cat([weights.few(x[row : row + 1]) for row in range(31)])
    for rows in range(2, 32):
        assert torch.equal(weights.few(x[:rows]), alone[:rows]), f"{rows} rows"


@pytest.mark.parametrize("keys", [9, 255, 256, 257, 700])
@pytest.mark.parametrize("queries", [2, 3, 8, 31])
@pytest.mark.parametrize(
    ("heads", "key_heads", "dimensions"), [(4, 2, 16), (9, 3, 64), (3, 3, 24), (10, 2, 8)]
)
def test_tokens_attend_together_as_they_would_one_after_another(
    of_each_width, keys, queries, heads, key_heads, dimensions
):
    query = numbers(1, queries, heads, dimensions).bfloat16().transpose(1, 2)
    key, value = (
        numbers(1, key_heads, keys + place, dimensions).bfloat16()[:, :, :keys] for place in (0, 1)
    )
    together = of_each_width.attention(query, key, value, 0.3)
    for at in range(max(0, queries - keys), queries):
        seen = keys - queries + at + 1
        one = of_each_width.attention(
            query[:, :, at : at + 1], key[:, :, :seen], value[:, :, :seen], 0.3
        )
        assert torch.equal(together[:, at : at + 1], one)


def test_work_is_shared_by_as_many_threads_as_are_wanted(compiled):
    weights, x = layer(2000, 416).weight, numbers(3, 416)
    expected = x @ weights.float().T
    try:
        for count in (3, 1, 5, 2):
            assert compiled.use_threads(count) == count
            for _ in range(20):
                assert torch.allclose(compiled.bfloat16(x, weights), expected, atol=1e-3)
    finally:
        compiled.use_threads(torch.get_num_threads())


def test_products_of_several_callers_do_not_get_mixed_up(compiled):
    weights = [layer(1500 + number, 416).weight for number in range(4)]
    inputs = [numbers(number + 1, 416) for number in range(4)]
    wrong = []

    def work(weight, x):
        expected = x @ weight.float().T
        made = [compiled.bfloat16(x, weight) for _ in range(60)]
        wrong.extend(one for one in made if not torch.allclose(one, expected, atol=1e-3))

    compiled.use_threads(3)
    threads = [
        threading.Thread(target=work, args=pair) for pair in zip(weights, inputs, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    compiled.use_threads(torch.get_num_threads())
    assert not wrong


def chooses_compiled(monkeypatch, many_from=NEVER):
    def make(choice):
        choice.chosen, choice.many_from = len(choice.samples) - 1, many_from

    monkeypatch.setattr(Choice, "make", make)


def model_of(make, folder, dtype=torch.bfloat16):
    return AutoModelForCausalLM.from_pretrained(make(folder), dtype=dtype).eval()


def log_probabilities(model, ids):
    """Of all positions, by way of a prompt and then token by token, so that all kernels have their turn."""
    with torch.inference_mode():
        made = model(input_ids=ids[:, :40], use_cache=True)
        rows = [made.logits[0]]
        for at in range(40, ids.shape[1]):
            made = model(input_ids=ids[:, at : at + 1], past_key_values=made.past_key_values)
            rows.append(made.logits[0])
    return torch.cat(rows).float().log_softmax(-1)


IDS = torch.randint(0, 200, (1, 60), generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("make", [tiny.llama, tiny.mixed, tiny.sliding])
def test_a_model_says_the_same_with_them_and_exactly_the_same_after_them(
    compiled, tmp_path, make, monkeypatch
):
    chooses_compiled(monkeypatch, many_from=32)
    model = model_of(make, tmp_path / "model")
    exact = log_probabilities(model_of(make, tmp_path / "model").float(), IDS)
    before = log_probabilities(model, IDS)
    installed = kernels.install(model, "none", compiled)
    assert installed.count > 0
    assert installed.native
    with_them = log_probabilities(model, IDS)
    # No further from the exact numbers than 16 bits are anyway.
    assert (with_them - exact).abs().max() <= max(1e-4, 1.5 * (before - exact).abs().max())
    installed.undo()
    assert not [one for one in model.modules() if isinstance(one, linear.FastLinear)]
    assert model.config._attn_implementation == "sdpa"
    assert torch.equal(log_probabilities(model, IDS), before)


@pytest.mark.parametrize("quantization", ["none", "int8", "int4"])
def test_a_model_says_the_same_of_tokens_together_and_one_after_another(
    compiled, tmp_path, quantization, monkeypatch
):
    chooses_compiled(monkeypatch, many_from=32)
    sizes = {"hidden_size": 64, "intermediate_size": 128}
    model = model_of(lambda folder: tiny.llama(folder, sizes=tuple(sizes.items())), tmp_path / "m")
    kernels.install(model, quantization, compiled)
    with torch.inference_mode():
        cache = cache_layers.fresh(model.config)
        model(input_ids=IDS[:, :20], past_key_values=cache)
        together = model(input_ids=IDS[:, 20:51], past_key_values=cache).logits
        assert cache_layers.cut_to(cache, 20)
        alone = [
            model(input_ids=IDS[:, at : at + 1], past_key_values=cache).logits
            for at in range(20, 51)
        ]
    assert torch.equal(together, torch.cat(alone, dim=1))


@pytest.mark.parametrize("make", [tiny.llama, tiny.mixed, tiny.sliding])
def test_tokens_after_others_see_all_before_them_and_none_behind(
    compiled, tmp_path, make, monkeypatch
):
    """Also where there is no product for them, and torch's own attention needs a mask."""
    model = model_of(make, tmp_path / "model")
    exact = log_probabilities(model_of(make, tmp_path / "model").float(), IDS)
    attention.use(model, compiled)
    able = attention._can
    for can in (able, lambda *_given: False):
        monkeypatch.setattr(attention, "_can", can)
        with torch.inference_mode():
            cache = cache_layers.fresh(model.config)
            rows = [
                model(input_ids=IDS[:, start:stop], past_key_values=cache).logits[0]
                for start, stop in ((0, 20), (20, 29), (29, 60))
            ]
        found = torch.cat(rows).float().log_softmax(-1)
        assert (found - exact).abs().max() < 0.1
    attention.stop_using(model)


def test_a_model_in_float32_keeps_its_layers(compiled, tmp_path):
    model = model_of(tiny.llama, tmp_path / "model", torch.float32)
    before = log_probabilities(model, IDS)
    assert kernels.install(model, "none", compiled).count == 0
    assert (log_probabilities(model, IDS) - before).abs().max() <= 1e-4


def test_attention_that_is_not_plain_goes_to_torch(compiled, tmp_path):
    model = model_of(tiny.llama, tmp_path / "model")
    assert attention.use(model, compiled)
    query, key = numbers(1, 4, 1, 8).bfloat16(), numbers(1, 2, 9, 8).bfloat16()
    assert attention._can(query, key, key, None, {"scaling": 0.5, "dropout": 0.0})
    for other in (
        {"softcap": 30.0},
        {"s_aux": numbers(4)},
        {"dropout": 0.1},
        {"position_bias": key},
    ):
        assert not attention._can(query, key, key, None, other)
    assert not attention._can(query, key, key, torch.ones(1, 1, 1, 9), {})
    assert not attention._can(query.float(), key, key, None, {})
    assert attention._can(numbers(1, 4, 2, 8).bfloat16(), key, key, None, {})
    assert not attention._can(numbers(1, 4, 33, 8).bfloat16(), numbers(1, 2, 40, 8), key, None, {})
    assert not attention._can(numbers(1, 4, 9, 8).bfloat16(), key, key, None, {})
    assert not attention._can(query, key, key[..., :4], None, {})
    attention.stop_using(model)


@pytest.mark.parametrize("name", ["int8", "int4"])
def test_a_model_in_fewer_bits_takes_less_memory_and_still_speaks(engine, tmp_path, name):
    sizes = {"hidden_size": 64, "intermediate_size": 128}
    folder = tiny.llama(tmp_path / "model", sizes=tuple(sizes.items()))
    whole = load(engine, folder, dtype="bfloat16")
    exact = ask(engine, chat("hello"), max_new_tokens=4)
    info = load(engine, folder, dtype="bfloat16", quantization=name)
    assert info.quantization == name
    layers = [one for one in engine._loaded.model.modules() if type(one) is linear.FastLinear]
    quantized = sum(one.in_features * one.out_features for one in layers)
    assert len(layers) == 14
    table = QUANTIZATIONS[name].linear_bytes
    expected = sum(table(one.out_features, one.in_features, True) for one in layers)
    assert info.weights_bytes == whole.weights_bytes - 2 * quantized + expected
    heard = ask(engine, chat("hello"), max_new_tokens=4)
    assert heard.finished.stats.new_tokens == exact.finished.stats.new_tokens == 4
    assert heard.prompt.prompt_tokens == exact.prompt.prompt_tokens


def test_one_setting_switches_them_off(engine, tmp_path):
    folder = tiny.llama(tmp_path / "model")
    load(engine, folder, dtype="bfloat16", kernels=False)
    model = engine._loaded.model
    assert not [one for one in model.modules() if isinstance(one, linear.FastLinear)]
    assert model.config._attn_implementation == "sdpa"


def test_a_quantized_model_works_without_a_compiler(engine, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    sizes = {"hidden_size": 64, "intermediate_size": 128}
    folder = tiny.llama(tmp_path / "model", sizes=tuple(sizes.items()))
    for name in ("int8", "int4"):
        load(engine, folder, dtype="bfloat16", quantization=name)
        assert not engine._loaded.installed.native
        assert ask(engine, chat("hello"), max_new_tokens=4).finished.stats.new_tokens == 4


def bits(*shape):
    return numbers(*shape).bfloat16()


def int4(outputs, groups):
    return torch.zeros(outputs, groups, 8, dtype=torch.int16), bits(outputs, groups, 2)


UNFIT = {
    "other columns": lambda k: k.bfloat16(numbers(2, 64), bits(5, 96)),
    "fewer columns": lambda k: k.bfloat16(numbers(2, 96), bits(5, 64)),
    "columns that are no multiple": lambda k: k.bfloat16(numbers(2, 40), bits(5, 40)),
    "no columns": lambda k: k.bfloat16(numbers(2, 0), bits(5, 0)),
    "one row without its dimension": lambda k: k.bfloat16(numbers(64), bits(5, 64)),
    "weights in 32 bits": lambda k: k.bfloat16(numbers(2, 64), numbers(5, 64)),
    "weights in other 16 bits": lambda k: k.bfloat16(numbers(2, 64), numbers(5, 64).half()),
    "weights of one byte": lambda k: k.bfloat16(
        numbers(2, 64), numbers(5, 64).to(torch.float8_e4m3fn)
    ),
    "weights that lie crosswise": lambda k: k.bfloat16(numbers(2, 64), bits(64, 64).T),
    "weights that are nowhere": lambda k: k.bfloat16(numbers(2, 64), bits(5, 64).to("meta")),
    "inputs that are nowhere": lambda k: k.bfloat16(numbers(2, 64).to("meta"), bits(5, 64)),
    "int8 with other scales": lambda k: k.int8(
        numbers(2, 64), torch.zeros(5, 64, dtype=torch.int8), bits(4)
    ),
    "int8 with scales in 32 bits": lambda k: k.int8(
        numbers(2, 64), torch.zeros(5, 64, dtype=torch.int8), numbers(5)
    ),
    "int8 of other columns": lambda k: k.int8(
        numbers(2, 96), torch.zeros(5, 64, dtype=torch.int8), bits(5)
    ),
    "int4 of other columns": lambda k: k.int4(numbers(2, 96), *int4(5, 2)),
    "int4 with other scales": lambda k: k.int4(numbers(2, 64), int4(5, 2)[0], bits(5, 1, 2)),
    "int4 to unpack with other scales": lambda k: k.unpacked_int4(int4(5, 2)[0], bits(4, 2, 2)),
    "no int4": lambda k: k.int4(numbers(2, 0), *int4(5, 0)),
    "a norm of other columns": lambda k: k.normalised(bits(2, 16), bits(8), 1e-5),
    "a norm of no columns": lambda k: k.normalised(bits(2, 0), bits(0), 1e-5),
    "a norm of a few columns": lambda k: k.normalised(bits(2, 12), bits(12), 1e-5),
    "a norm in 32 bits": lambda k: k.normalised(numbers(2, 16), bits(16), 1e-5),
    "attention with odd dimensions": lambda k: attend(k, (4, 1, 12), (2, 9, 12)),
    "attention without keys": lambda k: attend(k, (4, 1, 16), (2, 0, 16)),
    "attention without heads of keys": lambda k: attend(k, (4, 1, 16), (0, 9, 16)),
    "attention with more heads of keys": lambda k: attend(k, (2, 1, 16), (4, 9, 16)),
    "attention with heads that can't be shared": lambda k: attend(k, (5, 1, 16), (2, 9, 16)),
    "attention without dimensions": lambda k: attend(k, (4, 1, 0), (2, 9, 0)),
    "attention with fewer values": lambda k: k.attention(
        bits(1, 4, 1, 16), bits(1, 2, 9, 16), bits(1, 2, 7, 16), 1.0
    ),
    "attention of two chats": lambda k: k.attention(
        bits(1, 4, 1, 16), bits(2, 2, 9, 16), bits(2, 2, 9, 16), 1.0
    ),
}


def attend(kernels, query, key):
    return kernels.attention(bits(1, *query), bits(1, *key), bits(1, *key), 1.0)


@pytest.mark.parametrize("call", UNFIT)
def test_sizes_and_types_that_do_not_fit_never_reach_the_compiled_code(compiled, call):
    with pytest.raises(ValueError, match="sizes or types"):
        UNFIT[call](compiled)


def test_weights_at_an_odd_address_are_left_to_torch(compiled):
    away = SimpleNamespace(
        shape=(5, 64), dtype=torch.bfloat16, is_cpu=True, dim=lambda: 2,
        is_contiguous=lambda: True, data_ptr=lambda: 4097,
    )  # fmt: skip
    assert not native.can_multiply(away)


def test_nothing_times_something_is_nothing(compiled):
    assert compiled.bfloat16(numbers(0, 64), bits(5, 64)).shape == (0, 5)
    assert compiled.bfloat16(numbers(3, 64), bits(0, 64)).shape == (3, 0)
    assert compiled.normalised(bits(0, 16), bits(16), 1e-5).shape == (0, 16)
    assert compiled.unpacked_int4(*int4(0, 2)).shape == (0, 64)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float8_e4m3fn])
def test_a_layer_of_another_type_among_others_stays_as_it_is(compiled, dtype, monkeypatch):
    """As a checkpoint may have it; read as bfloat16 it would be other numbers, or end too soon."""
    chooses_compiled(monkeypatch)
    plain, other, empty = layer(64, 64), layer(64, 64), nn.Linear(0, 64).bfloat16()
    other.weight = nn.Parameter(other.weight.to(dtype), requires_grad=False)
    model = nn.ModuleDict({"first": plain, "other": other, "empty": empty})
    made = kernels._as_they_are(list(kernels._plain_layers(model)), compiled, Timings())
    assert made.count == 1
    assert isinstance(model["first"], linear.FastLinear)
    assert model["other"] is other
    assert model["empty"] is empty


def test_a_norm_that_is_given_other_sizes_fails_as_the_models_own_does(compiled, tmp_path):
    model = model_of(tiny.llama, tmp_path / "model")
    fast = next(iter(norms.faster(model, compiled)))[2]
    size = fast.weight.numel()
    assert torch.equal(fast(bits(1, 2, 1)), fast._plain(bits(1, 2, 1)))
    with pytest.raises(RuntimeError):
        fast(bits(1, 2, size + 8))


def test_hostile_numbers_stay_numbers(compiled):
    """Whatever is in the weights, the products end and touch nothing else."""
    strange = torch.tensor([float("nan"), float("inf"), -float("inf"), 3e38, -3e38, 1e-40, 0.0])
    for seed in range(20):
        pick = torch.Generator().manual_seed(seed)

        def some(*shape, pick=pick):
            return strange[torch.randint(0, 7, shape, generator=pick)].bfloat16()

        assert compiled.bfloat16(some(3, 64), some(5, 64)).shape == (3, 5)
        assert compiled.int4(some(3, 64), int4(5, 2)[0], some(5, 2, 2)).shape == (3, 5)
        assert compiled.normalised(some(3, 16), some(16), 0.0).shape == (3, 16)
        made = compiled.attention(some(1, 4, 3, 16), some(1, 2, 300, 16), some(1, 2, 300, 16), 1e9)
        assert made.shape == (1, 3, 4, 16)


def test_norms_give_the_numbers_of_the_models_own(compiled, tmp_path):
    model = model_of(tiny.llama, tmp_path / "model")
    found = list(norms.faster(model, compiled))
    assert len(found) == 2 * model.config.num_hidden_layers + 1
    for parent, name, fast in found:
        own = getattr(parent, name)
        assert fast.weight is own.weight
        fast.weight.data = torch.randn(fast.weight.shape).bfloat16()
        for rows in (1, 2, 31):
            x = 4 * numbers(1, rows, fast.weight.numel()).bfloat16()
            with torch.inference_mode():
                assert torch.allclose(fast(x).float(), own(x).float(), rtol=2**-7, atol=1e-30)
                assert (fast(x) == own(x)).float().mean() > 0.98
                assert torch.equal(fast(x)[:, :1], fast(x[:, :1]))
                wide = x.float()
                assert torch.equal(fast(wide), own(wide))


def test_a_norm_of_another_kind_stays(compiled):
    class OtherRMSNorm(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.randn(16).bfloat16())
            self.variance_epsilon = 1e-5

        def forward(self, x):
            return torch.nn.functional.rms_norm(
                x.float(), (16,), 1 + self.weight.float()
            ).bfloat16()

    class GatedRMSNorm(OtherRMSNorm):
        def forward(self, x, gate):
            return super().forward(x) * gate

    class BiasedRMSNorm(OtherRMSNorm):
        def __init__(self):
            super().__init__()
            self.bias = torch.nn.Parameter(torch.zeros(16).bfloat16())

    class OnceRoundedRMSNorm(OtherRMSNorm):
        """As OLMo 2 and GPT-OSS have it."""

        def forward(self, x):
            wide = x.float()
            wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)
            return (self.weight * wide).to(x.dtype)

    model = torch.nn.Sequential(
        OtherRMSNorm(), GatedRMSNorm(), BiasedRMSNorm(), OnceRoundedRMSNorm()
    )
    assert not list(norms.faster(model, compiled))


@pytest.mark.parametrize("name", ["int8", "int4"])
def test_weights_that_layers_share_are_rounded_once(engine, tmp_path, name):
    load(engine, tiny.shared_layers(tmp_path / "model"), quantization=name, dtype="bfloat16")
    model = engine._loaded.model
    fast = [layer for layer in model.modules() if type(layer) is linear.FastLinear]
    shared = {id(layer.weights) for layer in fast}
    assert len(shared) < len(fast)
    assert ask(engine, chat("hello"), max_new_tokens=2).finished


def test_a_model_whose_parts_take_no_other_attention_keeps_its_own(compiled, tmp_path, monkeypatch):
    model = AutoModelForCausalLM.from_pretrained(tiny.llama(tmp_path / "model"))
    plain = type(model).set_attn_implementation

    def choosy(self, name):
        if name == attention.NAME:
            raise ValueError("M does not support an attention implementation through torch")
        plain(self, name)

    monkeypatch.setattr(type(model), "set_attn_implementation", choosy)
    assert not attention.use(model, compiled)
    assert model.config._attn_implementation == "sdpa"


def helpers():
    """The threads that help with products, which the system knows by a name."""
    tasks = [path.parent for path in Path("/proc/self/task").glob("*/comm")]
    return [int(task.name) for task in tasks if (task / "comm").read_text() == "kernel-helper\n"]


def last_core(thread):
    """The core that a thread ran on last."""
    return int(Path(f"/proc/self/task/{thread}/stat").read_text().rpartition(")")[2].split()[36])


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is one core")
def test_a_helper_leaves_the_callers_core_and_stays_free_to_move(compiled):
    """Bound to it, as a scheduler leaves it there, it frees itself when there is work: all cores that are allowed are its own again."""
    weights, x = layer(4000, 416).weight, numbers(1, 416)
    allowed = os.sched_getaffinity(0)
    mine = min(allowed)
    try:
        compiled.use_threads(2)
        bound = helpers()
        assert bound
        os.sched_setaffinity(threading.get_native_id(), {mine, max(allowed)})
        for _ in range(3):
            for helper in bound:
                os.sched_setaffinity(helper, {last_core(threading.get_native_id())})
            deadline = time.monotonic() + 60
            while not any(len(os.sched_getaffinity(helper)) > 1 for helper in bound):
                compiled.bfloat16(x, weights)
                assert time.monotonic() < deadline
    finally:
        os.sched_setaffinity(threading.get_native_id(), allowed)
        for helper in helpers():
            os.sched_setaffinity(helper, allowed)
        compiled.use_threads(torch.get_num_threads())
