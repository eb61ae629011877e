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


def tokenizer(template=SIMPLE_TEMPLATE, **options):
    """A byte-level tokenizer: any text, one token per byte, so that characters are split at every byte."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<|end|>", bos_token="<|start|>", **options
    )
    made.add_special_tokens({"additional_special_tokens": list(ROLES)})
    made.add_tokens(["<think>", "</think>"])
    made.chat_template = template
    return made


def checkpoint(folder: Path, config, template=SIMPLE_TEMPLATE, **generation) -> Path:
    """Save a random model of a config, with a tokenizer, as a folder."""
    import torch
    from transformers import AutoModelForCausalLM

    made = tokenizer(template)
    config.vocab_size = len(made)
    config.eos_token_id = made.eos_token_id
    config.bos_token_id = config.pad_token_id = None
    torch.manual_seed(7)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.save_pretrained(folder)
    made.save_pretrained(folder)
    # A random model must not end its turn by chance.
    settings = {"eos_token_id": made.eos_token_id, **generation}
    (folder / "generation_config.json").write_text(json.dumps(settings))
    return folder


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
