"""Tiny models that say a fixed text: a table of which token follows which, in the clothes of a Llama."""

from __future__ import annotations

import json
from pathlib import Path

from tests.engine import tiny

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
NEWLINE = "\u010a"
"""How a byte-level tokenizer writes the byte of a line break: the last token of a ChatML prompt."""


def tokenizer(
    template=CHATML, specials=("<|im_start|>", "<|im_end|>"), pieces=(), eos="<|im_end|>"
):
    """One token per byte, special tokens, and ordinary added tokens, each with any text."""
    from tokenizers import AddedToken
    from transformers import PreTrainedTokenizerFast

    made = PreTrainedTokenizerFast(tokenizer_object=tiny.bytewise(), eos_token=eos)
    others = [token for token in specials if token != eos]
    made.add_special_tokens({"additional_special_tokens": others})
    made.add_tokens([AddedToken(piece, normalized=False, special=False) for piece in pieces])
    made.chat_template = template
    return made


def saying(folder: Path, made, said, after=NEWLINE, **generation) -> Path:
    """Save a model that says these tokens, each at most once, after the one that a prompt ends with, and then ends its turn."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    chain = [made.convert_tokens_to_ids(text) for text in (after, *said)]
    assert None not in chain
    assert len(set(chain)) == len(chain)
    size = len(made)
    width = -(-size // 16) * 16
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=size, hidden_size=width, intermediate_size=16, num_hidden_layers=1, num_attention_heads=4,
            num_key_value_heads=4, max_position_embeddings=2048, tie_word_embeddings=False,
            eos_token_id=made.eos_token_id, bos_token_id=None, pad_token_id=None,
        )
    )  # fmt: skip
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.fill_(1.0 if "norm" in name else 0.0)
        model.model.embed_tokens.weight[torch.arange(size), torch.arange(size)] = 1.0
        following = dict(zip(chain, [*chain[1:], made.eos_token_id], strict=True))
        for token in range(size):
            model.lm_head.weight[following.get(token, made.eos_token_id), token] = 4.0
    model.save_pretrained(folder)
    made.save_pretrained(folder)
    settings = {"eos_token_id": made.eos_token_id, **generation}
    (folder / "generation_config.json").write_text(json.dumps(settings))
    return folder
