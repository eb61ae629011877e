"""Patterns of a quantization_config: those in use are taken, those that could match for ever are not."""

from __future__ import annotations

import pytest

from tui.engine.module_patterns import check, is_quick

IN_USE = {
    "gptq": {
        "dynamic": {r"+:.*\\.18\\..*gate.*": {"bits": 8}, r"-:.*\\.mlp\\.down_proj": {}},
        "modules_in_block_to_quantize": [["self_attn.q_proj", "self_attn.k_proj"], ["mlp.down_proj"]],
        "meta": {"uri": "https://example.org/a?b=(c+)+", "quantizer": ["made (by) me+"]},
    },
    "compressed-tensors": {
        "config_groups": {"group_0": {"targets": ["Linear", "re:.*proj$"], "weights": {"num_bits": 8}}},
        "ignore": ["re:.*lm_head", "re:.*self_attn.*", "re:vision_tower.*", "re:.*mlp.gate$"],
    },
    "fp8": {"modules_to_not_convert": [f"model.layers.{n}.mlp.gate" for n in range(94)]},
    "bitsandbytes": {"llm_int8_skip_modules": ["lm_head", "multi_modal_projector", "model.layers.1.mlp"]},
    "mxfp4": {"modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router"]},
    "quark": {"exclude": ["lm_head"], "layer_quant_config": {"*v_proj": {}, "*k_proj": {}}},
    "modelopt": {"ignore": ["lm_head", "model.layers.0*", "vision_model*"]},
    "torchao": {"quant_type": {"default": {"_type": "Int4WeightOnlyConfig", "_data": {"group_size": 128}}}},
}  # fmt: skip


@pytest.mark.parametrize("method", IN_USE)
def test_what_quantizers_write_is_taken(method):
    check({"quantization_config": {"quant_method": method, **IN_USE[method]}})


@pytest.mark.parametrize(
    "pattern",
    ["([a-z_.0-9]+)+!", "re:(a+)+!", "+:(a|a)*b", ".*.*.*.*!", "re:.*.*.*.*!", "(a|b|c|d|e|f|g|h|i)x", "x" * 301,
     "(a+) +", "re:re:(a+)+"],
)  # fmt: skip
def test_what_could_match_for_ever_is_refused(pattern):
    assert not is_quick(pattern)
    with pytest.raises(ValueError, match="too long to match"):
        check({"quantization_config": {"modules_to_not_convert": [pattern]}})
