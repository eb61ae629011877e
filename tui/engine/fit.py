"""Estimates the memory that a model needs before it is loaded, and whether it fits.

The figures are worked out from the shapes in the files' headers, quantization by quantization, and compared with what is free
now. They leave out what a backend takes for itself, which is why `tight` begins well below the brim.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from tui.dataclass import dataclass
from tui.engine.facts import ModelFacts
from tui.engine.quantization import QUANTIZATIONS

AUTO: Final = "auto"
DEFAULT_CONTEXT_TOKENS: Final = 4096
"""The context that an estimate is made for, unless the model takes less."""
_TIGHT_SHARE: Final = 0.85
_WORKSPACE_BYTES: Final = 128 * 2**20
"""What activations and the backend take beside weights and cache, roughly, for a prompt computed in chunks."""
_LLAMA_CACHE: Final = "float16"
"""What llama.cpp keeps keys and values in."""
_LLAMA_MOST_TOKENS: Final = 32_768
_LLAMA_CACHE_PART: Final = 4
"""Which part of the memory beside the weights the cache may take by itself: this is divided by it."""
_LLAMA_STEP: Final = 256
"""llama.cpp rounds to so many tokens."""
_LEFT_BY: Final[Mapping[str, tuple[str, ...]]] = {
    "falcon": ("bitsandbytes", "torchao"),
    **dict.fromkeys(("gpt2", "openai-gpt", "imagegpt"), ("torchao",)),
}
"""Kinds whose linear layers are of a class of their own, and the packages that take no such layers and leave the model whole."""
_DTYPE_BYTES: Final[Mapping[str, int]] = {"float32": 4, "bfloat16": 2, "float16": 2, "float64": 8}


class Grade(StrEnum):
    """Whether a model fits, in plain words."""

    FITS = "fits"
    TIGHT = "tight"
    TOO_BIG = "too big"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Need:
    """What a model needs in memory, in bytes.

    Attributes:
        weights_bytes: its parameters, as the quantization holds them.
        cache_bytes: keys and values of a full context.
        context_tokens: how long that context is.
    """

    weights_bytes: int
    cache_bytes: int
    context_tokens: int

    @property
    def total_bytes(self) -> int:
        """All of it, with some room to work in."""
        return self.weights_bytes + self.cache_bytes + self.other_bytes

    @property
    def other_bytes(self) -> int:
        """Room to work in: activations, and what the backend takes."""
        return _WORKSPACE_BYTES


def need(
    facts: ModelFacts,
    quantization: str = "none",
    *,
    dtype: str = AUTO,
    half_dtype: str = "bfloat16",
    context_tokens: int = 0,
    double_quant: bool = True,
    device: str = "",
    free_bytes: int = 0,
) -> Need | None:
    """Return what a model needs; None when its files don't tell.

    Args:
        facts: what is known of it.
        quantization: a name in `QUANTIZATIONS`; without effect on a checkpoint that is already quantized.
        dtype: of the weights that are not quantized, and of the cache; `AUTO` for the one that loading chooses.
        half_dtype: the 16-bit type of the device; empty when it has none.
        context_tokens: the context to make room for; 0 for `DEFAULT_CONTEXT_TOKENS`, or less where the model takes less.
        double_quant: whether 4-bit scales are quantized too.
        device: that it goes to, as torch names it; empty when that is not known.
        free_bytes: of memory, by which llama.cpp's context is chosen.
    """
    if facts.engine:
        return llama_need(facts, free_bytes, context_tokens)
    if not facts.parameters and not facts.stored_bytes:
        return None
    wanted = context_tokens or DEFAULT_CONTEXT_TOKENS
    context = min(wanted, facts.context_tokens) if facts.context_tokens else wanted
    held = held_dtype(facts.config_dtype or facts.dtype, half_dtype) if dtype == AUTO else dtype
    weights = weights_bytes(
        facts, quantization, dtype=held, double_quant=double_quant, device=device
    )
    return Need(weights, cache_bytes(facts, context, dtype=held), context)


def llama_context(facts: ModelFacts, free_bytes: int, wanted: int = 0) -> int:
    """Return how many tokens llama.cpp makes room for, which it does when it loads a model.

    Args:
        facts: what is known of the model.
        free_bytes: of memory, before it is loaded.
        wanted: what the user wants; 0 for as many as the model takes, but not so many that they take much of the memory.
    """
    most = facts.context_tokens or DEFAULT_CONTEXT_TOKENS
    if wanted:
        return min(wanted, most)
    each = cache_bytes(facts, 1, dtype=_LLAMA_CACHE)
    room = max(0, free_bytes - facts.stored_bytes) // _LLAMA_CACHE_PART
    fitting = room // each if each else most
    tokens = max(DEFAULT_CONTEXT_TOKENS, min(fitting, _LLAMA_MOST_TOKENS))
    return min(most, tokens // _LLAMA_STEP * _LLAMA_STEP)


def llama_need(facts: ModelFacts, free_bytes: int, context_tokens: int = 0) -> Need | None:
    """Return what a GGUF file needs in llama.cpp: its weights as they are in the file, and room for the whole context.

    Args:
        facts, free_bytes: as for `llama_context`.
        context_tokens: that the user wants; 0 for those of `llama_context`.
    """
    if not facts.stored_bytes:
        return None
    context = llama_context(facts, free_bytes, context_tokens)
    return Need(facts.stored_bytes, cache_bytes(facts, context, dtype=_LLAMA_CACHE), context)


def held_dtype(stored: str, half_dtype: str) -> str:
    """Return the dtype that a model is held in when nobody names one: 16 bits wherever the device computes with them.

    Args:
        stored: the dtype of its config; empty when that is not known.
        half_dtype: the 16-bit type of the device; empty when it has none.
    """
    if half_dtype:
        return half_dtype
    # float16 has no fast kernels on a CPU; bfloat16 at least keeps its memory.
    return "float32" if stored in ("", "float16") else stored


def weights_bytes(
    facts: ModelFacts,
    quantization: str = "none",
    *,
    dtype: str,
    double_quant: bool = True,
    device: str = "",
) -> int:
    """Return what a model's parameters take once they are loaded; see `need`."""
    if facts.method or not facts.parameters:
        return facts.stored_bytes - facts.tower_bytes
    size = _DTYPE_BYTES.get(dtype, 2)
    entry = QUANTIZATIONS[quantization]
    if entry.linear_bytes is None or entry.package in _LEFT_BY.get(facts.architecture, ()):
        return (facts.parameters - facts.typed_weights) * size + facts.typed_bytes
    total = facts.other_weights * size + facts.typed_bytes
    for (rows, columns), count in facts.linears.items():
        whole = rows * columns * size
        held = entry.bytes_of(rows, columns, double_quant, device)
        # Other libraries leave what stands in several places as it is.
        left = facts.shared_linears.get((rows, columns), 0) if entry.package else 0
        total += left * whole + (count - left) * (whole if held is None else held)
    return total


def cache_bytes(facts: ModelFacts, context_tokens: int, *, dtype: str = "bfloat16") -> int:
    """Return what the keys and values of so many tokens take.

    Layers with a sliding window count like the others: what slides out of a window is kept, so that the chat can be cut back.
    """
    per_token = 2 * facts.kv_heads * facts.head_dim * _DTYPE_BYTES.get(dtype, 2)
    return per_token * max(0, facts.layers - facts.stateless_layers) * context_tokens


def grade(needed: Need | None, free_bytes: int) -> Grade:
    """Return whether the required memory fits into the free memory."""
    if needed is None or free_bytes <= 0:
        return Grade.UNKNOWN
    share = needed.total_bytes / free_bytes
    if share > 1:
        return Grade.TOO_BIG
    return Grade.TIGHT if share > _TIGHT_SHARE else Grade.FITS
