"""Creates a tiny config of any kind of model in transformers: two layers, or one of each kind of layer, and everything else
narrow.

It starts from the defaults of the kind's config and reduces each number according to its name. Remaining contradictions
are fixed in `_OWN`, kind by kind.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

VOCABULARY: Final = 512
"""Enough for the bytes and special tokens of the checkpoints' tokenizer."""
_WIDTH: Final = 64
_HEADS: Final = 4
_MOST_LAYERS: Final = 6
_IN_TOWER: Final = re.compile(
    r"vision|visual|vit|sam|high_res|vq|qformer|percei|audio|codec|encoder|token2wav|code2wav|talker|acoustic|semantic|depth|diariz|"
    r"protein|dit|bigvgan|adaptor|projector"
)
_LAYERS: Final = re.compile(
    r"(.*_)?(num_)?(hidden_|encoder_|decoder_|global_)?(layers?|blocks)|n_layers?|depth|resampler_depth|num_layers_per_stack"
)
_COUNT_OF_LAYERS: Final = (
    "num_hidden_layers",
    "n_layer",
    "n_layers",
    "num_layers",
    "depth",
    "decoder_layers",
)
_CAPS: Final = (
    # (the pattern of the whole name, the largest value)
    (r"vocab_size_per_layer_input|(.*_)?hash.*vocab.*", VOCABULARY),
    (r"(.*_)?(ngram_vocab_size_base)", 1000),
    (r"max_window_layers|first_k_dense_replace|num_dense_layers|num_kv_shared_layers|moe_layer_(start|end)_index", 1),
    (r"interleave_moe_layer_step|num_mem_blocks|(attn|expert)_layer_offset", 1),
    (r"num_nextn_predict_layers|insert_layer_id", 0),
    (r"layer_group_size|(attn|expert)_layer_period|global_attn_every_n_layers|full_attention_interval", 2),
    (r"n_layers_per_attn_res_block|aligner_num_add_layers|num_codebooks|spatial_pool_stride|o_groups", 2),
    (r"(moe_)?(num_|n_)?shared_experts|moe_num_shared_experts|n_group|topk_group|num_expert_group", 1),
    (r"num_hashes|(mamba_)?n_groups|mamba_ngroups", 1),
    (r"index_topk|original_max_position_embeddings", 2048),
    (r"index_n_heads|linear_num_value_heads|linear_num_heads", 4),
    (r"linear_num_key_heads|n_mamba_heads", 2),
    (r"index_head_dim|linear_head_dim|qk_head_dim|gated_norm_rank|rel_extent|hc_lowrank", 32),
    (r"(mamba_n|mamba_num_|^num_mamba)_?heads", 8),
    (r"mamba_d_ssm", 128),
    (r"(mamba_)?chunk_size|.*lora_rank|laurel_rank|hidden_size_per_layer_input|codebook_size|num_embeddings", 64),
    (r"mamba_d_state|(ssm_)?state_size|qk_(nope|rope)_head_dim|v_head_dim", 16),
    (r"mamba_dt_rank|time_step_rank|adapter_rank|router_hidden_size|ple_embed_dim|dim_model_base|block_multiple_of", 32),
    (r"attention_hidden_size|attention_chunk_size", 128),
    (r"d_rel|rotary_dim|pos_emb_(height|width)|max_temporal_embeddings", 8),
    (r"split_ngram_parts|num_query_tokens|latent_query_num|resampler_n(um)?_latents|mm_tokens_per_image", 4),
    (r"(max_|min_|base_)?(image|img)_size|max_source_positions|num_position_embeddings|max_num_patches|img_max_token_num", 64),
    (r"max_vit_seq_len", 64),
    (r"base_channels|window_size|(sliding|attention)_window(_size)?|local_attention|position_embedding_size", 32),
    (r"(.*_)?(head_dim|headdim|dim_head|d_head|d_kv|kv_channels|attention_head_size|dim_per_head|attention_head_dim)", 16),
    (r"(max_position_embeddings|n_positions|n_ctx|max_seq_len|context_length|max_target_positions)", 2048),
    (r"(num_|n_)?((local|routed)_)?experts|moe_num_experts|n_routed_experts|zero_expert_num", 4),
    (r"num_experts_per_tok(en)?|(moe_)?top_?k(_experts)?|moe_k", 2),
    (r"(moe_|expert_)(intermediate|ffn_hidden)_size", 64),
    (r"(.*_)?(intermediate_size(_mlp)?|ffn_dim|d_ff|dff|dim_ff|n_inner|feed_forward_size|ffn_hidden_size|mlp_dim|d_inner|expert_dim)", 128),
    (r"merged_hidden_size", 128),
    (r"(.*_)?(hidden_size|d_model|n_embd|dim|embedding_dim|embed_proj_dim|hidden_dim|projection_dim|output_dim|emb_dim)", _WIDTH),
    (r"(.*_)?(embedding_size|lru_width|hidden_size_global|adapter_(in|out)_dim|adapter_input_size|pooler_output_size)", _WIDTH),
    (r"moe_latent_size|(.*_)?embed_dim|projector_(in|out)put_dim", _WIDTH),
)  # fmt: skip
_PATTERNS: Final = tuple((re.compile(name), most) for name, most in _CAPS)
_KEY_HEADS: Final = re.compile(r"(.*_)?(key_value_heads|kv_heads)|kv_n_heads|num_query_groups")
_HEAD_COUNT: Final = re.compile(r"(.*_)?heads?")
_LISTS: Final[Mapping[str, list[int]]] = {
    "fullatt_block_indexes": [1], "deepstack_visual_indexes": [0], "global_attn_indexes": [1], "intermediate_layers_indices": [0, 1],
    "cross_attention_layers": [1], "hybrid_layer_ids": [1], "mrope_section": [2, 3, 3],
}  # fmt: skip
_OF_KEPT_LAYERS: Final = (
    "full_attn_idxs", "mlp_only_layers", "moe_layers", "rope_scaling_layers", "kv_source_layers", "ple_layer_ids",
)  # fmt: skip
_SECTIONS: Final[Mapping[int, list[int]]] = {8: [2, 3, 3], 4: [2, 1, 1], 2: [1, 1, 0]}
_SPECIAL: Final = (
    "eos_token_id", "pad_token_id", "bos_token_id", "decoder_start_token_id", "forced_eos_token_id", "sep_token_id", "cls_token_id",
)  # fmt: skip
_TWO: Final = ["mamba", "attention"]
_SMALL_COMPASS: Final = {
    kind: {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [3, 3, 2]}
    for kind in ("full_attention", "sliding_attention")
}
_GONE: Final = object()
_OWN: Final[Mapping[str, Mapping[str, Any]]] = {
    "bamba": {"attn_layer_indices": [1]},
    "blenderbot": {"max_position_embeddings": 1024},
    "ctrl": {"n_positions": 1024},
    "chameleon": {"vocabulary_map": {"<image>": 400, "<eoi>": 401, "IMGIMGA": 402, "IMGIMGB": 403}},
    "cohere_compass": {"text_config.rope_parameters": _SMALL_COMPASS},
    "cohere_compass_text": {"rope_parameters": _SMALL_COMPASS},
    "dbrx": {"attn_config.rope_theta": 10_000.0, "attn_config.clip_qkv": 8.0},
    "deepseek_ocr2": {"text_config.mlp_layer_types": ["dense", "sparse"], "text_config.num_experts_per_tok": 2},
    "deepseek_v2": {"num_experts_per_tok": 2},
    "dots1": {
        "n_shared_experts": 1, "n_routed_experts": 4, "num_experts_per_tok": 2, "n_group": 1, "topk_group": 1,
    },
    "emu3": {"vocabulary_map": {"<image>": 400, "<|extra_200|>": 401}},
    "ernie4_5_vl_moe": {"text_config.rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [2, 2, 4]}},
    "fun_asr_nano": {"adaptor_config.intermediate_size": 16},
    "gemma3n_text": {
        "num_hidden_layers": 4, "layer_types": ["sliding_attention", "full_attention"] * 2, "num_kv_shared_layers": 2,
        "activation_sparsity_pattern": [0.0] * 4, "intermediate_size": [128] * 4,
    },
    "glm4v_moe": {"text_config.rope_parameters.mrope_section": [1, 1, 2]},
    "granite4_vision": {"deepstack_layer_map": [[0, 0]], "spatial_target_layers": [1]},
    "granitemoehybrid": {"layer_types": _TWO},
    "hrm_text": {"num_hidden_layers": 2, "num_layers_per_stack": _GONE},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"]},
    "mamba2": {"num_heads": 8, "head_dim": 16, "n_groups": 2},
    "nemotron": {"num_key_value_heads": 2},
    "recurrent_gemma": {
        "num_hidden_layers": 3, "block_types": ["recurrent", "recurrent", "attention"], "layer_types": _GONE,
        "layers_block_type": _GONE, "num_key_value_heads": 1,
    },
    "rwkv": {"attention_hidden_size": 64, "intermediate_size": 128},
    "unlimited_ocr": {"text_config.mlp_layer_types": ["dense", "sparse"]},
    "xlstm": {"num_heads": 2, "qk_dim_factor": 1.0, "v_dim_factor": 1.0},
    "zamba": {
        "num_hidden_layers": 6, "layers_block_type": ["linear_attention", "linear_attention", "hybrid"] * 2, "attention_head_dim": 32,
    },
    "zamba2": {
        "num_hidden_layers": 4, "layers_block_type": ["linear_attention", "hybrid"] * 2, "hybrid_layer_ids": [1, 3],
        "attention_head_dim": 32, "n_mamba_heads": 8,
    },
} | {
    kind: {"text_config.rope_parameters.mrope_section": [2, 3, 3]}
    for kind in (
        "qwen2_vl", "qwen2_5_vl", "glm4v", "glm46v", "glmga", "glm_ocr", "paddleocr_vl", "qwen2_5_omni_thinker",
        "qwen3_omni_moe_thinker",
    )
} | {
    kind: {"head_dim": 16} for kind in ("ministral", "hunyuan_v1_dense", "hunyuan_v1_moe")
} | {
    "hunyuan_vl": {
        "text_config.head_dim": 16,
        "text_config.rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [2, 2, 2, 2]},
    },
    "falcon_h1": {"mamba_d_head": 16},
    "mistral4": {"head_dim": 32},
    "step3p7": {"text_config.sliding_window": 32},
}  # fmt: skip


def tiny(kind: str) -> Any:
    """Return a tiny config of a kind of model, as transformers' own class.

    Raises:
        Exception: the kind's config can't be created from its defaults.
    """
    from transformers import CONFIG_MAPPING

    config_class: Any = CONFIG_MAPPING[kind]
    values = _small(config_class().to_dict(), in_tower=False)
    for path, value in _OWN.get(kind, {}).items():
        _put(values, path.split("."), value)
    for name in ("transformers_version", "architectures", "id2label", "label2id"):
        values.pop(name, None)
    return config_class.from_dict(values)


def _put(values: dict[str, Any], path: list[str], value: Any) -> None:
    *parents, last = path
    for name in parents:
        values = values.setdefault(name, {})
    if value is _GONE:
        values.pop(last, None)
    else:
        values[last] = value


def _small(values: Mapping[str, Any], *, in_tower: bool) -> dict[str, Any]:
    before = next((n for name in _COUNT_OF_LAYERS if isinstance(n := values.get(name), int)), 0)
    kept = [] if in_tower else _kept_layers(values, before)
    layers = len(kept) or 2
    heads = next((n for name in ("num_attention_heads", "n_head", "n_heads", "num_heads") if isinstance(n := values.get(name), int)), 0)  # fmt: skip
    made: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            if name not in ("id2label", "label2id"):
                made[name] = _small_part(name, value, kept, layers, in_tower)
        elif isinstance(value, list):
            made[name] = _small_list(name, value, kept, layers, before)
        elif isinstance(value, int) and not isinstance(value, bool):
            made[name] = _small_number(name, value, layers, heads, in_tower)
        else:
            made[name] = value
    return made | _fixed(values)


def _fixed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that have to match the widths of heads."""
    wanted = {"attention_multiplier": 0.25, "query_pre_attn_scalar": 16, "initializer_range": 0.02}
    return {
        name: value for name, value in wanted.items() if isinstance(values.get(name), int | float)
    }


def _kept_layers(values: Mapping[str, Any], before: int) -> list[int]:
    """Return the numbers of the layers to keep if a config has a value for each: one of each kind, and at least two."""
    rows = [
        value
        for value in values.values()
        if isinstance(value, list) and len(value) == before > 2
        and all(one is None or isinstance(one, str | int) for one in value)
    ]  # fmt: skip
    rows = [row for row in rows if any(isinstance(one, str) for one in row)] or rows
    if not rows:
        return []
    first = {kinds: number for number, kinds in reversed(list(enumerate(zip(*rows, strict=True))))}
    kept = sorted(first.values())[:_MOST_LAYERS]
    spare = (number for number in reversed(range(before)) if number not in kept)
    return sorted(kept if len(kept) > 1 else [*kept, next(spare)])


def _small_part(
    name: str, value: Mapping[str, Any], kept: list[int], layers: int, in_tower: bool
) -> Any:
    if name in ("rope_parameters", "rope_scaling", "swa_rope_parameters"):
        return _small_rope(value)
    if name in ("linear_attn_config", "projector_patch_to_query_dict"):
        return dict(value)
    if name.startswith("per_layer_config") or (value and all(str(key).isdigit() for key in value)):
        return dict(_layers_of(value, kept or list(range(layers))))
    is_part = name.endswith("config") or name in (
        "decoder", "encoder", "text_encoder", "audio_encoder", "qformer", "depth_decoder",
    )  # fmt: skip
    if not is_part:
        return copy.deepcopy(value)
    return _small(value, in_tower=in_tower or bool(_IN_TOWER.search(name)))


def _layers_of(value: Mapping[Any, Any], kept: list[int]) -> Iterator[tuple[Any, Any]]:
    """Yield the values of the layers that are kept, by their new numbers."""
    for new, old in enumerate(kept):
        for key in (old, str(old), f"{old:02d}"):
            if key not in value:
                continue
            one = {name: _small_number(name, number, 2, 0, False) for name, number in value[key].items()}  # fmt: skip
            one |= {name: _HEADS for name in one if _KEY_HEADS.fullmatch(name)}
            if "qk_nope_head_dim" in one:
                one |= {"head_dim": 32, "qk_nope_head_dim": 16, "qk_rope_head_dim": 16}
            yield (new if isinstance(key, int) else str(new)), one


def _small_rope(value: Mapping[str, Any]) -> dict[str, Any]:
    if value and all(one is None or isinstance(one, Mapping) for one in value.values()):
        return {name: one and _small_rope(one) for name, one in value.items()}
    made = copy.deepcopy(dict(value))
    if len(made.get("mrope_section") or ()) == 3:
        numbers = int(16 * (made.get("partial_rotary_factor") or 1)) // 2
        made["mrope_section"] = _SECTIONS[numbers]
    made |= {name: [1.0] * 8 for name in ("short_factor", "long_factor") if isinstance(made.get(name), list)}  # fmt: skip
    if isinstance(made.get("original_max_position_embeddings"), int):
        made["original_max_position_embeddings"] = min(made["original_max_position_embeddings"], 2048)  # fmt: skip
    return made


def _small_list(name: str, value: list[Any], kept: list[int], layers: int, before: int) -> Any:
    if kept and len(value) == before and name not in _LISTS:
        return [value[number] for number in kept]
    if name in _OF_KEPT_LAYERS and kept:
        return [kept.index(number) for number in value if number in kept]
    if name in _LISTS and value:
        return _LISTS[name]
    if name.endswith(("token_id", "token_index", "token_ids")):
        return [2] if name == "eos_token_id" else [min(one, VOCABULARY - 12) for one in value]
    if name == "vision_feature_layer":
        return [0, -1] if len(value) > 1 else [-1]
    return value[:layers] if before > 2 and len(value) == before else copy.deepcopy(value)


def _small_number(name: str, value: Any, layers: int, heads: int, in_tower: bool) -> Any:
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        return value
    if (token := _token(name, value)) is not None:
        return token
    most = next((most for pattern, most in _PATTERNS if pattern.fullmatch(name)), None)
    if most is None and _KEY_HEADS.fullmatch(name):
        most = _HEADS if value == heads else 2
    elif most is None and _HEAD_COUNT.fullmatch(name):
        most = _HEADS
    elif most is None and _LAYERS.fullmatch(name):
        most = 2 if in_tower else layers
    if most is None:
        return value
    return most if value == heads and most == _HEADS else min(value, most)


def _token(name: str, value: int) -> int | None:
    """Return the new number of a token, a vocabulary or an index into one; None for other numbers."""
    if re.fullmatch(r"(\w+_)?vocab_size", name):
        return min(value, VOCABULARY)
    if name in _SPECIAL:
        return 1 if name == "bos_token_id" else 2
    if re.search(r"token_(id|index)$|^(bo|eo)[ia]_", name):
        return value if value <= 5 else 400 + value % 90
    if name == "vocab_offset":
        return 100 if value < 262_200 else 300
    return -1 if name == "vision_feature_layer" else None
