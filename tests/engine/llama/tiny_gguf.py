"""Makes GGUF files of tiny random llamas that talk nonsense, whole or in two parts, and ones that something is wrong with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFWriter

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CONTEXT = 512
_WIDTH, _HEADS, _LAYERS, _INNER = 64, 4, 2, 128
_MERGES = ("o n", "on e", "t h", "h e", "t w", "tw o")


def _bytes() -> list[str]:
    """Return the characters that stand for bytes in vocabularies of GPT-2's kind."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(one) if one in plain else chr(next(others)) for one in range(256)]


def tokens() -> list[str]:
    """Return the vocabulary."""
    return [*_bytes(), *(one.replace(" ", "") for one in _MERGES), "<|im_start|>", "<|im_end|>"]


def tensors() -> dict[str, np.ndarray]:
    """Return weights by their names."""
    chance = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (len(tokens()), _WIDTH),
        "output_norm.weight": (_WIDTH,),
    }
    for layer in range(_LAYERS):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            shapes[f"blk.{layer}.{name}.weight"] = (_WIDTH, _WIDTH)
        shapes[f"blk.{layer}.ffn_gate.weight"] = (_INNER, _WIDTH)
        shapes[f"blk.{layer}.ffn_up.weight"] = (_INNER, _WIDTH)
        shapes[f"blk.{layer}.ffn_down.weight"] = (_WIDTH, _INNER)
        for name in ("attn_norm", "ffn_norm"):
            shapes[f"blk.{layer}.{name}.weight"] = (_WIDTH,)
    return {
        name: np.ones(shape, np.float32)
        if len(shape) == 1
        else chance.normal(0, 0.3, shape).astype(np.float32)
        for name, shape in shapes.items()
    }


def make(
    path: Path,
    *,
    template: str | None = TEMPLATE,
    architecture: str = "llama",
    values: Mapping[str, Any] | None = None,
    parts: int = 1,
) -> Path:
    """Write a model; return its file, or the first of them.

    Args:
        path: without the number of a part.
        template: its chat template.
        architecture: as llama.cpp names it.
        values: more of its numbers, or other ones.
        parts: how many files it is in.
    """
    whole = list(tensors().items())
    files = [
        path if parts == 1 else path.with_name(f"{path.stem}-{n + 1:05}-of-{parts:05}.gguf")
        for n in range(parts)
    ]
    for number, file in enumerate(files):
        writer = GGUFWriter(file, architecture)
        if number == 0:
            _describe(writer, template, values or {})
        if parts > 1:
            writer.add_uint16("split.no", number)
            writer.add_uint16("split.count", parts)
            writer.add_int32("split.tensors.count", len(whole))
        for name, tensor in whole[number::parts]:
            writer.add_tensor(name, tensor)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    return files[0]


def _describe(writer: GGUFWriter, template: str | None, values: Mapping[str, Any]) -> None:
    numbers = {
        "context_length": CONTEXT,
        "embedding_length": _WIDTH,
        "block_count": _LAYERS,
        "feed_forward_length": _INNER,
        "attention.head_count": _HEADS,
        "attention.head_count_kv": _HEADS,
        "rope.dimension_count": _WIDTH // _HEADS,
        **values,
    }
    for name, value in numbers.items():
        writer.add_uint32(f"{writer.arch}.{name}", value)
    writer.add_float32(f"{writer.arch}.attention.layer_norm_rms_epsilon", 1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens())
    writer.add_token_types([1] * (len(tokens()) - 2) + [3, 3])
    writer.add_token_merges(list(_MERGES))
    writer.add_bos_token_id(len(tokens()) - 2)
    writer.add_eos_token_id(len(tokens()) - 1)
    writer.add_add_bos_token(False)
    if template is not None:
        writer.add_chat_template(template)
