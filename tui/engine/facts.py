"""What can be told of a model from its files' headers, before anything is loaded: size, shapes, context, template.

Works on folders, GGUF files and what the Hub sends of a repository. Neither torch nor transformers is imported.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tui.engine.base import ModelLoadError
from tui.engine.gguf_header import read_header

_HEADER_LIMIT_BYTES: Final = 100_000_000
_DTYPE_BYTES: Final = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E5M2": 1, "I64": 8, "I32": 4, "I16": 2, "I8": 1,
    "U8": 1, "BOOL": 1,
}  # fmt: skip
_DTYPE_NAMES: Final = {"F32": "float32", "F16": "float16", "BF16": "bfloat16", "F64": "float64"}
_NOT_LINEAR: Final = re.compile(
    r"(embed|wte|wpe|norm|lm_head|output_layer|rotary|\.experts\.(gate_up_proj|down_proj)$|router|conv|A_log)"
)
_EXPERT: Final = re.compile(r"\.experts\.\d+\.")
_GGUF_NOT_LINEAR: Final = re.compile(r"^(token_embd|output|position_embd)|norm|_exps|ssm_")
_STATELESS: Final = ("linear_attention", "recurrent", "mamba", "conv", "mlp", "moe")
_READ_BYTES: Final = 1 << 20

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A model as its files describe it. Zero and empty mean unknown.

    Attributes:
        architecture: as in `llama`.
        parameters: how many numbers its weights are.
        linears: (outputs, inputs) of each linear layer that a quantization would take, and how many there are of each.
        other_weights: parameters that no quantization takes: embeddings, norms, experts that are kept in one piece.
        stored_bytes: what the weights take on the disk.
        dtype: of most of them.
        config_dtype: that the config names, and loading goes by; empty when there is no config.
        method: how the checkpoint is already quantised; empty when it is not.
        layers, kv_heads, head_dim: the shape of the KV cache.
        stateless_layers: layers that keep no keys and values.
        context_tokens: the longest context.
        has_template: whether there is a chat template; None when that is not known.
        is_mixture: whether it is a mixture of experts.
    """

    architecture: str = ""
    parameters: int = 0
    linears: Mapping[tuple[int, int], int] = field(default_factory=dict)
    other_weights: int = 0
    stored_bytes: int = 0
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


def folder_facts(folder: Path) -> ModelFacts:
    """Return what a folder with config.json and weights says of its model.

    Raises:
        ModelLoadError: config.json is missing or can't be read. Weights that can't be read are left out.
    """
    config = read_config(folder)
    tensors: dict[str, tuple[str, Shape]] = {}
    stored = 0
    for path in sorted(folder.glob("*.safetensors")):
        try:
            tensors |= safetensors_header(path)
            stored += path.stat().st_size
        except (OSError, ValueError):
            continue
    if not stored:
        stored = sum(path.stat().st_size for path in folder.glob("*.bin"))
    return facts_of(config, tensors, stored, has_template=_has_template(folder))


def gguf_facts(path: Path) -> ModelFacts:
    """Return what a GGUF file says of its model, which transformers will hold in 16 bits.

    Raises:
        ModelLoadError: it is not a whole GGUF file.
    """
    header = read_header(path)
    linears: dict[tuple[int, int], int] = {}
    quantised = 0
    for name, shape in header.tensors.items():
        if len(shape) == 2 and not _GGUF_NOT_LINEAR.search(name):
            key = (shape[1], shape[0])
            linears[key] = linears.get(key, 0) + 1
            quantised += math.prod(shape)
    heads = header.number("attention.head_count")
    width = header.number("embedding_length")
    kind = max(header.kinds, key=lambda name: header.kinds[name], default="")
    return ModelFacts(
        architecture=header.architecture,
        parameters=header.parameters,
        linears=linears,
        other_weights=header.parameters - quantised,
        stored_bytes=path.stat().st_size,
        dtype=f"GGUF {kind}".strip(),
        config_dtype="bfloat16",
        layers=header.number("block_count"),
        kv_heads=header.number("attention.head_count_kv") or heads,
        head_dim=header.number("attention.key_length") or (width // heads if heads else 0),
        context_tokens=header.number("context_length"),
        has_template="tokenizer.chat_template" in header.values,
        is_mixture=bool(header.number("expert_count")),
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
    other = 0
    tied = bool(text.get("tie_word_embeddings", config.get("tie_word_embeddings", False)))
    for name, (dtype, shape) in tensors.items():
        if tied and name.endswith("lm_head.weight"):
            continue
        size = math.prod(shape)
        counts[dtype] = counts.get(dtype, 0) + size
        if len(shape) == 2 and not method and not _is_kept(name):
            key = (shape[0], shape[1])
            linears[key] = linears.get(key, 0) + 1
        else:
            other += size
    stored = stored_bytes or sum(_DTYPE_BYTES.get(kind, 2) * size for kind, size in counts.items())
    heads = _number(text, "num_attention_heads", "n_head")
    width = _number(text, "hidden_size", "n_embd")
    common = max(counts, key=lambda kind: counts[kind], default="")
    return ModelFacts(
        architecture=str(config.get("model_type") or ""),
        parameters=sum(counts.values()),
        linears=linears,
        other_weights=other,
        stored_bytes=stored,
        dtype=_DTYPE_NAMES.get(common, common.lower()) or _config_dtype(text),
        # transformers takes weights for float32 where the config says nothing.
        config_dtype=(_config_dtype(text) or _config_dtype(config) or "float32") if config else "",
        method=method,
        layers=_number(text, "num_hidden_layers", "n_layer"),
        kv_heads=_number(text, "num_key_value_heads") or heads,
        head_dim=_number(text, "head_dim") or (width // heads if heads else 0),
        stateless_layers=_stateless_layers(text),
        context_tokens=_number(text, "max_position_embeddings", "n_positions", "max_seq_len"),
        has_template=has_template,
        is_mixture=bool(_number(text, "num_local_experts", "num_experts", "n_routed_experts")),
    )


def text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the part of a config that is about the language model."""
    part = config.get("text_config")
    return part if isinstance(part, Mapping) else config


def read_config(folder: Path) -> dict[str, Any]:
    """Return a folder's config.json.

    Raises:
        ModelLoadError: there is none, or it can't be read.
    """
    again = "Download or copy it again."
    path = folder / "config.json"
    try:
        config = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise ModelLoadError(
            f"The folder {folder} has no config.json, so it holds no model.",
            "Name the folder that holds config.json and the weights.",
        ) from error
    except OSError as error:
        raise ModelLoadError(
            f"{path} can't be read ({error.strerror or error}).", "Check its permissions."
        ) from error
    except (ValueError, RecursionError) as error:
        raise ModelLoadError(f"{path} is not valid JSON ({error}).", again) from error
    if not isinstance(config, dict):
        raise ModelLoadError(f"The config.json in {folder} holds no model config.", again)
    return config


def quantization_method(config: Mapping[str, Any]) -> str:
    """Return the method by which a checkpoint is already quantised; empty when it is not."""
    for part in (config, config.get("text_config")):
        found = part.get("quantization_config") if isinstance(part, Mapping) else None
        if isinstance(found, Mapping):
            method = str(found.get("quant_method") or "unknown")
            if method == "bitsandbytes":
                return "bitsandbytes 4-bit" if found.get("load_in_4bit") else "bitsandbytes 8-bit"
            return method
    return ""


def safetensors_header(path: Path) -> dict[str, tuple[str, Shape]]:
    """Return dtype and shape of each tensor in a file, by their names; the weights are not read.

    Raises:
        OSError: it can't be read.
        ValueError: it is broken or cut short.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        if len(start) < 8:
            raise ValueError("it is too short")
        (length,) = struct.unpack("<Q", start)
        if length > min(size, _HEADER_LIMIT_BYTES):
            raise ValueError("its header is longer than the file")
        header = json.loads(file.read(length))
    end = 0
    found: dict[str, tuple[str, Shape]] = {}
    try:
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            shape = tuple(int(length) for length in entry["shape"])
            found[name] = (str(entry["dtype"]), shape)
            end = max(end, int(entry["data_offsets"][1]))
    except (AttributeError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise ValueError("its header is not valid") from error
    if 8 + length + end != size:
        raise ValueError("it is cut short")
    return found


def _is_kept(name: str) -> bool:
    """Whether a matrix of this name stays as it is in every quantization."""
    return bool(_NOT_LINEAR.search(name) or _EXPERT.search(name))


def _stateless_layers(text: Mapping[str, Any]) -> int:
    """Return how many layers keep no keys and values."""
    kinds = text.get("layer_types")
    return sum(kind in _STATELESS for kind in kinds) if isinstance(kinds, list) else 0


def _number(config: Mapping[str, Any], *names: str) -> int:
    for name in names:
        value = config.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return 0


def _config_dtype(text: Mapping[str, Any]) -> str:
    value = text.get("dtype") or text.get("torch_dtype")
    return value if isinstance(value, str) else ""


def _has_template(folder: Path) -> bool:
    if (folder / "chat_template.jinja").is_file() or (folder / "chat_template.json").is_file():
        return True
    try:
        with (folder / "tokenizer_config.json").open("rb") as file:
            return b'"chat_template"' in file.read(_READ_BYTES * 16)
    except OSError:
        return False
