"""What a model's code does with its linear layers is found out without weights, and quantizations leave what they can't take."""

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM
from transformers.pytorch_utils import Conv1D

from tests.engine import tiny
from tests.engine.conftest import ask, chat, load
from tui.engine import facts, fit
from tui.engine.base import ModelLoadError
from tui.engine.local import left_whole, loading, skipping, usage
from tui.engine.local.cpu import linear

KINDS = {
    "a weight that is computed with": (tiny.forgetful, {"dt_proj"}, set()),
    "a weight that is changed": (tiny.rescaled, {"output", "value"}, set()),
    "inputs of four dimensions": (tiny.latent, set(), {"kv_b_proj"}),
    "calls alone": (tiny.mixed, set(), set()),
}


def names(places):
    return {name for _, name in places} - {"lm_head"}


@pytest.mark.parametrize(
    ("kind", "device"), [*((kind, "meta") for kind in KINDS), ("a weight that is changed", "cpu")]
)
def test_what_code_does_with_layers(tmp_path, kind, device):
    make, looked_at, deep = KINDS[kind]
    model = AutoModelForCausalLM.from_pretrained(make(tmp_path / "m"), dtype=torch.bfloat16)
    before = {name: id(weight) for name, weight in model.named_parameters()}
    if device == "meta":
        for module in model.modules():
            for name, weight in module.named_parameters(recurse=False):
                setattr(module, name, nn.Parameter(weight.detach().to("meta")))
    found = usage.of(model)
    assert names(found.looked_at) == looked_at
    assert names(found.deep) == deep
    if device == "cpu":
        assert {name: id(weight) for name, weight in model.named_parameters()} == before


def test_a_class_of_its_own_is_linear_if_it_computes_the_same():
    class Same(nn.Linear):
        def forward(self, x):
            made = x @ self.weight.T
            return made if self.bias is None else made + self.bias

    class Clipped(nn.Linear):
        def forward(self, x):
            return super().forward(x.clamp(-30, 30))

    class Chooses(nn.Linear):
        def forward(self, x):
            return super().forward(x).topk(1)

    class WithMore(Same):
        def __init__(self, *sizes):
            super().__init__(*sizes)
            self.scale = nn.Parameter(torch.ones(1))

    class Fails(nn.Linear):
        def forward(self, x):
            raise RuntimeError

    same = Same(64, 32)
    weight = same.weight
    assert usage.is_linear(same)
    assert same.weight is weight
    assert usage.is_linear(Conv1D(32, 64))
    for other in (Clipped, Chooses, WithMore, Fails):
        assert not usage.is_linear(other(64, 32))
    assert not usage.is_linear(nn.MultiheadAttention(32, 2).out_proj)


@pytest.mark.parametrize("name", ["int8", "int4"])
@pytest.mark.parametrize(
    ("make", "left"), [(tiny.forgetful, 2), (tiny.rescaled, 4), (tiny.transposed, 0)]
)
def test_layers_whose_weights_are_read_stay_whole_and_the_rest_does_not(
    engine, tmp_path, name, make, left
):
    folder = make(tmp_path / "m")
    info = load(engine, folder, dtype="bfloat16", quantization=name)
    fast = [one for one in engine._loaded.model.modules() if type(one) is linear.FastLinear]
    assert fast
    assert any(f"{left} layers stay in bfloat16" in note for note in info.notes) == bool(left)
    assert ask(engine, chat("hello"), max_new_tokens=3).finished.stats.new_tokens == 3
    estimate = fit.weights_bytes(facts.folder_facts(folder), name, dtype="bfloat16")
    assert estimate == pytest.approx(info.weights_bytes, rel=0.1)


def test_a_transposed_layer_in_fewer_bits_computes_what_it_did(engine, tmp_path):
    load(engine, tiny.transposed(tmp_path / "m"), dtype="float32")
    original = engine._loaded.model.transformer.h[0].mlp.c_fc
    x = torch.randn(4, 64, generator=torch.Generator().manual_seed(2))
    expected = original(x)
    load(engine, tmp_path / "m", dtype="bfloat16", quantization="int8")
    found = engine._loaded.model.transformer.h[0].mlp.c_fc(x.bfloat16())
    assert isinstance(engine._loaded.model.transformer.h[0].mlp.c_fc, linear.FastLinear)
    assert torch.allclose(found.float(), expected, atol=0.05)


@pytest.mark.parametrize("packed", [True, False])
def test_what_other_libraries_fail_at_is_left_as_it_is(tmp_path, monkeypatch, packed):
    pytest.importorskip("bitsandbytes")
    monkeypatch.setattr(skipping, "_is_packed", lambda _device: packed)
    config = AutoModelForCausalLM.from_pretrained(tiny.latent(tmp_path / "m")).config
    kind = loading.model_classes.class_of(config)
    of = {name: skipping.layers(kind, config, name, "cpu") for name in ("8bit", "4bit", "torchao-int8")}  # fmt: skip
    assert r"model\.layers\.\d+\.self_attn\.kv_b_proj" in of["8bit"]
    assert "lm_head" in of["8bit"]
    assert bool(of["4bit"]) == packed
    assert not of["torchao-int8"]


def test_shapes_that_torch_has_no_4_bit_form_of_are_left(tmp_path):
    pytest.importorskip("torchao")
    config = AutoModelForCausalLM.from_pretrained(tiny.hybrid(tmp_path / "m")).config
    kind = loading.model_classes.class_of(config)
    left = skipping.layers(kind, config, "torchao-int4", "cpu")
    # One number for each of four heads, and one for a shared expert.
    assert any("linear_attn" in name for name in left)
    assert any("shared_expert_gate" in name for name in left)
    assert not any("q_proj" in name for name in left)


@pytest.mark.parametrize("name", ["8bit", "4bit"])
def test_a_model_with_layers_that_are_left_loads_and_replies(engine, tmp_path, name):
    pytest.importorskip("bitsandbytes")
    info = load(engine, tiny.latent(tmp_path / "m"), quantization=name)
    assert any("support such layers" in note for note in info.notes) == (
        name == "8bit" or skipping._is_packed("cpu")
    )
    assert ask(engine, chat("hello"), max_new_tokens=2).finished.stats.new_tokens == 2


def test_what_stays_whole_is_said(engine, tmp_path, monkeypatch):
    info = load(
        engine, tiny.longrope_experts(tmp_path / "m"), dtype="bfloat16", quantization="int8"
    )
    experts = [note for note in info.notes if note.startswith("The experts (")]
    assert len(experts) == 1
    assert "stay in bfloat16: no available quantization supports them." in experts[0]
    monkeypatch.setattr(left_whole, "_is_quantized", lambda _module: False)
    said = left_whole.notes(engine._loaded.model, "8bit")
    (note,) = said
    assert note.startswith("No part of this model is quantized")
    assert note.endswith("Try int8 or int4.")


def test_a_quantization_that_a_models_code_fails_with_is_refused_by_name(
    engine, tmp_path, monkeypatch
):
    def fail(*_given):
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr(loading, "_warm_up", fail)
    with pytest.raises(
        ModelLoadError, match=r"can't be quantized with int8.*cannot be multiplied"
    ) as one:
        load(engine, tiny.mixed(tmp_path / "m"), quantization="int8")
    assert one.value.hint == "Choose int4, or none."
