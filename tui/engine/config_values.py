"""Values of a config.json that say what is meant in another way than transformers takes it, and what is meant by them.

Configs are written by people and by many programs: numbers as text, `torch.float16`, a token of padding that the vocabulary lacks.
None of this is a reason to refuse a model. What can't be meant at all is the business of `plausibility`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tui.pattern import pattern

_NUMBER: Final = pattern(r"-?\d{1,15}(\.\d{0,20})?([eE][+-]?\d{1,3})?")
_TEXTS: Final = pattern(
    r"version|name|type|hash|label|revision|commit|date|token$|architectures|path|act$|activation"
)
"""Names under which a text of digits is a text."""
_WHOLE: Final = pattern(
    r"^num_|^n_|_(size|dim|heads|layers|experts|window|token_id)$|positions?(_|$)|^head_dim$"
)
_SWITCHES: Final = {"true": True, "false": False}
_DTYPES: Final[Mapping[str, str]] = {
    "bfloat16": "bfloat16", "float16": "float16", "float32": "float32", "float64": "float64", "half": "float16", "float": "float32",
    "double": "float64", "fp16": "float16", "bf16": "bfloat16", "fp32": "float32", "f16": "float16", "f32": "float32", "fp64": "float64",
}  # fmt: skip
_DTYPE_KEYS: Final = ("dtype", "torch_dtype")
_ROPE_KEYS: Final = ("rope_scaling", "rope_parameters")
_ROPE_TYPES: Final = {"su": "longrope"}
"""Former names of ways to scale rotary frequencies."""
_TOKENS: Final = ("pad_token_id", "bos_token_id", "eos_token_id")
_OTHERS_BUSINESS: Final = ("quantization_config", "id2label", "label2id", "auto_map")
_MOST_DEPTH: Final = 4


def mended(config: dict[str, Any]) -> dict[str, Any]:
    """Return a config with unreadable values normalized; the same config if nothing changed."""
    made = _mended(config, 0)
    return config if _is_same(made, config) else made


def _mended(config: Mapping[str, Any], depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in config.items():
        if key in _OTHERS_BUSINESS:
            found[key] = value
        elif isinstance(value, Mapping) and depth < _MOST_DEPTH and key not in _DTYPE_KEYS:
            found[key] = _mended(value, depth + 1)
        else:
            found[key] = _value(key, value)
    _mend_dtypes(found)
    _mend_rope(found)
    _mend_tokens(found)
    window = found.get("sliding_window")
    if isinstance(window, int) and not isinstance(window, bool) and window <= 0:
        # Some configs represent "no window" this way.
        found["sliding_window"] = None
    if found.get("max_position_embeddings", 0) is None:
        del found["max_position_embeddings"]
    return found


def _value(key: str, value: Any) -> Any:
    if isinstance(value, str) and not _TEXTS.search(key):
        if value.lower() in _SWITCHES:
            return _SWITCHES[value.lower()]
        if _NUMBER.fullmatch(value):
            number = float(value)
            return int(value) if value.lstrip("-").isdecimal() else _whole(key, number)
    return _whole(key, value)


def _whole(key: str, value: Any) -> Any:
    """Return a number without its point where only a whole one can be meant."""
    if isinstance(value, float) and value.is_integer() and _WHOLE.search(key):
        return int(value)
    return value


def _mend_dtypes(config: dict[str, Any]) -> None:
    for key in _DTYPE_KEYS:
        value = config.get(key)
        if key not in config or value is None:
            continue
        if isinstance(value, Mapping):
            value = next(iter(value.values()), None)
        if isinstance(value, list):
            value = next(iter(value), None)
        said = value.removeprefix("torch.").lower() if isinstance(value, str) else ""
        if said in _DTYPES:
            config[key] = _DTYPES[said]
        elif said.startswith(("float8", "fp8")):
            # Of the weights that are packed; the others have 16 bits.
            config[key] = "bfloat16"
        else:
            del config[key]


def _mend_rope(config: dict[str, Any]) -> None:
    for key in _ROPE_KEYS:
        rope = config.get(key)
        if rope is False:
            config[key] = None
        if not isinstance(rope, dict):
            continue
        for name in ("type", "rope_type"):
            if isinstance(rope.get(name), str):
                rope[name] = _ROPE_TYPES.get(rope[name], rope[name])
        if rope.get("rope_theta", 0) is None:
            del rope["rope_theta"]
    if config.get("rope_theta", 0) is None:
        del config["rope_theta"]


def _mend_tokens(config: dict[str, Any]) -> None:
    rows = config.get("vocab_size")
    for key in _TOKENS:
        token = config.get(key)
        if not isinstance(token, int) or isinstance(token, bool):
            continue
        # transformers makes a row for padding in the embedding, which must be one of those that there are.
        is_beyond = key == "pad_token_id" and isinstance(rows, int) and token >= rows
        if token < 0 or is_beyond:
            config[key] = None


def _is_same(one: Any, other: Any) -> bool:
    """Return whether two values are the same, in type, too; NaN is the same as itself."""
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(_is_same(one[key], other[key]) for key in one)
    return one is other or (type(one) is type(other) and one == other)
