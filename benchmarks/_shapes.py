"""Checkpoints with random weights in published shapes, made in place: no weights, no tokenizer and no network are needed.

A random model computes exactly as much as a trained one. What it writes means nothing.
"""

from __future__ import annotations

import itertools
import json
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

_SHARD_BYTES: Final = 4 << 30
_WEIGHT_BYTES: Final = 2
SPECIAL: Final = ("<|end|>", "<|user|>", "<|assistant|>", "<|system|>")
TEMPLATE: Final = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of a Llama-like model.

    Attributes:
        name: in the tables, and on the command line.
        like: the published model that has this shape; empty for none.
        ties: whether the embedding is also the last layer.
    """

    name: str
    like: str
    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int
    positions: int
    ties: bool

    @property
    def head_dim(self) -> int:
        """The size of one head."""
        return self.hidden // self.heads

    @property
    def config(self) -> Mapping[str, Any]:
        """What is in config.json."""
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_size": self.hidden,
            "intermediate_size": self.intermediate,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_dim,
            "vocab_size": self.vocabulary,
            "max_position_embeddings": self.positions,
            "tie_word_embeddings": self.ties,
            "rope_theta": 500000.0,
            "rms_norm_eps": 1e-05,
            "hidden_act": "silu",
            "eos_token_id": self.vocabulary - len(SPECIAL),
            "bos_token_id": None,
            "pad_token_id": None,
            "dtype": "bfloat16",
            "torch_dtype": "bfloat16",
        }

    def tensors(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield the names and shapes of the weights; those with one dimension are of norms."""
        wide, narrow = self.hidden, self.kv_heads * self.head_dim
        yield "model.embed_tokens.weight", (self.vocabulary, wide)
        for layer in range(self.layers):
            start = f"model.layers.{layer}"
            yield f"{start}.input_layernorm.weight", (wide,)
            yield f"{start}.self_attn.q_proj.weight", (wide, wide)
            yield f"{start}.self_attn.k_proj.weight", (narrow, wide)
            yield f"{start}.self_attn.v_proj.weight", (narrow, wide)
            yield f"{start}.self_attn.o_proj.weight", (wide, wide)
            yield f"{start}.post_attention_layernorm.weight", (wide,)
            yield f"{start}.mlp.gate_proj.weight", (self.intermediate, wide)
            yield f"{start}.mlp.up_proj.weight", (self.intermediate, wide)
            yield f"{start}.mlp.down_proj.weight", (wide, self.intermediate)
        yield "model.norm.weight", (wide,)
        if not self.ties:
            yield "lm_head.weight", (self.vocabulary, wide)

    @property
    def weights_bytes(self) -> int:
        """What the weights take in 16 bits."""
        return sum(_bytes(shape) for _, shape in self.tensors())

    @property
    def cache_bytes_per_token(self) -> int:
        """What the keys and values of a token take in 16 bits."""
        return 2 * self.layers * self.kv_heads * self.head_dim * _WEIGHT_BYTES


SHAPES: Final[Mapping[str, Shape]] = {
    shape.name: shape
    for shape in (
        Shape("tiny", "", 256, 512, 2, 8, 4, 2048, 8192, True),
        Shape("1b", "Llama 3.2 1B", 2048, 8192, 16, 32, 8, 128256, 131072, True),
        Shape("8b", "Llama 3.1 8B", 4096, 14336, 32, 32, 8, 128256, 131072, False),
    )
}  # fmt: skip


def words(count: int) -> Iterator[str]:
    """Yield different words, the shortest first, such that each begins with a shorter one."""
    letters = string.ascii_lowercase
    every = (
        "".join(word)
        for length in itertools.count(1)
        for word in itertools.product(letters, repeat=length)
    )
    return itertools.islice(every, count)


def tokenizer(vocabulary: int) -> str:
    """Return a tokenizer.json: a token for each byte, one for each of as many words as are wanted, and the special ones.

    A word that was written is one token again when the chat is read the next time, as with a real tokenizer.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    space = "Ġ"
    known = {sign: number for number, sign in enumerate(alphabet)}
    merges = []
    for word in words(vocabulary - len(alphabet) - len(SPECIAL)):
        merges.append((space + word[:-1], word[-1]))
        known[space + word] = len(known)
    made = Tokenizer(models.BPE(vocab=known, merges=merges))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(one, special=True, normalized=False) for one in SPECIAL])
    return str(made.to_str())


def prompt(tokens: int, start: int = 0) -> str:
    """Return a text of so many tokens, or one more, for any of the shapes.

    Args:
        tokens: how many.
        start: another number makes another text, from its first token on.
    """
    short = list(words(26 + 26 * 26))
    return "".join(f" {short[(start * 7919 + 31 * place) % len(short)]}" for place in range(tokens))


def write(shape: Shape, folder: Path, device: str) -> Path:
    """Write a checkpoint; one that is already there is kept.

    Args:
        shape: of the model.
        folder: to write to; it is created.
        device: on which the weights are made.
    """
    done = folder / "config.json"
    if done.exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(tokenizer(shape.vocabulary), "utf-8")
    (folder / "tokenizer_config.json").write_text(
        json.dumps(
            {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "eos_token": SPECIAL[0],
                "model_max_length": shape.positions,
                "chat_template": TEMPLATE,
            }
        ),
        "utf-8",
    )
    eos = shape.config["eos_token_id"]
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": eos}), "utf-8")
    _write_weights(shape, folder, device)
    # Last, so that a checkpoint that was only begun is made again.
    done.write_text(json.dumps(shape.config, indent=1), "utf-8")
    return folder


def shards(shape: Shape, most_bytes: int = _SHARD_BYTES) -> list[dict[str, tuple[int, ...]]]:
    """Return the weights, divided among as few files as possible, in their order."""
    found: list[dict[str, tuple[int, ...]]] = [{}]
    size = 0
    for name, dims in shape.tensors():
        if found[-1] and size + _bytes(dims) > most_bytes:
            found.append({})
            size = 0
        found[-1][name] = dims
        size += _bytes(dims)
    return found


def header(tensors: Mapping[str, tuple[int, ...]]) -> bytes:
    """Return the beginning of a safetensors file in bfloat16: its length, and where each tensor is."""
    entries: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, dims in tensors.items():
        entries[name] = {
            "dtype": "BF16",
            "shape": list(dims),
            "data_offsets": [at, at + _bytes(dims)],
        }
        at += _bytes(dims)
    text = json.dumps(entries).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _write_weights(shape: Shape, folder: Path, device: str) -> None:
    import torch

    drawn = torch.Generator(device).manual_seed(7)
    parts = shards(shape)
    names = [f"model-{at:05}-of-{len(parts):05}.safetensors" for at in range(1, len(parts) + 1)]
    places = {tensor: name for name, part in zip(names, parts, strict=True) for tensor in part}
    for name, part in zip(names, parts, strict=True):
        with (folder / name).open("wb") as file:
            file.write(header(part))
            for dims in part.values():
                # So that what the layers add outweighs the embedding, and a reply is more than one token repeated.
                _write_tensor(file, dims, shape.hidden**-0.5, drawn, shape.vocabulary)
    index = {"metadata": {"total_size": shape.weights_bytes}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")


def _write_tensor(
    file: IO[bytes], dims: tuple[int, ...], scale: float, drawn: Any, vocabulary: int
) -> None:
    import torch

    if len(dims) == 1:
        made = torch.ones(dims, dtype=torch.bfloat16)
    else:
        made = torch.empty(dims, dtype=torch.bfloat16, device=drawn.device)
        made.normal_(0.0, scale, generator=drawn)
        if dims[0] == vocabulary:
            # The special tokens never come out on top, so that no reply ends by chance.
            made[-len(SPECIAL) :] = 0
    file.write(memoryview(made.cpu().contiguous().view(torch.uint8).numpy()).cast("B"))


def _bytes(dims: tuple[int, ...]) -> int:
    size = _WEIGHT_BYTES
    for one in dims:
        size *= one
    return size
