"""Makes tiny random checkpoints of several architectures, small enough to be made in a test."""

from __future__ import annotations

import json
from pathlib import Path

SIMPLE_TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
NO_SYSTEM_TEMPLATE = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('must alternate') }}{% endif %}"
    "<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
THINKING_TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}"
)
ROLES = ("<|system|>", "<|user|>", "<|assistant|>")


def bytewise():
    """The backend of a tokenizer with one token per byte."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    vocabulary = {c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    return backend


def tokenizer(template=SIMPLE_TEMPLATE, **options):
    """A byte-level tokenizer: any text, one token per byte, so that characters are split at every byte."""
    from transformers import PreTrainedTokenizerFast

    made = PreTrainedTokenizerFast(
        tokenizer_object=bytewise(), eos_token="<|end|>", bos_token="<|start|>", **options
    )
    made.add_special_tokens({"additional_special_tokens": list(ROLES)})
    made.add_tokens(["<think>", "</think>"])
    made.chat_template = template
    return made


def checkpoint(
    folder: Path, config, template=SIMPLE_TEMPLATE, *, model_class=None, sharp=False, **generation
) -> Path:
    """Save a random model of a config, with a tokenizer, as a folder.

    Args:
        model_class: of transformers; None for the one that writes text.
        sharp: make the weights so large that a reply depends on all that came before.
    """
    import torch
    from transformers import AutoModelForCausalLM

    made = tokenizer(template)
    text = config.get_text_config()
    text.vocab_size = len(made)
    text.eos_token_id = made.eos_token_id
    text.bos_token_id = text.pad_token_id = None
    torch.manual_seed(7)
    if model_class is None:
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    else:
        model = model_class(config)
    if sharp:
        sharpen(model)
    model.save_pretrained(folder)
    made.save_pretrained(folder)
    # A random model must not end its turn by chance.
    settings = {"eos_token_id": made.eos_token_id, **generation}
    (folder / "generation_config.json").write_text(json.dumps(settings))
    return folder


def sharpen(model):
    import torch

    drawn = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() == 2:
                scale = 1.0 if "embed" in name else 0.3
                weight.copy_(torch.randn(weight.shape, generator=drawn) * scale)


def _sizes(**more):
    return {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 512, "tie_word_embeddings": True, **more,
    }  # fmt: skip


def llama(folder: Path, template=SIMPLE_TEMPLATE, *, sizes=(), **generation) -> Path:
    from transformers import LlamaConfig

    return checkpoint(folder, LlamaConfig(**_sizes(**dict(sizes))), template, **generation)


def sliding(folder: Path) -> Path:
    from transformers import MistralConfig

    return checkpoint(folder, MistralConfig(**_sizes(sliding_window=16)))


def recurrent(folder: Path) -> Path:
    """Recurrent layers only, whose state goes on exactly over any number of tokens."""
    from transformers import Mamba2Config

    config = Mamba2Config(
        hidden_size=32, state_size=8, num_hidden_layers=2, num_heads=8, head_dim=8, n_groups=1, expand=2
    )  # fmt: skip
    return checkpoint(folder, config)


def forgetful(folder: Path) -> Path:
    """Recurrent layers whose state, in transformers, goes on exactly by one token only."""
    from transformers import MambaConfig

    return checkpoint(
        folder, MambaConfig(hidden_size=32, state_size=8, num_hidden_layers=2, intermediate_size=64)
    )


def mixed(folder: Path) -> Path:
    """Layers that see all tokens and layers that see a window, by turns."""
    from transformers import Gemma3TextConfig

    config = Gemma3TextConfig(**_sizes(num_hidden_layers=4), head_dim=8, sliding_window=16)
    config.layer_types = ["sliding_attention", "full_attention"] * 2
    return checkpoint(folder, config)


def hybrid(folder: Path) -> Path:
    """Recurrent layers and layers of attention, by turns."""
    from transformers import Qwen3NextConfig

    config = Qwen3NextConfig(
        **_sizes(num_hidden_layers=4), head_dim=16, linear_num_key_heads=2, linear_num_value_heads=4,
        linear_key_head_dim=8, linear_value_head_dim=8, num_experts=4, num_experts_per_tok=2,
        moe_intermediate_size=16, shared_expert_intermediate_size=16,
    )  # fmt: skip
    return checkpoint(folder, config)


def _long(**more):
    """Frequencies of longrope that change after 64 tokens, for heads of eight numbers."""
    return {
        "rope_type": "longrope", "rope_theta": 10_000.0, "original_max_position_embeddings": 64,
        "short_factor": [1.0] * 4, "long_factor": [4.0, 8.0, 12.0, 16.0], **more,
    }  # fmt: skip


def longrope(folder: Path) -> Path:
    """Longrope in a model whose `generate` gives up its cache when the frequencies change."""
    from transformers import Phi3Config

    config = Phi3Config(
        **_sizes(), original_max_position_embeddings=64, rope_parameters=_long(), sliding_window=None, pad_token_id=0
    )  # fmt: skip
    return checkpoint(folder, config, sharp=True)


def longrope_experts(folder: Path) -> Path:
    """Longrope with a scale of its own for long texts."""
    from transformers import PhimoeConfig

    rope = _long(short_mscale=1.1, long_mscale=1.3)
    config = PhimoeConfig(
        **_sizes(), original_max_position_embeddings=64, rope_parameters=rope, num_local_experts=4, sliding_window=None
    )  # fmt: skip
    return checkpoint(folder, config, sharp=True)


def longrope_kept(folder: Path) -> Path:
    """Longrope in a model whose `generate` goes on with its cache."""
    from transformers import LlamaConfig

    return checkpoint(folder, LlamaConfig(**_sizes(), rope_parameters=_long()), sharp=True)


def dynamic_rope(folder: Path) -> Path:
    """Frequencies of their own for each length over 64 tokens, up to 512."""
    from transformers import LlamaConfig

    rope = {"rope_type": "dynamic", "factor": 8.0, "rope_theta": 10_000.0}
    config = LlamaConfig(**_sizes(max_position_embeddings=64), rope_parameters=rope)
    return checkpoint(folder, config, sharp=True)


def rope_by_layers(folder: Path, kind="dynamic") -> Path:
    """Frequencies that depend on the length in one type of layers only."""
    from transformers import Gemma3TextConfig

    wide = {"rope_type": "dynamic", "factor": 8.0, "rope_theta": 10_000.0}
    longest = 64 if kind == "dynamic" else 512
    sizes = _sizes(num_hidden_layers=4, max_position_embeddings=longest)
    config = Gemma3TextConfig(**sizes, head_dim=8, sliding_window=16)
    config.layer_types = ["sliding_attention", "full_attention"] * 2
    config.rope_parameters = {
        "sliding_attention": {"rope_type": "default", "rope_theta": 10_000.0},
        "full_attention": wide if kind == "dynamic" else _long(),
    }
    return checkpoint(folder, config, sharp=True)


_EYE = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 32, "patch_size": 8,
}  # fmt: skip


def seeing(folder: Path) -> Path:
    """A model with a tower for pictures beside its language model."""
    from transformers import LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    text = LlamaConfig(**_sizes(tie_word_embeddings=False))
    config = LlavaConfig(
        vision_config={"model_type": "clip_vision_model", **_EYE}, text_config=text
    )
    return checkpoint(folder, config, model_class=LlavaForConditionalGeneration, sharp=True)


def hearing(folder: Path) -> Path:
    """A model with a tower for sounds beside its language model."""
    from transformers import Qwen2AudioConfig, Qwen2AudioForConditionalGeneration, Qwen2Config

    ear = {
        "d_model": 32, "encoder_layers": 1, "encoder_attention_heads": 4, "encoder_ffn_dim": 64, "num_mel_bins": 16,
        "max_source_positions": 20,
    }  # fmt: skip
    config = Qwen2AudioConfig(audio_config=ear, text_config=Qwen2Config(**_sizes()).to_dict())
    return checkpoint(folder, config, model_class=Qwen2AudioForConditionalGeneration, sharp=True)


def own_cache(folder: Path) -> Path:
    """Recurrent layers with a cache of a class of their own."""
    from transformers import xLSTMConfig

    config = xLSTMConfig(
        hidden_size=64, num_hidden_layers=2, num_heads=2, qk_dim_factor=1.0, v_dim_factor=1.0
    )  # fmt: skip
    return checkpoint(folder, config)


def unmasked_window(folder: Path) -> Path:
    """A model that sees all tokens, and whose cache keeps a window of them."""
    from transformers import MoshiConfig

    config = MoshiConfig(
        **_sizes(tie_word_embeddings=False),
        head_dim=8,
        sliding_window=16,
        ffn_dim=64,
        num_codebooks=2,
    )
    return checkpoint(folder, config, sharp=True)


def read_both_ways(folder: Path, **more) -> Path:
    """An encoder, unless it is told to be a decoder."""
    from transformers import BertConfig

    sizes = {key: value for key, value in _sizes().items() if key != "num_key_value_heads"}
    return checkpoint(folder, BertConfig(**sizes, **more), sharp=True)


def shared_layers(folder: Path) -> Path:
    """A block of attention that several layers share."""
    from transformers import Zamba2Config

    config = Zamba2Config(
        hidden_size=64, intermediate_size=128, num_hidden_layers=6, num_attention_heads=4, num_key_value_heads=4,
        layers_block_type=["linear_attention", "hybrid"] * 3, hybrid_layer_ids=[1, 3, 5], attention_head_dim=32,
        mamba_headdim=16, n_mamba_heads=8, mamba_d_state=8, mamba_ngroups=1, num_mem_blocks=1, adapter_rank=32,
        use_shared_attention_adapter=False, max_position_embeddings=512,
    )  # fmt: skip
    return checkpoint(folder, config)


def rescaled(folder: Path) -> Path:
    """A model that divides the weights of some layers in place."""
    from transformers import RwkvConfig

    config = RwkvConfig(
        hidden_size=64, attention_hidden_size=64, intermediate_size=128, num_hidden_layers=2, rescale_every=1
    )  # fmt: skip
    return checkpoint(folder, config)


def transposed(folder: Path) -> Path:
    """Linear layers with a row for each input."""
    from transformers import GPT2Config

    return checkpoint(folder, GPT2Config(n_embd=64, n_layer=2, n_head=4, n_positions=512))


def latent(folder: Path) -> Path:
    """Attention whose keys and values are made of something smaller, with a head's dimension of its own."""
    from transformers import DeepseekV3Config

    config = DeepseekV3Config(
        **_sizes(hidden_size=64, num_key_value_heads=4), moe_intermediate_size=64, n_routed_experts=4, num_experts_per_tok=2,
        n_group=1, topk_group=1, first_k_dense_replace=1, q_lora_rank=32, kv_lora_rank=32, qk_nope_head_dim=16, qk_rope_head_dim=16,
        v_head_dim=16,
    )  # fmt: skip
    return checkpoint(folder, config)


def captioning(folder: Path) -> Path:
    """A model that writes about a picture, and only then."""
    from transformers import BlipConfig, BlipForConditionalGeneration

    text = {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4, "projection_dim": 32,
        "encoder_hidden_size": 32, "max_position_embeddings": 64,
    }  # fmt: skip
    config = BlipConfig(text_config=text, vision_config=_EYE, projection_dim=32)
    return checkpoint(folder, config, model_class=BlipForConditionalGeneration)
