"""Facts about a model from its files' headers, read before anything is loaded: size, shapes, context, template.

Works on folders, GGUF files and what the Hub sends of a repository. Neither torch nor transformers is imported.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any, Final

from tui.dataclass import dataclass
from tui.engine import (
    checkpoint,
    config_values,
    context,
    limits,
    model_files,
    stale_quantization,
    stand_ins,
    template_files,
    towers,
)
from tui.engine.base import ModelLoadError
from tui.engine.gguf_files import read_whole
from tui.engine.limits import Shape, count
from tui.engine.safetensors_header import DTYPE_BYTES
from tui.engine.safetensors_header import read_header as read_safetensors_header
from tui.pattern import pattern

_DTYPE_NAMES: Final = {"F32": "float32", "F16": "float16", "BF16": "bfloat16", "F64": "float64"}
_NOT_LINEAR: Final = pattern(
    r"(embed|wte|wpe|norm|lm_head|output_layer|rotary|\.experts\.(gate_up_proj|down_proj)$|router|conv|A_log)"
    # Layers whose weights models' code reads itself, and those that are several in one.
    r"|\.(dt_proj|weights_proj|wg|classifier|attention\.output|feed_forward\.value|wo_a|o_a_proj)\.weight$|((^|\.)head|^output)\.weight$"
    # The router of the experts.
    r"|(\.(mlp|ffn|moe|feed_forward|block_sparse_moe)|(^|\.)layers\.\d+)\.gate\.weight$"
)
_SHARED: Final = pattern(r"\.shared_transf\w*\.")
"""Parts that stand in several places of a model and in its files once. The layers in them are its own to keep, for other libraries."""
_EMBEDDINGS: Final = pattern(r"(^|\.)(\w*embed\w*|wte)\.weight$")
_EXPERT: Final = pattern(r"\.experts\.\d+\.")
_GGUF_NOT_LINEAR: Final = pattern(r"^(token_embd|output|position_embd)|norm|_exps|ssm_")
_CODES: Final = {name: code for code, name in _DTYPE_NAMES.items()}
_WEIGHT: Final = ".weight"
"""How the names of linear layers' weights end; tables and factors have names of their own."""
_HALF: Final = ("BF16", "F16")
_KEEPS_TYPE: Final = ("F32", "I64", "I32", "I16", "I8", "U8", "BOOL")
"""Types that a weight has in a checkpoint of 16 bits only where the model wants it so, and keeps it."""
_EXPERT_COUNTS: Final = ("num_local_experts", "num_experts", "n_routed_experts")
_STATELESS: Final = ("linear_attention", "recurrent", "mamba", "conv", "mlp", "moe")
_LONGEST_NAME: Final = 100
_GGUF: Final = "GGUF"


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A model as its files describe it. Zero and empty mean unknown.

    Attributes:
        architecture: as in `llama`.
        parameters: how many numbers its weights are.
        linears: (outputs, inputs) of each linear layer that a quantization would take, and how many there are of each.
        shared_linears: those of `linears` that only this program's own quantizations take, since they stand in several places.
        other_weights: parameters that no quantization takes: embeddings, norms, experts that are kept in one piece.
        typed_weights: parameters that keep the type they are stored in, whatever the dtype and the quantization; not in the two above.
        typed_bytes: what these take.
        tower_weights: parameters of what a model sees or hears with, which a load for text leaves out; not in the other figures.
        stored_bytes: what the weights take on the disk.
        tower_bytes: of these, what it sees or hears with takes.
        dtype: of most of them.
        config_dtype: that the config names, and loading goes by; empty when there is no config.
        method: how the checkpoint is already quantized; empty if it isn't.
        layers, kv_heads, head_dim: the shape of the KV cache.
        stateless_layers: layers that keep no keys and values.
        context_tokens: the longest context.
        has_template: whether there is a chat template; None when that is not known.
        is_mixture: whether it is a mixture of experts.
        engine: what runs it; empty for transformers.
    """

    architecture: str = ""
    parameters: int = 0
    linears: Mapping[tuple[int, int], int] = field(default_factory=dict)
    shared_linears: Mapping[tuple[int, int], int] = field(default_factory=dict)
    other_weights: int = 0
    typed_weights: int = 0
    typed_bytes: int = 0
    tower_weights: int = 0
    stored_bytes: int = 0
    tower_bytes: int = 0
    dtype: str = ""
    config_dtype: str = ""
    method: str = ""
    layers: int = 0
    kv_heads: int = 0
    head_dim: int = 0
    stateless_layers: int = 0
    context_tokens: int = 0
    has_template: bool | None = None
    is_mixture: bool = False
    engine: str = ""

    @property
    def is_gguf(self) -> bool:
        """Whether it is in GGUF files."""
        return self.dtype.startswith(_GGUF)


def folder_facts(folder: Path) -> ModelFacts:
    """Return what a folder with config.json and weights says of its model.

    Raises:
        ModelLoadError: config.json is missing or can't be read. Weights that can't be read are left out.
    """
    config = read_config(folder)
    try:
        weights = checkpoint.find_weights(folder)
        tensors = weights.tensors
        stored = model_files.total_bytes(folder / name for name in weights.files)
    except ModelLoadError:
        tensors, stored = _what_is_there(folder)
    config = dict(stale_quantization.without(config, tensors))
    if not tensors and stored:
        tensors = _likely_tensors(config, stored)
    return facts_of(config, tensors, stored, has_template=template_files.is_there(folder))


def _what_is_there(folder: Path) -> tuple[Mapping[str, tuple[str, Shape]], int]:
    """Return the tensors of weights that are not complete, and what these take."""
    tensors: dict[str, tuple[str, Shape]] = {}
    stored = 0
    try:
        for path in model_files.entries(folder, "*.safetensors"):
            with contextlib.suppress(OSError, ValueError):
                tensors |= read_safetensors_header(path)
                stored += path.stat().st_size
            if len(tensors) > limits.TENSORS:
                break
        return tensors, stored or model_files.total_bytes(model_files.entries(folder, "*.bin"))
    except OSError as error:
        raise ModelLoadError(
            f"The folder {folder} can't be read ({error.strerror or error}).",
            "Check its permissions.",
        ) from error


def _likely_tensors(config: Mapping[str, Any], stored: int) -> dict[str, tuple[str, Shape]]:
    """Return tensors such as files of so many bytes must hold that tell no shapes: embeddings, and the rest as layers."""
    text = text_config(config)
    if quantization_method(config):
        return {}
    kind = _CODES.get(_config_dtype(text) or _config_dtype(config) or "float32", "F32")
    width = count(text, limits.WIDTH, "hidden_size", "n_embd", "d_model")
    vocabulary = count(text, limits.VOCABULARY, "vocab_size")
    weights = stored // DTYPE_BYTES[kind]
    embeddings = [] if config.get("tie_word_embeddings", False) else ["lm_head.weight"]
    found = dict.fromkeys(("embed_tokens.weight", *embeddings), (kind, (vocabulary, width)))
    rows = (weights - len(found) * vocabulary * width) // width if width else 0
    if rows <= 0 or rows > limits.PARAMETERS // width:
        return {"embed_tokens.weight": (kind, (weights, 1))}
    is_mixture = count(text, limits.EXPERTS, *_EXPERT_COUNTS)
    # Experts stay in one piece.
    rest = "layers.experts.down_proj" if is_mixture else "layers.weight"
    return {**found, rest: (kind, (rows, width))}


def gguf_facts(path: Path) -> ModelFacts:
    """Return what a GGUF file, with its other parts, says of its model, which transformers will hold in 16 bits.

    Raises:
        ModelLoadError: it is not a whole GGUF file, or no model.
    """
    whole = read_whole(path)
    header = whole.header
    linears: dict[tuple[int, int], int] = {}
    quantized = 0
    for name, shape in header.tensors.items():
        if len(shape) == 2 and not _GGUF_NOT_LINEAR.search(name):
            key = (shape[1], shape[0])
            linears[key] = linears.get(key, 0) + 1
            quantized += math.prod(shape)
    heads = header.number("attention.head_count", limits.HEADS)
    width = header.number("embedding_length", limits.WIDTH)
    kind = max(header.kinds, key=lambda name: header.kinds[name], default="")
    return ModelFacts(
        architecture=header.architecture,
        parameters=header.parameters,
        linears=linears,
        other_weights=header.parameters - quantized,
        stored_bytes=model_files.total_bytes(whole.parts),
        dtype=f"{_GGUF} {kind}".strip(),
        config_dtype="bfloat16",
        layers=header.number("block_count", limits.LAYERS),
        kv_heads=header.number("attention.head_count_kv", limits.HEADS) or heads,
        head_dim=header.number("attention.key_length", limits.HEAD_DIM)
        or (width // heads if heads else 0),
        context_tokens=header.number("context_length", limits.CONTEXT_TOKENS),
        has_template=template_files.chosen(header.values.get("tokenizer.chat_template"))
        is not None,
        is_mixture=bool(header.number("expert_count", limits.EXPERTS)),
    )


def facts_of(
    config: Mapping[str, Any],
    tensors: Mapping[str, tuple[str, Shape]],
    stored_bytes: int = 0,
    *,
    has_template: bool | None = None,
) -> ModelFacts:
    """Return the facts that a config and the names, dtypes and shapes of the weights tell.

    Args:
        config: config.json; may be empty.
        tensors: by their names.
        stored_bytes: what the weights take on the disk; 0 to add it up.
        has_template: whether there is a chat template.
    """
    method = quantization_method(config)
    text = text_config(config)
    counts: dict[str, int] = {}
    linears: dict[tuple[int, int], int] = {}
    shared: dict[tuple[int, int], int] = {}
    other = tower_weights = tower_bytes = typed = typed_bytes = 0
    has_towers = towers.has_language_model(config)
    embeddings = _embeddings(tensors)
    # What the config of the language model inside another one says of it does not hold.
    tied = bool(config.get("tie_word_embeddings", False))
    is_half = _is_half(tensors)
    for name, (dtype, shape) in tensors.items():
        # One of another shape can't be the embeddings, whatever the config says.
        if tied and name.endswith("lm_head.weight") and shape in (embeddings or (shape,)):
            continue
        size = math.prod(shape)
        if has_towers and towers.is_of_tower(name):
            tower_weights += size
            tower_bytes += DTYPE_BYTES.get(dtype, 2) * size
            continue
        counts[dtype] = counts.get(dtype, 0) + size
        if is_half and dtype in _KEEPS_TYPE and not method:
            typed += size
            typed_bytes += DTYPE_BYTES.get(dtype, 2) * size
        elif len(shape) == 2 and not method and not _is_kept(name):
            key = (shape[0], shape[1])
            linears[key] = linears.get(key, 0) + 1
            if _SHARED.search(name):
                shared[key] = shared.get(key, 0) + 1
        else:
            other += size
    stored = stored_bytes or tower_bytes + sum(
        DTYPE_BYTES.get(kind, 2) * size for kind, size in counts.items()
    )
    heads = count(text, limits.HEADS, "num_attention_heads", "n_head")
    width = count(text, limits.WIDTH, "hidden_size", "n_embd")
    common = max(counts, key=lambda kind: counts[kind], default="")
    return ModelFacts(
        architecture=_name(config.get("model_type")),
        parameters=sum(counts.values()),
        linears=linears,
        shared_linears=shared,
        other_weights=other,
        typed_weights=typed,
        typed_bytes=typed_bytes,
        tower_weights=tower_weights,
        stored_bytes=stored,
        tower_bytes=tower_bytes,
        dtype=_DTYPE_NAMES.get(common, common.lower()) or _config_dtype(text),
        # transformers takes weights for float32 where the config says nothing.
        config_dtype=(_config_dtype(text) or _config_dtype(config) or "float32") if config else "",
        method=method,
        layers=count(text, limits.LAYERS, "num_hidden_layers", "n_layer"),
        kv_heads=count(text, limits.HEADS, "num_key_value_heads") or heads,
        head_dim=count(text, limits.HEAD_DIM, "head_dim") or (width // heads if heads else 0),
        stateless_layers=_stateless_layers(text),
        context_tokens=context.longest(text),
        has_template=has_template,
        is_mixture=bool(count(text, limits.EXPERTS, *_EXPERT_COUNTS)),
    )


def text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the part of a config that is about the language model."""
    part = config.get("text_config")
    return part if isinstance(part, Mapping) else config


def read_config(folder: Path) -> dict[str, Any]:
    """Return what a folder's config.json means; see `config_values`.

    Raises:
        ModelLoadError: there is none, or it can't be read.
    """
    return config_values.mended(read_written_config(folder))


def read_written_config(folder: Path) -> dict[str, Any]:
    """Return a folder's config.json as it is written.

    Raises:
        ModelLoadError: there is none, or it can't be read.
    """
    again = "Download or copy it again."
    path = folder / "config.json"
    stand_ins.check(path)
    try:
        config = model_files.read_json(path)
    except FileNotFoundError as error:
        raise ModelLoadError(
            f"The folder {folder} has no config.json, so it isn't a model.",
            "Use the folder that contains config.json and the weights.",
        ) from error
    except OSError as error:
        raise ModelLoadError(
            f"{path} can't be read ({error.strerror or error}).", "Check its permissions."
        ) from error
    except ValueError as error:
        raise ModelLoadError(f"config.json can't be used: {error} ({folder}).", again) from error
    if not isinstance(config, dict):
        raise ModelLoadError(f"The config.json in {folder} doesn't contain a model config.", again)
    return config


def quantization_method(config: Mapping[str, Any]) -> str:
    """Return the method by which a checkpoint is already quantized; empty if it isn't."""
    for part in (config, config.get("text_config")):
        found = part.get("quantization_config") if isinstance(part, Mapping) else None
        if isinstance(found, Mapping):
            is_nameless = found.get("load_in_4bit") or found.get("load_in_8bit")
            method = _name(found.get("quant_method")) or (
                # The notation from before there were other methods.
                "bitsandbytes" if is_nameless else "unknown"
            )
            if method == "bitsandbytes":
                return "bitsandbytes 4-bit" if found.get("load_in_4bit") else "bitsandbytes 8-bit"
            return method
    return ""


def _is_kept(name: str) -> bool:
    """Whether a matrix of this name stays as it is in every quantization."""
    return bool(not name.endswith(_WEIGHT) or _NOT_LINEAR.search(name) or _EXPERT.search(name))


def _embeddings(tensors: Mapping[str, tuple[str, Shape]]) -> set[Shape]:
    """Return the shapes of the tables that stand for tokens."""
    return {shape for name, (_, shape) in tensors.items() if _EMBEDDINGS.search(name)}


def _is_half(tensors: Mapping[str, tuple[str, Shape]]) -> bool:
    """Return whether most weights are stored in 16 bits."""
    half = sum(math.prod(shape) for kind, shape in tensors.values() if kind in _HALF)
    return 2 * half > sum(math.prod(shape) for _, shape in tensors.values())


def _stateless_layers(text: Mapping[str, Any]) -> int:
    """Return how many layers keep no keys and values."""
    kinds = text.get("layer_types")
    return (
        sum(kind in _STATELESS for kind in kinds[: limits.LAYERS]) if isinstance(kinds, list) else 0
    )


def _config_dtype(text: Mapping[str, Any]) -> str:
    value = text.get("dtype") or text.get("torch_dtype")
    return _name(value)


def _name(value: Any) -> str:
    return value[:_LONGEST_NAME] if isinstance(value, str) else ""
